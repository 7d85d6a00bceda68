//! OffsetFetch (key 9): committed offsets of one group (to version 7) or several (from version 8, KIP-709).

use std::sync::Arc;

use highwater_coordinator_runtime as groups;
use highwater_metadata::MetadataImage;
use highwater_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use highwater_protocol::messages::{self, OffsetFetchRequest, OffsetFetchResponse};
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::state::{GatewayState, RequestContext};
use crate::wire::{optional_string, string};

/// First version that asks for several groups.
const BATCH_VERSION: i16 = 8;
/// First version with an error for the whole group.
const TOP_LEVEL_ERROR_VERSION: i16 = 2;
/// First version that carries leader epochs.
const LEADER_EPOCH_VERSION: i16 = 5;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let image = state.image();
    if context.version >= BATCH_VERSION {
        let mut answers = Vec::with_capacity(body.groups.len());
        for group in &body.groups {
            let topics = group.topics.as_ref().map(|topics| {
                topics.iter().map(|topic| asked(&image, &topic.name, &topic.partition_indexes)).collect()
            });
            let request = groups::OffsetFetchRequest {
                group_id: string(&group.group_id),
                member_id: optional_string(group.member_id.as_ref()),
                member_epoch: group.member_epoch,
                topics,
                require_stable: body.require_stable,
            };
            let response = state.services.groups.offset_fetch(request).await;
            answers.push(batched(group.group_id.clone(), response));
        }
        return OffsetFetchResponse::default().with_groups(answers);
    }
    let topics: Option<Vec<_>> = body
        .topics
        .as_ref()
        .map(|topics| topics.iter().map(|topic| asked(&image, &topic.name, &topic.partition_indexes)).collect());
    let request = groups::OffsetFetchRequest {
        group_id: string(&body.group_id),
        member_id: None,
        member_epoch: -1,
        topics: topics.clone(),
        require_stable: body.require_stable,
    };
    let response = state.services.groups.offset_fetch(request).await;
    single(context.version, response, topics.unwrap_or_default())
}

fn asked(image: &MetadataImage, name: &str, partitions: &[i32]) -> groups::TopicPartitions {
    groups::TopicPartitions {
        name: name.to_owned(),
        topic_id: image.topic_id(name).unwrap_or(TopicId::ZERO),
        partitions: partitions.iter().copied().map(PartitionIndex).collect(),
    }
}

fn batched(group_id: messages::GroupId, response: groups::OffsetFetchResponse) -> OffsetFetchResponseGroup {
    let topics = response.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(partition.partition.get())
                .with_committed_offset(partition.committed_offset.get())
                .with_committed_leader_epoch(partition.committed_leader_epoch.get())
                .with_metadata(Some(partition.metadata.into()))
                .with_error_code(partition.error.code())
        });
        OffsetFetchResponseTopics::default()
            .with_name(messages::TopicName(topic.name.into()))
            .with_partitions(partitions.collect())
    });
    let topics = topics.collect();
    OffsetFetchResponseGroup::default()
        .with_group_id(group_id)
        .with_error_code(response.error.code())
        .with_topics(topics)
}

fn single(
    version: i16,
    response: groups::OffsetFetchResponse,
    asked: Vec<groups::TopicPartitions>,
) -> OffsetFetchResponse {
    let error = response.error;
    let topics = if error.is_error() && version < TOP_LEVEL_ERROR_VERSION {
        asked.into_iter().map(|topic| failed(topic, error)).collect()
    } else {
        response.topics
    };
    let topics = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            let epoch =
                if version >= LEADER_EPOCH_VERSION { partition.committed_leader_epoch } else { LeaderEpoch::NONE };
            OffsetFetchResponsePartition::default()
                .with_partition_index(partition.partition.get())
                .with_committed_offset(partition.committed_offset.get())
                .with_committed_leader_epoch(epoch.get())
                .with_metadata(Some(partition.metadata.into()))
                .with_error_code(partition.error.code())
        });
        OffsetFetchResponseTopic::default()
            .with_name(messages::TopicName(topic.name.into()))
            .with_partitions(partitions.collect())
    });
    let top_level = if version >= TOP_LEVEL_ERROR_VERSION { error } else { ErrorCode::None };
    OffsetFetchResponse::default().with_error_code(top_level.code()).with_topics(topics.collect())
}

/// Version 1 has no error for the whole group: each partition carries it.
fn failed(topic: groups::TopicPartitions, error: ErrorCode) -> groups::OffsetFetchTopic {
    let partition = |partition| groups::OffsetFetchPartition {
        partition,
        committed_offset: Offset::NONE,
        committed_leader_epoch: LeaderEpoch::NONE,
        metadata: String::new(),
        error,
    };
    groups::OffsetFetchTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    }
}
