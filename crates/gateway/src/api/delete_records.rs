//! DeleteRecords (key 21): deletes what lies below an offset, on all replicas that may lead next (KIP-107).

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use highwater_metadata::MetadataImage;
use highwater_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use highwater_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use highwater_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use highwater_types::{ErrorCode, Offset, PartitionIndex, TopicIdPartition};
use tokio::time::Instant;

use crate::state::GatewayState;

/// Stands for everything that is committed.
const HIGH_WATERMARK: i64 = -1;
/// What is answered together with an error.
const NO_LOW_WATERMARK: i64 = -1;

pub(crate) async fn handle(state: Arc<GatewayState>, body: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(body.timeout_ms).unwrap_or(0));
    let image = state.image();
    let topics = body.topics.into_iter().map(|topic| delete_from_topic(&state, &image, topic, deadline));
    DeleteRecordsResponse::default().with_topics(join_all(topics).await)
}

async fn delete_from_topic(
    state: &GatewayState,
    image: &MetadataImage,
    topic: DeleteRecordsTopic,
    deadline: Instant,
) -> DeleteRecordsTopicResult {
    let partitions = topic.partitions.iter().map(async |asked| {
        let result = match target(image, &topic, asked) {
            Ok((partition, offset)) => state.services.replicas.delete_records(partition, offset, deadline).await,
            Err(error) => Err(error),
        };
        let response = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
        match result {
            Ok(low_watermark) => response.with_low_watermark(low_watermark.get()),
            Err(error) => response.with_low_watermark(NO_LOW_WATERMARK).with_error_code(error.code()),
        }
    });
    let partitions = join_all(partitions).await;
    DeleteRecordsTopicResult::default().with_name(topic.name.clone()).with_partitions(partitions)
}

/// The partition, and the offset unless all is to go.
fn target(
    image: &MetadataImage,
    topic: &DeleteRecordsTopic,
    asked: &DeleteRecordsPartition,
) -> Result<(TopicIdPartition, Option<Offset>), ErrorCode> {
    let found = image.topic_by_name(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = PartitionIndex(asked.partition_index);
    found.partition(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if found.name.is_internal() {
        return Err(ErrorCode::InvalidTopicException);
    }
    let offset = (asked.offset != HIGH_WATERMARK).then_some(Offset(asked.offset));
    Ok((TopicIdPartition { topic_id: found.id, partition }, offset))
}
