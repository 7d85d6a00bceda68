//! ListGroups, DescribeGroups, DeleteGroups and OffsetDelete.

use bytes::Bytes;
use highwater_types::{ErrorCode, PartitionIndex, TopicId};

use super::TopicErrors;
use crate::GroupState;

/// Kinds of groups of Kafka 4.3 (KIP-848); only classic ones are served so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupType {
    /// JoinGroup and SyncGroup.
    Classic,
}

impl GroupType {
    /// The name on the wire (ListGroups 5 and later).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
        }
    }
}

/// ListGroups' filters (API 16). Names are compared without regard to case; an empty list lets everything pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListGroupsFilter {
    /// `Stable`, `Empty`, ... (version 4 and later, KIP-518).
    pub states: Vec<String>,
    /// `classic`, `consumer`, ... (version 5 and later, KIP-848).
    pub types: Vec<String>,
}

/// One group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: String,
    /// Empty while the group never had a member.
    pub protocol_type: String,
    /// Its state.
    pub state: GroupState,
    /// Its kind.
    pub group_type: GroupType,
}

/// DescribeGroups' answer for one group (API 15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Error of this group. An unknown group is `GROUP_ID_NOT_FOUND` with state Dead (version 6, KIP-1043); versions
    /// 0 to 5 answer Dead without an error.
    pub error: ErrorCode,
    /// Text for the error (version 6).
    pub error_message: Option<String>,
    /// The group.
    pub group_id: String,
    /// `Stable`, `Dead`, ...; empty with other errors than `GROUP_ID_NOT_FOUND`.
    pub state: String,
    /// Protocol type, or empty.
    pub protocol_type: String,
    /// The chosen protocol; filled in state Stable only.
    pub protocol_data: String,
    /// Members by id; none in state Dead.
    pub members: Vec<DescribedMember>,
}

impl DescribedGroup {
    /// A group that could not be described.
    pub fn error(group_id: impl Into<String>, error: ErrorCode) -> Self {
        Self {
            error,
            error_message: None,
            group_id: group_id.into(),
            state: String::new(),
            protocol_type: String::new(),
            protocol_data: String::new(),
            members: Vec::new(),
        }
    }
}

/// One member of a described group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Member id.
    pub member_id: String,
    /// Static id.
    pub group_instance_id: Option<String>,
    /// Client id of the last JoinGroup.
    pub client_id: String,
    /// Host of the last JoinGroup.
    pub client_host: String,
    /// Subscription to the chosen protocol; state Stable only.
    pub metadata: Bytes,
    /// Assignment; state Stable only.
    pub assignment: Bytes,
}

/// DeleteGroups' answer for one group (API 42).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedGroup {
    /// The group.
    pub group_id: String,
    /// Its error.
    pub error: ErrorCode,
}

/// OffsetDelete (API 47, KIP-496).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteRequest {
    /// The group; may be empty.
    pub group_id: String,
    /// What to forget: (topic, partitions).
    pub topics: Vec<OffsetDeleteTopic>,
}

/// Partitions of one topic whose offsets are to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteTopic {
    /// Name of the topic.
    pub name: String,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// OffsetDelete's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteResponse {
    /// Error of the whole request.
    pub error: ErrorCode,
    /// Per topic in the order of the request; empty when `error` is set.
    pub topics: Vec<TopicErrors>,
}

impl OffsetDeleteResponse {
    /// A refusal of the whole request.
    pub const fn error(error: ErrorCode) -> Self {
        Self { error, topics: Vec::new() }
    }

    pub(crate) fn all(request: &OffsetDeleteRequest, error: impl Fn(&str) -> ErrorCode) -> Self {
        let topic = |topic: &OffsetDeleteTopic| {
            let error = error(&topic.name);
            TopicErrors {
                name: topic.name.clone(),
                topic_id: TopicId::ZERO,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|&partition| super::PartitionError { partition, error })
                    .collect(),
            }
        };
        Self { error: ErrorCode::None, topics: request.topics.iter().map(topic).collect() }
    }
}
