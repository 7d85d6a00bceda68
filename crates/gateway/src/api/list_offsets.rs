//! ListOffsets (key 2): offsets by time, and the special ones -1 to -5.

use std::collections::BTreeSet;

use highwater_protocol::messages::list_offsets_request::ListOffsetsPartition;
use highwater_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use highwater_protocol::messages::{ApiKey, ListOffsetsRequest, ListOffsetsResponse};
use highwater_replication::{Isolation, OffsetSpec};
use highwater_types::{ErrorCode, LeaderEpoch, PartitionIndex, TopicIdPartition};

use crate::known_errors::known_to;
use crate::state::{GatewayState, RequestContext};

/// First version whose answer carries a leader epoch.
const LEADER_EPOCH_VERSION: i16 = 4;

pub(crate) fn handle(state: &GatewayState, context: &RequestContext, body: ListOffsetsRequest) -> ListOffsetsResponse {
    let image = state.image();
    let isolation = if body.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let duplicates = duplicates(&body);
    let topics = body.topics.into_iter().map(|topic| {
        let topic_id = image.topic_id(&topic.name);
        let answer = |partition: &ListOffsetsPartition| {
            let index = PartitionIndex(partition.partition_index);
            let response = ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
            let refuse = |error: ErrorCode| response.clone().with_error_code(error.code());
            if body.replica_id.0 >= 0 {
                return refuse(ErrorCode::ClusterAuthorizationFailed);
            }
            if duplicates.contains(&(topic.name.to_string(), partition.partition_index)) {
                return refuse(ErrorCode::InvalidRequest);
            }
            let Some(spec) = offset_spec(partition.timestamp, context.version) else {
                return refuse(ErrorCode::UnsupportedVersion);
            };
            let Some(topic_id) = topic_id else { return refuse(ErrorCode::UnknownTopicOrPartition) };
            let key = TopicIdPartition { topic_id, partition: index };
            if image.topic_partition(key).is_none() {
                return refuse(ErrorCode::UnknownTopicOrPartition);
            }
            match state.services.replicas.list_offset(key, spec, LeaderEpoch(partition.current_leader_epoch), isolation)
            {
                Err(error) => refuse(known_to(ApiKey::ListOffsets, context.version, error.code)),
                Ok(listed) => {
                    let epoch =
                        if context.version >= LEADER_EPOCH_VERSION { listed.leader_epoch } else { LeaderEpoch::NONE };
                    response
                        .with_offset(listed.offset.get())
                        .with_timestamp(listed.timestamp.0)
                        .with_leader_epoch(epoch.get())
                }
            }
        };
        let partitions = topic.partitions.iter().map(answer).collect();
        ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// Special timestamps came one by one: KIP-734 (-3, version 7), KIP-405 (-4, version 8), KIP-1005 (-5, version 9).
fn offset_spec(timestamp: i64, version: i16) -> Option<OffsetSpec> {
    let first_version = match timestamp {
        -3 => 7,
        -4 => 8,
        -5 => 9,
        _ => 1,
    };
    OffsetSpec::from_timestamp(timestamp).filter(|_| version >= first_version)
}

/// Partitions named more than once: the question is ambiguous.
fn duplicates(body: &ListOffsetsRequest) -> BTreeSet<(String, i32)> {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for topic in &body.topics {
        for partition in &topic.partitions {
            if !seen.insert((topic.name.as_str(), partition.partition_index)) {
                twice.insert((topic.name.to_string(), partition.partition_index));
            }
        }
    }
    twice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_need_their_version() {
        for (timestamp, first) in [(-1, 1), (-2, 1), (-3, 7), (-4, 8), (-5, 9), (0, 1), (i64::MAX, 1)] {
            assert!(offset_spec(timestamp, first).is_some(), "{timestamp}");
            assert!(first == 1 || offset_spec(timestamp, first - 1).is_none(), "{timestamp}");
        }
        assert_eq!(offset_spec(-6, 10), None);
    }
}
