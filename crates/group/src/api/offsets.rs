//! OffsetCommit and OffsetFetch.

use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};

/// OffsetCommit (API 8). The caller has resolved topics: only existing partitions the client may read are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitRequest {
    /// The group; may be empty.
    pub group_id: String,
    /// Generation of the member; -1 from a consumer that assigns itself (no group membership).
    pub generation_id: i32,
    /// The member; empty with generation -1.
    pub member_id: String,
    /// Static id (version 7 and later).
    pub group_instance_id: Option<String>,
    /// Versions 2 to 4: how long to keep the offsets, in milliseconds; `None` (or -1 on the wire) for the broker's rule.
    pub retention_time_ms: Option<i64>,
    /// Version 9 and later: an unknown group is `GROUP_ID_NOT_FOUND`, before it is `ILLEGAL_GENERATION`.
    pub knows_group_id_not_found: bool,
    /// What to commit.
    pub topics: Vec<OffsetCommitTopic>,
}

/// Offsets of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitTopic {
    /// Name of the topic.
    pub name: String,
    /// Id of the topic at the time of the request; `TopicId::ZERO` when unknown.
    pub topic_id: TopicId,
    /// What to commit.
    pub partitions: Vec<OffsetCommitPartition>,
}

/// Offset of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The next offset to read.
    pub committed_offset: Offset,
    /// Epoch of the last record read (version 6 and later); `LeaderEpoch::NONE` when absent.
    pub committed_leader_epoch: LeaderEpoch,
    /// Anything the client wants to keep, up to `offset.metadata.max.bytes` characters.
    pub committed_metadata: Option<String>,
}

/// OffsetCommit's answer: one error per partition of the request, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitResponse {
    /// Per topic, in the order of the request.
    pub topics: Vec<TopicErrors>,
}

/// Errors of one topic's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicErrors {
    /// Name of the topic.
    pub name: String,
    /// Id of the topic as in the request.
    pub topic_id: TopicId,
    /// Per partition.
    pub partitions: Vec<PartitionError>,
}

/// Error of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionError {
    /// The partition.
    pub partition: PartitionIndex,
    /// Its error.
    pub error: ErrorCode,
}

impl OffsetCommitResponse {
    /// The same error for every partition of `request`.
    pub fn error(request: &OffsetCommitRequest, error: ErrorCode) -> Self {
        let topic = |topic: &OffsetCommitTopic| TopicErrors {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| PartitionError { partition: partition.partition, error })
                .collect(),
        };
        Self { topics: request.topics.iter().map(topic).collect() }
    }

    /// Puts `error` on every partition that had none: the commit is not known to be durable.
    pub(crate) fn fail_successes(&mut self, error: ErrorCode) {
        let partitions = self.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions.filter(|partition| partition.error == ErrorCode::None).for_each(|partition| partition.error = error);
    }
}

/// OffsetFetch (API 9) for one group; a request of version 8 and later holds several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetFetchRequest {
    /// The group; may be empty.
    pub group_id: String,
    /// Version 9 and later; checked for KIP-848 groups only.
    pub member_id: Option<String>,
    /// Version 9 and later; checked for KIP-848 groups only.
    pub member_epoch: i32,
    /// `None` asks for every committed offset.
    pub topics: Option<Vec<TopicPartitions>>,
    /// KIP-447: refuse offsets that a transaction may still change. There are no transactional commits yet.
    pub require_stable: bool,
}

/// Partitions of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPartitions {
    /// Name of the topic.
    pub name: String,
    /// Id of the topic; `TopicId::ZERO` when unknown. An offset committed for another topic of this name is not shown.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// OffsetFetch's answer for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetFetchResponse {
    /// Error of the whole group.
    pub error: ErrorCode,
    /// Listed topics in the order of the request, or all topics by name; empty when `error` is set.
    pub topics: Vec<OffsetFetchTopic>,
}

impl OffsetFetchResponse {
    /// A refusal. Versions 1 has no top-level error: put it on each partition there.
    pub const fn error(error: ErrorCode) -> Self {
        Self { error, topics: Vec::new() }
    }
}

/// Offsets of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetFetchTopic {
    /// Name of the topic.
    pub name: String,
    /// Id as in the request; when all topics were asked for, the id it was committed with (or `TopicId::ZERO`).
    pub topic_id: TopicId,
    /// Per partition.
    pub partitions: Vec<OffsetFetchPartition>,
}

/// Offset of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetFetchPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// `Offset::NONE` when nothing is committed.
    pub committed_offset: Offset,
    /// `LeaderEpoch::NONE` when unknown.
    pub committed_leader_epoch: LeaderEpoch,
    /// Empty when nothing is committed.
    pub metadata: String,
    /// Always `ErrorCode::None` so far.
    pub error: ErrorCode,
}

/// One group, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFigures {
    /// The group.
    pub group_id: String,
    /// Its state.
    pub state: crate::GroupState,
    /// How many members it has.
    pub members: usize,
    /// Its generation.
    pub generation: i32,
}

/// One committed offset, for lag metrics and tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The group.
    pub group_id: String,
    /// Name of the topic.
    pub topic: String,
    /// The partition.
    pub partition: PartitionIndex,
    /// The next offset to read.
    pub offset: Offset,
    /// When it was committed.
    pub commit_timestamp: Timestamp,
}
