//! DescribeProducers (key 61): who writes to a partition, as a replica here remembers it (KIP-664).

use highwater_metadata::MetadataImage;
use highwater_protocol::messages::describe_producers_request::TopicRequest;
use highwater_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use highwater_protocol::messages::{self, DescribeProducersRequest, DescribeProducersResponse};
use highwater_replication::ActiveProducer;
use highwater_types::{ErrorCode, Offset, PartitionIndex, TopicIdPartition};

use crate::state::GatewayState;

pub(crate) fn handle(state: &GatewayState, body: DescribeProducersRequest) -> DescribeProducersResponse {
    let image = state.image();
    let topics = body.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|&index| {
            let response = PartitionResponse::default().with_partition_index(index).with_error_message(None);
            match describe(state, &image, topic, PartitionIndex(index)) {
                Ok(producers) => response.with_active_producers(producers.iter().map(encode).collect()),
                Err(error) => response.with_error_code(error.code()),
            }
        });
        TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

fn describe(
    state: &GatewayState,
    image: &MetadataImage,
    topic: &TopicRequest,
    partition: PartitionIndex,
) -> Result<Vec<ActiveProducer>, ErrorCode> {
    let found = image.topic_by_name(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    found.partition(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    state.services.replicas.active_producers(TopicIdPartition { topic_id: found.id, partition })
}

fn encode(producer: &ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(messages::ProducerId(producer.producer_id.get()))
        .with_producer_epoch(i32::from(producer.epoch.get()))
        .with_last_sequence(producer.last_sequence.get())
        .with_last_timestamp(producer.last_timestamp.0)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.open_transaction.unwrap_or(Offset::NONE).get())
}
