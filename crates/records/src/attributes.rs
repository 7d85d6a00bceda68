//! The attribute bits of a batch.

use crate::compression::Compression;
use crate::error::BatchError;

const CODEC_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;
const KNOWN: i16 = CODEC_MASK | LOG_APPEND_TIME | TRANSACTIONAL | CONTROL | DELETE_HORIZON;

/// What the timestamps of a topic mean (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer's time.
    #[default]
    CreateTime,
    /// The broker's time of the append.
    LogAppendTime,
}

/// Attribute bits of a batch header: codec 0-2, timestamp type 3, transactional 4, control 5, delete horizon 6 (KIP-534).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    /// How the records are compressed.
    pub const fn compression(self) -> Result<Compression, BatchError> {
        let id = (self.0 & CODEC_MASK) as u8;
        match Compression::from_id(id) {
            Some(compression) => Ok(compression),
            None => Err(BatchError::UnknownCodec(id)),
        }
    }

    /// Whose time the records carry.
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME != 0 { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }

    /// Whether the batch belongs to a transaction.
    pub const fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Whether its records are control records, such as end-of-transaction markers.
    pub const fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// Whether the base timestamp is the time after which tombstones may go (set by compaction, KIP-534).
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    /// Whether a bit is set that Kafka has given no meaning.
    pub const fn has_unknown_bits(self) -> bool {
        self.0 & !KNOWN != 0
    }

    /// The same with another codec.
    #[must_use]
    pub const fn with_compression(self, compression: Compression) -> Self {
        Self((self.0 & !CODEC_MASK) | compression.id() as i16)
    }

    /// The same with another timestamp type.
    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | LOG_APPEND_TIME),
        }
    }

    /// The same, saying that the base timestamp is a delete horizon.
    #[must_use]
    pub const fn with_delete_horizon(self) -> Self {
        Self(self.0 | DELETE_HORIZON)
    }

    /// The same, for a batch without records: neither compressed nor with a delete horizon.
    #[must_use]
    pub const fn of_empty_batch(self) -> Self {
        Self(self.0 & !DELETE_HORIZON).with_compression(Compression::None)
    }

    /// The same with the transactional bit.
    #[must_use]
    pub const fn transactional(self) -> Self {
        Self(self.0 | TRANSACTIONAL)
    }

    /// The same with the control bit.
    #[must_use]
    pub const fn control(self) -> Self {
        Self(self.0 | CONTROL)
    }
}
