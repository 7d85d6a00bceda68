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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::tests::image;
    use highwater_protocol::messages::describe_topic_partitions_request as request;
    use highwater_types::TopicId;

    /// Topics `a` (3 partitions), `b` (1) and `c` (2); pages as `topic:first..end`, then the cursor.
    fn page(topics: &[&str], from: Option<(&str, i32)>, limit: i32) -> (Vec<String>, Option<(String, i32)>) {
        let id = TopicId::from_random;
        let image = image(&[("a", id(1), &[1, 2, 1]), ("b", id(2), &[2]), ("c", id(3), &[-1, 2])]);
        let named = |name: &str| messages::TopicName(text(name));
        let cursor = from.map(|(name, partition)| {
            request::Cursor::default().with_topic_name(named(name)).with_partition_index(partition)
        });
        let topics = topics.iter().map(|name| request::TopicRequest::default().with_name(named(name)));
        let body = DescribeTopicPartitionsRequest::default().with_topics(topics.collect()).with_cursor(cursor);
        let response = describe(&image, "EXTERNAL", &body, limit);
        let shown = response.topics.iter().map(|topic| {
            let indexes: Vec<_> = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            format!("{}{indexes:?}{}", topic.name.as_ref().map_or("", |name| name.as_str()), topic.error_code)
        });
        (shown.collect(), response.next_cursor.map(|next| (next.topic_name.as_str().to_owned(), next.partition_index)))
    }

    #[test]
    fn pages_end_at_the_limit_and_go_on_at_the_cursor() {
        let (all, next) = page(&[], None, 100);
        assert_eq!((all, next), (vec!["a[0, 1, 2]0".into(), "b[0]0".into(), "c[0, 1]0".into()], None));
        assert_eq!(page(&[], None, 2), (vec!["a[0, 1]0".into()], Some(("a".into(), 2))));
        assert_eq!(page(&[], Some(("a", 2)), 2), (vec!["a[2]0".into(), "b[0]0".into()], Some(("c".into(), 0))));
        assert_eq!(page(&[], Some(("c", 0)), 2), (vec!["c[0, 1]0".into()], None));
        // A topic that went away between two pages.
        assert_eq!(page(&[], Some(("aa", 7)), 1), (vec!["b[0]0".into()], Some(("c".into(), 0))));
    }

    #[test]
    fn named_topics_come_in_order_and_unknown_ones_with_their_error() {
        let (shown, next) = page(&["c", "zz", "a", "a", "bad name"], None, 100);
        assert_eq!(shown, ["a[0, 1, 2]0", "bad name[]17", "c[0, 1]0", "zz[]3"]);
        assert_eq!(next, None);
    }

    #[test]
    fn a_leaderless_partition_says_so() {
        let id = TopicId::from_random(3);
        let image = image(&[("c", id, &[-1, 3, 2])]);
        let topic = described(&image, "EXTERNAL", image.topic(id).unwrap(), 0, 3);
        let leaders: Vec<_> = topic.partitions.iter().map(|p| (p.error_code, p.leader_id.0)).collect();
        // Broker 3 is fenced.
        assert_eq!(leaders, [(5, -1), (5, -1), (0, 2)]);
    }
}
