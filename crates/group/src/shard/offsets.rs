//! OffsetCommit, OffsetFetch and OffsetDelete.

use std::collections::BTreeMap;

use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};

use super::limits::fits_record;
use super::{Group, GroupCoordinatorShard};
use crate::effects::PendingWrite;
use crate::output::{Now, Output, Reply, Response, SendWhen, Token};
use crate::schema::{CoordinatorRecord, OffsetCommitValue};
use crate::{
    CommittedOffset, GroupState, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitTopic,
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchPartition, OffsetFetchRequest, OffsetFetchResponse,
    OffsetFetchTopic, PartitionError, TopicErrors,
};

impl GroupCoordinatorShard {
    pub(super) fn offset_commit(&mut self, now: Now, token: Token, request: OffsetCommitRequest) -> Output {
        if let Err(error) = self.validate_offset_commit(&request) {
            let response = OffsetCommitResponse::error(&request, error);
            return self.reply(now, token, Response::OffsetCommit(response));
        }
        let mut records = Vec::new();
        let topics = request.topics.iter().map(|topic| self.commit_topic(now, &request, topic, &mut records)).collect();
        let response = Response::OffsetCommit(OffsetCommitResponse { topics });
        self.step(now, &request.group_id.clone(), |group, effects| group.on_offset_commit(&request.member_id, effects));
        self.with_effects(now, |effects| {
            if records.is_empty() {
                effects.reply(token, response);
            } else {
                let reply = Reply { token, response, send: SendWhen::Committed };
                effects.write(records.clone(), PendingWrite::Offsets { records, reply });
            }
        })
    }

    pub(super) fn offset_fetch(&mut self, now: Now, token: Token, request: &OffsetFetchRequest) -> Output {
        let group = self.groups.get(request.group_id.as_str());
        let topics = match &request.topics {
            Some(topics) => {
                let fetch = |topic: &crate::TopicPartitions| OffsetFetchTopic {
                    name: topic.name.clone(),
                    topic_id: topic.topic_id,
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|&partition| fetch_partition(group, &topic.name, topic.topic_id, partition))
                        .collect(),
                };
                topics.iter().map(fetch).collect()
            }
            None => group.map(fetch_all).unwrap_or_default(),
        };
        let response = Response::OffsetFetch(OffsetFetchResponse { error: ErrorCode::None, topics });
        self.with_effects(now, |effects| effects.reply_committed(token, response))
    }

    pub(super) fn offset_delete(&mut self, now: Now, token: Token, request: &OffsetDeleteRequest) -> Output {
        let group = match self.groups.get(request.group_id.as_str()) {
            None => {
                return self.reply(
                    now,
                    token,
                    Response::OffsetDelete(OffsetDeleteResponse::error(ErrorCode::GroupIdNotFound)),
                );
            }
            Some(group) => group,
        };
        // The topics of a group that is not one of consumers are unknown: nothing can be deleted under its members.
        if !group.classic.is_in(GroupState::Empty) && !group.classic.uses_consumer_protocol() {
            let response = OffsetDeleteResponse::error(ErrorCode::NonEmptyGroup);
            return self.reply(now, token, Response::OffsetDelete(response));
        }
        let mut records = Vec::new();
        for topic in request.topics.iter().filter(|topic| !group.classic.is_subscribed_to(&topic.name)) {
            for &partition in topic.partitions.iter().filter(|&&p| group.offsets.get(&topic.name, p).is_some()) {
                records.push(CoordinatorRecord::offset_commit_tombstone(&request.group_id, &topic.name, partition));
            }
        }
        let response = OffsetDeleteResponse::all(request, |topic| {
            if group.classic.is_subscribed_to(topic) { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None }
        });
        let reply = Reply { token, response: Response::OffsetDelete(response), send: SendWhen::Committed };
        self.write_tombstones(now, records, Some(reply))
    }

    /// Every committed offset of the shard, by group, topic and partition.
    pub fn committed_offsets(&self) -> impl Iterator<Item = CommittedOffset> {
        self.groups.iter().flat_map(|(group_id, group)| {
            group.offsets.iter().map(|(topic, partition, value)| CommittedOffset {
                group_id: group_id.as_ref().to_owned(),
                topic: topic.clone(),
                partition,
                offset: value.offset,
                commit_timestamp: value.commit_timestamp,
            })
        })
    }

    fn validate_offset_commit(&self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        if !fits_record(&request.group_id) {
            return Err(ErrorCode::InvalidRequest);
        }
        match self.groups.get(request.group_id.as_str()) {
            Some(group) => group.classic.validate_offset_commit(request),
            // A first commit without membership makes a simple group.
            None if request.generation_id < 0 => Ok(()),
            None if request.knows_group_id_not_found => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
        }
    }

    fn commit_topic(
        &self,
        now: Now,
        request: &OffsetCommitRequest,
        topic: &OffsetCommitTopic,
        records: &mut Vec<CoordinatorRecord>,
    ) -> TopicErrors {
        let max_units = self.config.offset_metadata_max_bytes;
        let commit = |partition: &OffsetCommitPartition| {
            let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
            let error = if metadata.encode_utf16().count() > max_units || !fits_record(metadata) {
                ErrorCode::OffsetMetadataTooLarge
            } else if !fits_record(&topic.name) {
                ErrorCode::InvalidTopicException
            } else {
                let value = stored_offset(now.wall, request.retention_time_ms, topic.topic_id, partition);
                let (group, topic) = (&request.group_id, &topic.name);
                records.push(CoordinatorRecord::offset_commit(group, topic, partition.partition, &value));
                ErrorCode::None
            };
            PartitionError { partition: partition.partition, error }
        };
        let partitions = topic.partitions.iter().map(commit).collect();
        TopicErrors { name: topic.name.clone(), topic_id: topic.topic_id, partitions }
    }
}

fn stored_offset(
    now: Timestamp,
    retention_time_ms: Option<i64>,
    topic_id: TopicId,
    partition: &OffsetCommitPartition,
) -> OffsetCommitValue {
    let retention = retention_time_ms.filter(|retention| *retention != -1);
    OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
        commit_timestamp: now,
        expire_timestamp: retention.map(|retention| Timestamp(now.0.saturating_add(retention))),
        topic_id,
    }
}

fn fetch_all(group: &Group) -> Vec<OffsetFetchTopic> {
    let topic = |(name, partitions): (&String, &BTreeMap<PartitionIndex, OffsetCommitValue>)| OffsetFetchTopic {
        name: name.clone(),
        topic_id: partitions.values().map(|value| value.topic_id).find(|id| !id.is_zero()).unwrap_or_default(),
        partitions: partitions.iter().map(|(&partition, value)| fetched(partition, value)).collect(),
    };
    group.offsets.topics().map(topic).collect()
}

/// An offset that was committed for another topic of this name is as good as none (KIP-516).
fn fetch_partition(
    group: Option<&Group>,
    topic: &str,
    topic_id: TopicId,
    partition: PartitionIndex,
) -> OffsetFetchPartition {
    let same_topic =
        |value: &&OffsetCommitValue| value.topic_id.is_zero() || topic_id.is_zero() || value.topic_id == topic_id;
    match group.and_then(|group| group.offsets.get(topic, partition)).filter(same_topic) {
        Some(value) => fetched(partition, value),
        None => OffsetFetchPartition {
            partition,
            committed_offset: Offset::NONE,
            committed_leader_epoch: LeaderEpoch::NONE,
            metadata: String::new(),
            error: ErrorCode::None,
        },
    }
}

fn fetched(partition: PartitionIndex, value: &OffsetCommitValue) -> OffsetFetchPartition {
    OffsetFetchPartition {
        partition,
        committed_offset: value.offset,
        committed_leader_epoch: value.leader_epoch,
        metadata: value.metadata.clone(),
        error: ErrorCode::None,
    }
}
