//! The aborted transactions that ended in one segment, in Kafka's `.txnindex` format: entries of 34 bytes, big-endian, in the
//! order of their markers.
//!
//! An entry says up to where the log was decided when it was made (the last stable offset). It is written for Kafka, which
//! stops looking there; nothing here relies on it, because Kafka's own entries have it too high where a replica appended
//! several transactions of one producer at once.

use highwater_types::Offset;

use crate::aborted_transaction::{AbortedTransaction, ENTRY_BYTES, EndedTransaction};

/// The aborted transactions whose markers are in one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TransactionIndex {
    /// By marker, ascending.
    entries: Vec<AbortedTransaction>,
}

impl TransactionIndex {
    /// The entries, by marker.
    pub(crate) fn entries(&self) -> &[AbortedTransaction] {
        &self.entries
    }

    /// Whether nothing was aborted.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes in a transaction that ended; committed ones are not kept.
    pub(crate) fn on_ended(&mut self, ended: &EndedTransaction) {
        if !ended.committed {
            self.entries.push(ended.transaction);
        }
    }

    /// What a reader of `from..up_to` must know of, added to `found`.
    pub(crate) fn collect(&self, from: Offset, up_to: Offset, found: &mut Vec<AbortedTransaction>) {
        let first = self.entries.partition_point(|entry| entry.last_offset < from);
        found.extend(self.entries[first..].iter().filter(|entry| entry.overlaps(from, up_to)));
    }

    /// Forgets transactions that end at or beyond `end`.
    pub(crate) fn truncate(&mut self, end: Offset) {
        let kept = self.entries.partition_point(|entry| entry.last_offset < end);
        self.entries.truncate(kept);
    }

    /// The lowest first offset, the largest possible if there is no entry.
    pub(crate) fn first_offset(&self) -> Offset {
        self.entries.iter().map(|entry| entry.first_offset).min().unwrap_or(Offset(i64::MAX))
    }

    /// The content of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.entries.iter().flat_map(AbortedTransaction::encode).collect()
    }

    /// Reads the file of a segment that begins at `base`. `None` if it is not what such a segment can have.
    pub(crate) fn decode(base: Offset, bytes: &[u8]) -> Option<Self> {
        let (entries, []) = bytes.as_chunks::<ENTRY_BYTES>() else { return None };
        let entries = entries.iter().map(AbortedTransaction::decode).collect::<Option<Vec<_>>>()?;
        let mut previous = base.plus(-1);
        for entry in &entries {
            if entry.last_offset <= previous
                || entry.first_offset > entry.last_offset
                || entry.first_offset < Offset::ZERO
            {
                return None;
            }
            previous = entry.last_offset;
        }
        Some(Self { entries })
    }
}

#[cfg(test)]
mod tests {
    use highwater_types::ProducerId;

    use super::*;

    fn aborted(producer: i64, first: i64, last: i64) -> EndedTransaction {
        let transaction = AbortedTransaction {
            producer_id: ProducerId(producer),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(last + 1),
        };
        EndedTransaction { transaction, committed: false }
    }

    fn sample() -> TransactionIndex {
        let mut index = TransactionIndex::default();
        index.on_ended(&aborted(1, 100, 120));
        index.on_ended(&EndedTransaction { committed: true, ..aborted(3, 105, 125) });
        index.on_ended(&aborted(2, 90, 130));
        index.on_ended(&aborted(1, 121, 140));
        index
    }

    #[test]
    fn bytes_are_kafkas() {
        let bytes = sample().encode();
        assert_eq!(bytes.len(), 3 * ENTRY_BYTES);
        let first: Vec<u8> = [&[0, 0][..], &[1i64, 100, 120, 121].map(i64::to_be_bytes).concat()].concat();
        assert_eq!(bytes[..ENTRY_BYTES], first);
        assert_eq!(TransactionIndex::decode(Offset(100), &bytes), Some(sample()));
        assert_eq!(TransactionIndex::decode(Offset(0), &[]), Some(TransactionIndex::default()));
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = sample().encode();
        assert_eq!(TransactionIndex::decode(Offset(100), &bytes[..bytes.len() - 1]), None, "torn");
        assert_eq!(TransactionIndex::decode(Offset(121), &bytes), None, "of an earlier segment");
        assert_eq!(TransactionIndex::decode(Offset(100), &[0; ENTRY_BYTES * 2]), None, "zeros");
        let mut other_version = bytes.clone();
        other_version[1] = 1;
        assert_eq!(TransactionIndex::decode(Offset(100), &other_version), None);
        let swapped = [&bytes[ENTRY_BYTES..2 * ENTRY_BYTES], &bytes[..ENTRY_BYTES]].concat();
        assert_eq!(TransactionIndex::decode(Offset(100), &swapped), None, "not in order");
    }

    #[test]
    fn readers_learn_what_overlaps() {
        let index = sample();
        let of = |from: i64, up_to: i64| {
            let mut found = Vec::new();
            index.collect(Offset(from), Offset(up_to), &mut found);
            found.iter().map(|entry| entry.first_offset.get()).collect::<Vec<_>>()
        };
        assert_eq!(of(0, 90), [0; 0]);
        assert_eq!(of(0, 91), [90]);
        assert_eq!(of(0, 101), [100, 90]);
        assert_eq!(of(120, 121), [100, 90], "the marker belongs to its transaction");
        assert_eq!(of(121, 122), [90, 121]);
        assert_eq!(of(131, 500), [121]);
        assert_eq!(of(141, 500), [0; 0]);
    }

    #[test]
    fn truncation_takes_what_is_open_again() {
        let mut index = sample();
        assert_eq!(index.first_offset(), Offset(90));
        index.truncate(Offset(130));
        assert_eq!((index.entries.len(), index.first_offset()), (1, Offset(100)));
        index.truncate(Offset(0));
        assert_eq!(index.first_offset(), Offset(i64::MAX));
    }
}
