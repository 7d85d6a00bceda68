//! The 61-byte header of a batch, format v2.
//!
//! ```text
//!  0 base offset i64        8 length i32 (what follows)   12 partition leader epoch i32   16 magic i8   17 crc u32
//! 21 attributes i16        23 last offset delta i32       27 base timestamp i64           35 max timestamp i64
//! 43 producer id i64       51 producer epoch i16          53 base sequence i32            57 record count i32
//! ```
//! The CRC-32C covers everything from the attributes to the end of the batch: base offset and leader epoch may change
//! without it.

use highwater_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::attributes::Attributes;
use crate::error::BatchError;

/// Length of the header in bytes.
pub const HEADER_LENGTH: usize = 61;
/// Bytes in front of what the length field counts: base offset and the length field itself.
pub const LOG_OVERHEAD: usize = 12;

/// The only format this broker stores.
pub(crate) const MAGIC_V2: i8 = 2;
/// Where the magic byte is, in every format.
pub(crate) const MAGIC_POSITION: usize = 16;
/// Where the checksum is.
pub(crate) const CRC_POSITION: usize = 17;
/// Where the checksum starts to count.
pub(crate) const ATTRIBUTES_POSITION: usize = 21;

/// A parsed header. Fields are as on the wire; [`BatchHeader::parse`] vouches for length, magic, count and last offset delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; what producers send is 0.
    pub base_offset: Offset,
    /// Bytes behind this field: at least 49.
    pub length: i32,
    /// Epoch of the leader that appended the batch.
    pub partition_leader_epoch: LeaderEpoch,
    /// Format: always 2.
    pub magic: i8,
    /// CRC-32C from the attributes to the end.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Last offset minus base offset: not negative.
    pub last_offset_delta: i32,
    /// What the records' timestamps are relative to, or the delete horizon.
    pub base_timestamp: Timestamp,
    /// Largest timestamp of the records, or the append time.
    pub max_timestamp: Timestamp,
    /// -1 unless the producer is idempotent.
    pub producer_id: ProducerId,
    /// -1 unless the producer is idempotent.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record; -1 unless the producer is idempotent.
    pub base_sequence: Sequence,
    /// Records in the batch: not negative; compaction may leave none.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which need not hold the records.
    ///
    /// Errors: [`BatchError::Truncated`] if fewer than 61 bytes are there, [`BatchError::Length`], [`BatchError::Magic`],
    /// [`BatchError::Header`] for a negative count or offset range. The CRC is not checked.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_POSITION)
            && magic as i8 != MAGIC_V2
        {
            return Err(BatchError::Magic(magic as i8));
        }
        let Some(header) = bytes.first_chunk::<HEADER_LENGTH>() else {
            return Err(BatchError::Truncated { needed: HEADER_LENGTH, available: bytes.len() });
        };
        let header = Self::from_bytes(header);
        if header.length < (HEADER_LENGTH - LOG_OVERHEAD) as i32 {
            return Err(BatchError::Length(header.length));
        }
        if header.record_count < 0 {
            return Err(BatchError::Header("the record count is negative"));
        }
        if header.last_offset_delta < 0 {
            return Err(BatchError::Header("the last offset delta is negative"));
        }
        if header.base_offset.get().checked_add(header.last_offset_delta.into()).is_none() {
            return Err(BatchError::Header("the last offset overflows"));
        }
        Ok(header)
    }

    /// Fields as they are, without any check.
    pub(crate) fn from_bytes(bytes: &[u8; HEADER_LENGTH]) -> Self {
        Self {
            base_offset: Offset(i64::from_be_bytes(at(bytes, 0))),
            length: i32::from_be_bytes(at(bytes, 8)),
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(at(bytes, 12))),
            magic: i8::from_be_bytes(at(bytes, MAGIC_POSITION)),
            crc: u32::from_be_bytes(at(bytes, CRC_POSITION)),
            attributes: Attributes(i16::from_be_bytes(at(bytes, ATTRIBUTES_POSITION))),
            last_offset_delta: i32::from_be_bytes(at(bytes, 23)),
            base_timestamp: Timestamp(i64::from_be_bytes(at(bytes, 27))),
            max_timestamp: Timestamp(i64::from_be_bytes(at(bytes, 35))),
            producer_id: ProducerId(i64::from_be_bytes(at(bytes, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(at(bytes, 51))),
            base_sequence: Sequence(i32::from_be_bytes(at(bytes, 53))),
            record_count: i32::from_be_bytes(at(bytes, 57)),
        }
    }

    /// The 61 bytes of this header, with the checksum it carries.
    pub fn to_bytes(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[0..8].copy_from_slice(&self.base_offset.get().to_be_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.partition_leader_epoch.get().to_be_bytes());
        bytes[16..17].copy_from_slice(&self.magic.to_be_bytes());
        bytes[17..21].copy_from_slice(&self.crc.to_be_bytes());
        bytes[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        bytes[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[27..35].copy_from_slice(&self.base_timestamp.0.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.max_timestamp.0.to_be_bytes());
        bytes[43..51].copy_from_slice(&self.producer_id.get().to_be_bytes());
        bytes[51..53].copy_from_slice(&self.producer_epoch.get().to_be_bytes());
        bytes[53..57].copy_from_slice(&self.base_sequence.get().to_be_bytes());
        bytes[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        bytes
    }

    /// Length of the whole batch in bytes, header included.
    pub const fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD + self.length as usize
    }

    /// Offset of the last record, or of the last one there was before compaction.
    pub const fn last_offset(&self) -> Offset {
        self.base_offset.plus(self.last_offset_delta as i64)
    }

    /// The offset that follows the batch.
    pub const fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Whether an idempotent producer sent the batch.
    pub const fn has_producer_id(&self) -> bool {
        self.producer_id.get() > ProducerId::NONE.get()
    }

    /// Sequence of the last record, or `Sequence::NONE` if the first has none.
    pub const fn last_sequence(&self) -> Sequence {
        if self.base_sequence.get() < 0 { Sequence::NONE } else { self.base_sequence.plus(self.last_offset_delta) }
    }

    /// The time after which compaction may drop the batch's tombstones, or the marker in it; `None` until compaction has
    /// seen it (KIP-534).
    pub const fn delete_horizon(&self) -> Option<Timestamp> {
        if self.attributes.has_delete_horizon() { Some(self.base_timestamp) } else { None }
    }

    /// Whether the batch belongs to a transaction.
    pub const fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    /// Whether its records are control records.
    pub const fn is_control(&self) -> bool {
        self.attributes.is_control()
    }
}

fn at<const N: usize>(bytes: &[u8; HEADER_LENGTH], position: usize) -> [u8; N] {
    bytes[position..position + N].try_into().expect("N bytes lie within the header")
}
