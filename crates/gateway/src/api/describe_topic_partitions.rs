//! DescribeTopicPartitions (key 75): partitions page by page, with eligible leader replicas (KIP-966).

use std::collections::BTreeSet;

use highwater_metadata::{MetadataImage, PartitionImage, TopicImage};
use highwater_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use highwater_protocol::messages::{self, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use highwater_types::{BrokerId, ErrorCode, PartitionIndex, TopicName};

use crate::authorized_operations;
use crate::endpoints::{alive_endpoint, offline_replicas};
use crate::state::{GatewayState, RequestContext};
use crate::wire::{broker_ids, name_of, text};

pub(crate) fn handle(
    state: &GatewayState,
    context: &RequestContext,
    body: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let limit = body.response_partition_limit.min(state.config.max_request_partition_size_limit).max(1);
    describe(&state.image(), context.listener(), &body, limit)
}

/// Topics in ascending order of name from the cursor on, with at most `limit` partitions in all.
fn describe(
    image: &MetadataImage,
    listener: &str,
    body: &DescribeTopicPartitionsRequest,
    limit: i32,
) -> DescribeTopicPartitionsResponse {
    let (start_name, start_partition) = match &body.cursor {
        Some(cursor) => (cursor.topic_name.as_str(), cursor.partition_index.max(0)),
        None => ("", 0),
    };
    let asked: BTreeSet<&str> = body.topics.iter().map(|topic| topic.name.as_str()).collect();
    let names: Vec<&str> = if asked.is_empty() {
        image.topics_by_name_from(start_name).map(|topic| topic.name.as_str()).collect()
    } else {
        asked.range(start_name..).copied().collect()
    };
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut room = limit;
    for name in names {
        if room == 0 {
            response.next_cursor = Some(cursor(name, 0));
            break;
        }
        let Some(topic) = image.topic_by_name(name) else {
            response.topics.push(unknown(name));
            continue;
        };
        let first = if name == start_name { start_partition } else { 0 };
        let end = topic.partition_count().min(first.saturating_add(room));
        response.topics.push(described(image, listener, topic, first, end));
        room -= (end - first).max(0);
        if end < topic.partition_count() {
            response.next_cursor = Some(cursor(name, end));
            break;
        }
    }
    response
}

fn cursor(name: &str, partition: i32) -> Cursor {
    Cursor::default().with_topic_name(messages::TopicName(text(name))).with_partition_index(partition)
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = if TopicName::new(name).is_ok() {
        ErrorCode::UnknownTopicOrPartition
    } else {
        ErrorCode::InvalidTopicException
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(messages::TopicName(text(name))))
}

fn described(
    image: &MetadataImage,
    listener: &str,
    topic: &TopicImage,
    first: i32,
    end: i32,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = (first..end).filter_map(|index| {
        let index = PartitionIndex(index);
        topic.partition(index).map(|partition| described_partition(image, listener, index, partition))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(name_of(&topic.name)))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.name.is_internal())
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(authorized_operations::topic(true))
}

fn described_partition(
    image: &MetadataImage,
    listener: &str,
    index: PartitionIndex,
    partition: &PartitionImage,
) -> DescribeTopicPartitionsResponsePartition {
    let reachable = alive_endpoint(image, partition.leader, listener).is_some();
    let (error, leader) =
        if reachable { (ErrorCode::None, partition.leader) } else { (ErrorCode::LeaderNotAvailable, BrokerId::NONE) };
    DescribeTopicPartitionsResponsePartition::default()
        .with_error_code(error.code())
        .with_partition_index(index.get())
        .with_leader_id(messages::BrokerId(leader.get()))
        .with_leader_epoch(partition.leader_epoch.get())
        .with_replica_nodes(broker_ids(&partition.replicas))
        .with_isr_nodes(broker_ids(&partition.isr))
        .with_eligible_leader_replicas(Some(broker_ids(&partition.elr)))
        .with_last_known_elr(Some(broker_ids(&partition.last_known_elr)))
        .with_offline_replicas(broker_ids(&offline_replicas(image, partition, listener)))
}
