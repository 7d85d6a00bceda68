//! Newtypes in Kafka's terms, used by every other crate.
//!
//! In: plain numbers and names from files, wires and configuration. Out: values that cannot be confused with each other.
//! This crate knows nothing of encodings, files, sockets or time; it holds no state.
//!
//! Architecture invariant: no dependency but `uuid`, no I/O, no clock, no randomness.

mod error_code;
mod ids;
pub mod limits;
mod time;
mod topic;

pub use error_code::ErrorCode;
pub use ids::{
    BrokerEpoch, BrokerId, ControllerEpoch, DirectoryId, IncarnationId, LeaderEpoch, MetadataOffset, Offset,
    PartitionEpoch, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId,
};
pub use time::{MonoMs, Timestamp};
pub use topic::{InvalidTopicName, TopicIdPartition, TopicName, TopicPartition};
