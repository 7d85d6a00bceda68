//! The rules that a batch is judged by.

use highwater_types::Timestamp;
use highwater_types::limits::DEFAULT_MAX_MESSAGE_BYTES;

use crate::attributes::TimestampType;
use crate::compression::Compression;

/// Default of `message.timestamp.after.max.ms`: one hour, Kafka's.
const DEFAULT_AFTER_MAX_MS: i64 = 60 * 60 * 1000;

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A Produce request of that version: nothing is believed.
    Client {
        /// Version of the request.
        produce_version: i16,
    },
    /// A coordinator of this broker: may write control batches, and its records are not inspected.
    Coordinator,
}

/// The rules of one topic and the time, as far as batches depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidationLimits {
    /// Who appends.
    pub origin: AppendOrigin,
    /// `max.message.bytes`: largest batch, header included.
    pub max_message_bytes: usize,
    /// Whether `cleanup.policy` has `compact`: every record needs a key.
    pub compacted: bool,
    /// `message.timestamp.type`; with `LogAppendTime`, producers' timestamps are not checked.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a record's time may lie in the past.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a record's time may lie in the future.
    pub after_max_ms: i64,
    /// Codec of `compression.type`; `None` is `producer`, the codec of each batch.
    pub compression: Option<Compression>,
    /// `compression.gzip.level` and the like, of that codec; `None` is the codec's default.
    pub compression_level: Option<i32>,
    /// The broker's time.
    pub now: Timestamp,
}

impl ValidationLimits {
    /// Kafka's defaults for a topic that clients write to.
    pub fn new(now: Timestamp) -> Self {
        Self {
            origin: AppendOrigin::Client { produce_version: i16::MAX },
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            compacted: false,
            timestamp_type: TimestampType::CreateTime,
            before_max_ms: i64::MAX,
            after_max_ms: DEFAULT_AFTER_MAX_MS,
            compression: None,
            compression_level: None,
            now,
        }
    }
}
