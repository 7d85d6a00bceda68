//! Bounds that several crates share, each with the reason for its number.

/// Longest topic name: Kafka's, so that `<topic>-<partition>.<uuid>-delete` fits a 255-byte file name.
pub const MAX_TOPIC_NAME_LENGTH: usize = 249;

/// Default of `socket.request.max.bytes`: the largest frame a client may send (Kafka's default, 100 MiB).
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 100 * 1024 * 1024;

/// Default of `max.message.bytes` (Kafka's default, 1 MiB plus the batch overhead).
pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_048_588;

/// Most partitions one CreateTopics or CreatePartitions request may ask for in one topic. Kafka caps the records of one
/// decision at 10,000 for the same reason: one decision is one Raft entry and must stay small.
pub const MAX_PARTITIONS_PER_REQUEST: usize = 10_000;

/// Highest replication factor: the wire carries it as `i16`.
pub const MAX_REPLICATION_FACTOR: usize = i16::MAX as usize;
