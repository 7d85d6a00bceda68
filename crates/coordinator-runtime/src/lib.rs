//! Runs coordinator shards over the partitions of their internal topic: the group coordinator over `__consumer_offsets`.
//!
//! In: requests of the gateway, changes of leadership, deleted topics. Out: answers, and batches appended through
//! [`PartitionWriter`]. When this broker becomes leader of a partition its shard is read back from the log; when it
//! resigns the shard is dropped and every request that waits in it is answered NOT_COORDINATOR.
//!
//! **What is in memory and what is in the log.** The shard's stored state is always that of the log up to its end. A
//! request is handled, its records appended and their effect applied in one go under the shard's lock; if the append is
//! refused, nothing has changed. An answer that shows or promises stored state waits until the high watermark has passed
//! everything appended before it. Nothing is ever reverted in place: records can disappear from the log only when another
//! leader is elected, and then this shard is gone; its successor reads the log.
//!
//! It does not know the Kafka protocol, authorisation, which topics exist, or how the log is replicated.
//!
//! Architecture invariant: a shard appends in exactly one leader epoch; a batch of an older one is refused by the log.
//! Architecture invariant: per loaded partition one task sleeps until the shard's next deadline; while there is one it looks for the
//! lease once a second, and nothing else polls.
//! Architecture invariant: the lock of a shard is never held across an await.

mod active_shard;
mod coordinator;
mod lease_clock;
mod loader;
mod partitioning;
mod slots;
mod writer;

pub use coordinator::{CoordinatorConfig, GroupCoordinator};
pub use highwater_group::{
    CommittedOffset, DeletedGroup, DescribedGroup, DescribedMember, GroupConfig, GroupFigures, GroupState, GroupType,
    HeartbeatRequest, JoinGroupMember, JoinGroupProtocol, JoinGroupRequest, JoinGroupResponse, LeaveGroupMember,
    LeaveGroupMemberResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsFilter, ListedGroup,
    OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitTopic, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetDeleteTopic, OffsetFetchPartition, OffsetFetchRequest, OffsetFetchResponse,
    OffsetFetchTopic, PartitionError, SyncGroupAssignment, SyncGroupRequest, SyncGroupResponse, TopicErrors,
    TopicPartitions,
};
pub use partitioning::partition_for;
pub use slots::ShardCounts;
pub use writer::{Committed, PartitionWriter};
