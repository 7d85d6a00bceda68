//! Transactions that ended, and how an aborted one is written down.

use highwater_types::{Offset, ProducerId};

/// Bytes of an entry: version i16, producer id, first offset, last offset, last stable offset i64 each.
pub(crate) const ENTRY_BYTES: usize = 34;
const VERSION: i16 = 0;

/// An aborted transaction, as far as one partition knows it (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: ProducerId,
    /// Base offset of its first batch.
    pub first_offset: Offset,
    /// Offset of its marker.
    pub last_offset: Offset,
    /// Below this everything was decided once the marker was there.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    /// Whether it may have records among those from `from` on and before `up_to`.
    pub(crate) fn overlaps(&self, from: Offset, up_to: Offset) -> bool {
        self.last_offset >= from && self.first_offset < up_to
    }

    /// The entry in the file.
    pub(crate) fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
        let fields =
            [self.producer_id.get(), self.first_offset.get(), self.last_offset.get(), self.last_stable_offset.get()];
        for (bytes, field) in bytes[2..].chunks_exact_mut(8).zip(fields) {
            bytes.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    /// Reads an entry; `None` if its version is another one.
    pub(crate) fn decode(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let (version, fields) = bytes.split_first_chunk::<2>()?;
        let ([producer, first, last, stable], []) = fields.as_chunks::<8>() else { return None };
        let offset = |bytes: &[u8; 8]| Offset(i64::from_be_bytes(*bytes));
        (i16::from_be_bytes(*version) == VERSION).then(|| Self {
            producer_id: ProducerId(i64::from_be_bytes(*producer)),
            first_offset: offset(first),
            last_offset: offset(last),
            last_stable_offset: offset(stable),
        })
    }
}

/// A transaction of which the marker was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndedTransaction {
    /// It, as the transaction index has it if it was aborted.
    pub(crate) transaction: AbortedTransaction,
    pub(crate) committed: bool,
}
