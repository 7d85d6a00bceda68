//! OffsetDelete (key 47): a group forgets the offsets of partitions that it does not read any more (KIP-496).

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_coordinator_runtime as groups;
use highwater_metadata::MetadataImage;
use highwater_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use highwater_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use highwater_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use highwater_types::{ErrorCode, PartitionIndex};

use crate::state::GatewayState;
use crate::wire::string;

pub(crate) async fn handle(state: Arc<GatewayState>, body: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let image = state.image();
    let topics: Vec<_> = body.topics.iter().filter_map(|topic| existing(&image, topic)).collect();
    let mut answers = BTreeMap::new();
    // As in Kafka, the group is not looked at when there is nothing to delete.
    if !topics.is_empty() {
        let request = groups::OffsetDeleteRequest { group_id: string(&body.group_id), topics };
        let deleted = state.services.groups.offset_delete(request).await;
        if deleted.error != ErrorCode::None {
            return OffsetDeleteResponse::default().with_error_code(deleted.error.code());
        }
        for topic in deleted.topics {
            let errors = topic.partitions.into_iter();
            answers.extend(errors.map(|answer| ((topic.name.clone(), answer.partition.get()), answer.error)));
        }
    }
    merge(&body, &answers)
}

/// The part of a requested topic that exists; `None` if nothing does.
fn existing(image: &MetadataImage, asked: &OffsetDeleteRequestTopic) -> Option<groups::OffsetDeleteTopic> {
    let topic = image.topic_by_name(&asked.name)?;
    let partitions = asked.partitions.iter().map(|partition| PartitionIndex(partition.partition_index));
    let partitions: Vec<_> = partitions.filter(|&partition| topic.partition(partition).is_some()).collect();
    (!partitions.is_empty()).then(|| groups::OffsetDeleteTopic { name: string(&asked.name), partitions })
}

/// The coordinator's answers in the order of the request; what it was not asked about does not exist.
fn merge(body: &OffsetDeleteRequest, answers: &BTreeMap<(String, i32), ErrorCode>) -> OffsetDeleteResponse {
    let topics = body.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let answer = answers.get(&(string(&topic.name), index));
            let error = answer.copied().unwrap_or(ErrorCode::UnknownTopicOrPartition);
            OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(error.code())
        });
        OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
