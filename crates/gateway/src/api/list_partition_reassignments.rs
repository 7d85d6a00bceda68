//! ListPartitionReassignments (key 46): which partitions are being moved (KIP-455).

use highwater_metadata::{MetadataImage, PartitionImage, TopicImage};
use highwater_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use highwater_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use highwater_types::PartitionIndex;

use crate::state::GatewayState;
use crate::wire::{broker_ids, name_of};

pub(crate) fn handle(
    state: &GatewayState,
    body: &ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    list(&state.image(), body)
}

/// Partitions that are not being moved, or do not exist, are left out.
fn list(image: &MetadataImage, body: &ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse {
    let topics = match &body.topics {
        None => image.topics_by_name().filter_map(|topic| ongoing(topic, topic.iter())).collect(),
        Some(topics) => {
            let named = topics.iter().filter_map(|asked| {
                let topic = image.topic_by_name(&asked.name)?;
                let indexes = asked.partition_indexes.iter().copied().map(PartitionIndex);
                ongoing(topic, indexes.filter_map(|index| Some((index, topic.partition(index)?))))
            });
            named.collect()
        }
    };
    ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics)
}

fn ongoing<'a>(
    topic: &TopicImage,
    partitions: impl Iterator<Item = (PartitionIndex, &'a std::sync::Arc<PartitionImage>)>,
) -> Option<OngoingTopicReassignment> {
    let moving = partitions.filter(|(_, partition)| partition.is_reassigning()).map(|(index, partition)| {
        OngoingPartitionReassignment::default()
            .with_partition_index(index.get())
            .with_replicas(broker_ids(&partition.replicas))
            .with_adding_replicas(broker_ids(&partition.adding))
            .with_removing_replicas(broker_ids(&partition.removing))
    });
    let moving: Vec<_> = moving.collect();
    (!moving.is_empty())
        .then(|| OngoingTopicReassignment::default().with_name(name_of(&topic.name)).with_partitions(moving))
}
