//! OffsetCommit (key 8): a group's progress. Topics and partitions that do not exist are answered here.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_coordinator_runtime as groups;
use highwater_metadata::MetadataImage;
use highwater_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use highwater_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use highwater_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};

use crate::state::{GatewayState, RequestContext};
use crate::wire::{optional_string, string};

/// Versions that carry a retention time; later the broker's rule holds (KIP-211).
const RETENTION_VERSIONS: std::ops::RangeInclusive<i16> = 2..=4;

/// First version in which an unknown group is an error of its own.
const GROUP_NOT_FOUND_VERSION: i16 = 9;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let image = state.image();
    let topics: Vec<_> = body.topics.iter().filter_map(|topic| existing(&image, topic)).collect();
    let retention = RETENTION_VERSIONS.contains(&context.version) && body.retention_time_ms != -1;
    let request = groups::OffsetCommitRequest {
        group_id: string(&body.group_id),
        generation_id: body.generation_id_or_member_epoch,
        member_id: string(&body.member_id),
        group_instance_id: optional_string(body.group_instance_id.as_ref()),
        retention_time_ms: retention.then_some(body.retention_time_ms),
        knows_group_id_not_found: context.version >= GROUP_NOT_FOUND_VERSION,
        topics,
    };
    // An empty commit still renews nothing and checks nothing in Kafka; one without any existing partition neither.
    let answers = if request.topics.is_empty() && !body.topics.is_empty() {
        BTreeMap::new()
    } else {
        by_partition(state.services.groups.offset_commit(request).await)
    };
    merge(&body, &answers)
}

/// The part of a requested topic that exists; `None` if nothing does.
fn existing(image: &MetadataImage, asked: &OffsetCommitRequestTopic) -> Option<groups::OffsetCommitTopic> {
    let topic = image.topic_by_name(&asked.name)?;
    let partitions: Vec<_> = asked
        .partitions
        .iter()
        .filter(|partition| topic.partition(PartitionIndex(partition.partition_index)).is_some())
        .map(|partition| groups::OffsetCommitPartition {
            partition: PartitionIndex(partition.partition_index),
            committed_offset: Offset(partition.committed_offset),
            committed_leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
            committed_metadata: optional_string(partition.committed_metadata.as_ref()),
        })
        .collect();
    (!partitions.is_empty()).then(|| groups::OffsetCommitTopic {
        name: string(&asked.name),
        topic_id: topic.id,
        partitions,
    })
}

fn by_partition(response: groups::OffsetCommitResponse) -> BTreeMap<(String, PartitionIndex), ErrorCode> {
    let topics = response.topics.into_iter();
    topics
        .flat_map(|topic| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |partition| ((name.clone(), partition.partition), partition.error))
        })
        .collect()
}

/// Answers in the order of the request; what the coordinator was not asked does not exist.
fn merge(body: &OffsetCommitRequest, answers: &BTreeMap<(String, PartitionIndex), ErrorCode>) -> OffsetCommitResponse {
    let topics = body.topics.iter().map(|topic| {
        let name = string(&topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let key = (name.clone(), PartitionIndex(partition.partition_index));
            let error = answers.get(&key).copied().unwrap_or(ErrorCode::UnknownTopicOrPartition);
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
        });
        OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
