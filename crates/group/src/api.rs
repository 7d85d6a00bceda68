//! What goes into a coordinator shard and what comes out, in Kafka's nouns but without its wire format.
//!
//! Names and strings are plain `String`s, blobs are `Bytes`; versions of the protocol show only as the few flags that
//! change behaviour (`requires_known_member_id`, `supports_skip_assignment`).

mod admin;
mod membership;
mod offsets;

pub use admin::{
    DeletedGroup, DescribedGroup, DescribedMember, GroupType, ListGroupsFilter, ListedGroup, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetDeleteTopic,
};
pub use membership::{
    HeartbeatRequest, JoinGroupMember, JoinGroupProtocol, JoinGroupRequest, JoinGroupResponse, LeaveGroupMember,
    LeaveGroupMemberResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupAssignment, SyncGroupRequest,
    SyncGroupResponse,
};
pub use offsets::{
    CommittedOffset, GroupFigures, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitTopic,
    OffsetFetchPartition, OffsetFetchRequest, OffsetFetchResponse, OffsetFetchTopic, PartitionError, TopicErrors,
    TopicPartitions,
};
