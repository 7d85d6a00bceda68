//! Groups: who is in them, what they have committed, and changes to that.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use highwater_protocol::messages::describe_groups_response::DescribedGroupMember;
use highwater_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use highwater_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use highwater_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use highwater_protocol::messages::{
    ConsumerProtocolAssignment, DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::Decodable;

use super::{
    ATTEMPTS, ClusterClient, RETRY_PAUSE, TopicPartition, group_id, is_retriable, message_of, topic_name, wire,
};
use crate::cli::Failure;

/// Generation of a commit from outside the group: allowed while it has no members.
const NO_GENERATION: i32 = -1;
/// Highest version of the assignment that a consumer's leader writes.
const ASSIGNMENT_VERSION: i16 = 3;

/// Committed offsets.
pub(crate) type Offsets = BTreeMap<TopicPartition, i64>;

/// A group as its coordinator describes it.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) protocol_type: String,
    /// The assignor that its members chose; only when described.
    pub(crate) protocol: String,
    pub(crate) coordinator: i32,
    /// Only when described.
    pub(crate) members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) host: String,
    /// What it was given; empty for members of other kinds of groups than consumers.
    pub(crate) partitions: Vec<TopicPartition>,
}

impl Member {
    fn from_wire(member: DescribedGroupMember) -> Self {
        Self {
            partitions: assigned_partitions(&member.member_assignment),
            id: member.member_id.to_string(),
            instance_id: member.group_instance_id.map(|id| id.to_string()),
            client_id: member.client_id.to_string(),
            host: member.client_host.trim_start_matches('/').to_owned(),
        }
    }
}

fn assigned_partitions(assignment: &Bytes) -> Vec<TopicPartition> {
    let mut assignment = assignment.clone();
    if assignment.remaining() < 2 {
        return Vec::new();
    }
    let version = assignment.get_i16().clamp(0, ASSIGNMENT_VERSION);
    let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut assignment, version) else { return Vec::new() };
    let mut partitions = Vec::new();
    for topic in assignment.assigned_partitions {
        partitions.extend(topic.partitions.iter().map(|one| TopicPartition::new(topic.topic.0.as_str(), *one)));
    }
    partitions.sort();
    partitions
}

impl ClusterClient {
    /// All groups of all coordinators, by id.
    pub(crate) async fn groups(&mut self) -> Result<Vec<Group>, Failure> {
        let mut groups = BTreeMap::new();
        for coordinator in self.live_brokers().await? {
            let response = self.call_broker(coordinator, &ListGroupsRequest::default(), 4..=5).await?;
            if response.error_code != 0 {
                return Err(Failure::refused(&format!("broker {coordinator}"), response.error_code, None));
            }
            groups.extend(response.groups.into_iter().map(|group| {
                let group = Group {
                    id: group.group_id.0.to_string(),
                    state: group.group_state.to_string(),
                    protocol_type: group.protocol_type.to_string(),
                    protocol: String::new(),
                    coordinator,
                    members: Vec::new(),
                };
                (group.id.clone(), group)
            }));
        }
        Ok(groups.into_values().collect())
    }

    /// One group. A group that does not exist is `Dead`.
    pub(crate) async fn describe_group(&mut self, id: &str) -> Result<Group, Failure> {
        for attempt in 1.. {
            let coordinator = self.coordinator(id).await?;
            let request = DescribeGroupsRequest::default().with_groups(vec![group_id(id)]);
            let response = self.call_broker(coordinator, &request, 0..=5).await?;
            let group = response.groups.into_iter().next();
            let group = group.ok_or_else(|| Failure::new("the broker says nothing of the group"))?;
            match group.error_code {
                0 => {
                    return Ok(Group {
                        id: id.to_owned(),
                        state: group.group_state.to_string(),
                        protocol_type: group.protocol_type.to_string(),
                        protocol: group.protocol_data.to_string(),
                        coordinator,
                        members: group.members.into_iter().map(Member::from_wire).collect(),
                    });
                }
                code if is_retriable(code) && attempt < ATTEMPTS => tokio::time::sleep(RETRY_PAUSE).await,
                code => {
                    let message = message_of(&group.error_message);
                    return Err(Failure::refused(&format!("group {id}"), code, message));
                }
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// All offsets that `group` has committed.
    pub(crate) async fn committed_offsets(&mut self, group: &str) -> Result<Offsets, Failure> {
        for attempt in 1.. {
            let coordinator = self.coordinator(group).await?;
            let ask = OffsetFetchRequestGroup::default()
                .with_group_id(group_id(group))
                .with_topics(None)
                .with_member_epoch(-1);
            let request = OffsetFetchRequest::default().with_groups(vec![ask]);
            let response = self.call_broker(coordinator, &request, 8..=9).await?;
            let answer = response.groups.into_iter().next();
            let answer = answer.ok_or_else(|| Failure::new("the broker says nothing of the group"))?;
            match answer.error_code {
                0 => {
                    let mut offsets = Offsets::new();
                    for topic in answer.topics {
                        let known =
                            topic.partitions.iter().filter(|one| one.error_code == 0 && one.committed_offset >= 0);
                        let name = topic.name.0.as_str();
                        offsets.extend(
                            known.map(|one| (TopicPartition::new(name, one.partition_index), one.committed_offset)),
                        );
                    }
                    return Ok(offsets);
                }
                code if is_retriable(code) && attempt < ATTEMPTS => tokio::time::sleep(RETRY_PAUSE).await,
                code => return Err(Failure::refused(&format!("group {group}"), code, None)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// Commits offsets from outside the group, which must have no members.
    pub(crate) async fn commit_offsets(&mut self, group: &str, offsets: &Offsets) -> Result<(), Failure> {
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (id, offset) in offsets {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(id.partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(wire("")));
            topics.entry(&id.topic).or_default().push(partition);
        }
        let topic = |(name, partitions): (&str, Vec<OffsetCommitRequestPartition>)| {
            OffsetCommitRequestTopic::default().with_name(topic_name(name)).with_partitions(partitions)
        };
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(group))
            .with_generation_id_or_member_epoch(NO_GENERATION)
            .with_topics(topics.into_iter().map(topic).collect());
        for attempt in 1.. {
            let coordinator = self.coordinator(group).await?;
            let response = self.call_broker(coordinator, &request, 2..=9).await?;
            let refused = response.topics.iter().flat_map(|topic| &topic.partitions).find(|one| one.error_code != 0);
            match refused.map(|one| one.error_code) {
                None => return Ok(()),
                Some(code) if is_retriable(code) && attempt < ATTEMPTS => tokio::time::sleep(RETRY_PAUSE).await,
                Some(code) => {
                    let failure = Failure::refused(&format!("commit of group {group}"), code, None);
                    return Err(failure.hint(
                        "a group that has members takes commits from them only: stop them, or use another group",
                    ));
                }
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// Deletes a group that has no members.
    pub(crate) async fn delete_group(&mut self, group: &str) -> Result<(), Failure> {
        let coordinator = self.coordinator(group).await?;
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
        let response = self.call_broker(coordinator, &request, 0..=2).await?;
        match response.results.first().map_or(0, |result| result.error_code) {
            0 => Ok(()),
            code => Err(Failure::refused(&format!("group {group}"), code, None)),
        }
    }

    /// Forgets offsets that a group has committed, of topics that none of its members reads: what became of each.
    pub(crate) async fn delete_offsets(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Result<(), Failure>)>, Failure> {
        let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for id in partitions {
            let partition = OffsetDeleteRequestPartition::default().with_partition_index(id.partition);
            topics.entry(&id.topic).or_default().push(partition);
        }
        let topic = |(name, partitions): (&str, Vec<OffsetDeleteRequestPartition>)| {
            OffsetDeleteRequestTopic::default().with_name(topic_name(name)).with_partitions(partitions)
        };
        let request = OffsetDeleteRequest::default()
            .with_group_id(group_id(group))
            .with_topics(topics.into_iter().map(topic).collect());
        let coordinator = self.coordinator(group).await?;
        let response = self.call_broker(coordinator, &request, 0..=0).await?;
        if response.error_code != 0 {
            return Err(Failure::refused(&format!("group {group}"), response.error_code, None));
        }
        let mut outcomes = Vec::new();
        for topic in response.topics {
            for one in topic.partitions {
                let id = TopicPartition::new(topic.name.0.as_str(), one.partition_index);
                let outcome = match one.error_code {
                    0 => Ok(()),
                    code => Err(Failure::refused(&id.to_string(), code, None)),
                };
                outcomes.push((id, outcome));
            }
        }
        outcomes.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(outcomes)
    }
}
