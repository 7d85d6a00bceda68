//! OffsetForLeaderEpoch (key 23): where an epoch ends, so that a consumer notices a truncated log (KIP-320).

use highwater_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use highwater_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use highwater_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use highwater_types::{ErrorCode, LeaderEpoch, PartitionIndex, TopicIdPartition};

use crate::state::GatewayState;

pub(crate) fn handle(state: &GatewayState, body: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let image = state.image();
    let topics = body.topics.into_iter().map(|topic| {
        let topic_id = image.topic_id(&topic.topic);
        let answer = |asked: &OffsetForLeaderPartition| {
            let response = EpochEndOffset::default().with_partition(asked.partition);
            let key =
                topic_id.map(|topic_id| TopicIdPartition { topic_id, partition: PartitionIndex(asked.partition) });
            let Some(key) = key.filter(|&key| image.topic_partition(key).is_some()) else {
                return response.with_error_code(ErrorCode::UnknownTopicOrPartition.code());
            };
            let (current, epoch) = (LeaderEpoch(asked.current_leader_epoch), LeaderEpoch(asked.leader_epoch));
            match state.services.replicas.offset_for_leader_epoch(key, current, epoch) {
                Ok((epoch, end)) => response.with_leader_epoch(epoch.get()).with_end_offset(end.get()),
                Err(error) => response.with_error_code(error.code.code()),
            }
        };
        let partitions = topic.partitions.iter().map(answer).collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
