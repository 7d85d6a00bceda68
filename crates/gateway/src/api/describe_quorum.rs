//! DescribeQuorum (key 55): the state of the metadata quorum (KIP-595, KIP-836, KIP-853), as its active controller sees it.
//!
//! Offsets are those of the metadata log, counted in records. A node of which the active controller does not know how far it
//! is has offset -1.

use std::sync::Arc;

use highwater_controller::{QuorumDescription, QuorumReplica};
use highwater_metadata::config::split_list;
use highwater_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use highwater_protocol::messages::{self, DescribeQuorumRequest, DescribeQuorumResponse};
use highwater_types::ErrorCode;

use crate::state::{GatewayState, RequestContext};
use crate::wire::text;

/// The one partition that has a quorum, by Kafka's name.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// First version with error messages, directories and nodes (KIP-853).
const NODES_VERSION: i16 = 2;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let response = DescribeQuorumResponse::default().with_error_message(None);
    if !asks_for_the_quorum(&body) {
        return response.with_topics(unknown(&body));
    }
    let with_nodes = context.version >= NODES_VERSION;
    let description = match state.services.controller.describe_quorum().await {
        Ok(description) => description,
        Err(error) => {
            let response = response.with_error_code(error.code.code());
            return if with_nodes { response.with_error_message(Some(error.message.into())) } else { response };
        }
    };
    let response = response.with_topics(vec![topic(vec![described(&description, with_nodes)])]);
    if !with_nodes {
        return response;
    }
    let names = state.config.static_config.properties().get("controller.listener.names");
    let listener = names.and_then(|names| split_list(names).first().copied()).unwrap_or("CONTROLLER");
    response.with_nodes(nodes(&description, listener))
}

fn asks_for_the_quorum(body: &DescribeQuorumRequest) -> bool {
    match body.topics.as_slice() {
        [topic] if topic.topic_name.as_str() == METADATA_TOPIC => {
            matches!(topic.partitions.as_slice(), [partition] if partition.partition_index == 0)
        }
        _ => false,
    }
}

fn topic(partitions: Vec<PartitionData>) -> TopicData {
    TopicData::default().with_topic_name(messages::TopicName(text(METADATA_TOPIC))).with_partitions(partitions)
}

/// What was asked for, each partition with an error, as Kafka answers when it is not exactly the metadata partition.
fn unknown(body: &DescribeQuorumRequest) -> Vec<TopicData> {
    let error = ErrorCode::UnknownTopicOrPartition.code();
    let topics = body.topics.iter().map(|asked| {
        let partitions = asked.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error)
                .with_error_message(None)
        });
        TopicData::default()
            .with_topic_name(messages::TopicName(text(&asked.topic_name)))
            .with_partitions(partitions.collect())
    });
    topics.collect()
}

fn described(quorum: &QuorumDescription, with_directories: bool) -> PartitionData {
    let replica = |replica: &QuorumReplica| {
        let time = |time: Option<highwater_types::Timestamp>| time.map_or(-1, |time| time.0);
        let state = ReplicaState::default()
            .with_replica_id(messages::BrokerId(replica.id.get()))
            .with_log_end_offset(replica.log_end.map_or(-1, |offset| offset.0))
            .with_last_fetch_timestamp(time(replica.last_heard))
            .with_last_caught_up_timestamp(time(replica.last_caught_up));
        match replica.directory.filter(|_| with_directories) {
            Some(directory) => state.with_replica_directory_id(directory.0),
            None => state,
        }
    };
    PartitionData::default()
        .with_partition_index(0)
        .with_error_message(None)
        .with_leader_id(messages::BrokerId(quorum.leader.get()))
        .with_leader_epoch(i32::try_from(quorum.epoch.0).unwrap_or(i32::MAX))
        .with_high_watermark(quorum.high_watermark.0)
        .with_current_voters(quorum.voters.iter().map(replica).collect())
        .with_observers(quorum.observers.iter().map(replica).collect())
}

/// The addresses of the controllers, voters and observers.
fn nodes(quorum: &QuorumDescription, listener: &str) -> Vec<Node> {
    let node = |replica: &QuorumReplica| {
        let endpoint = replica.endpoint.as_ref()?;
        let listener =
            Listener::default().with_name(text(listener)).with_host(text(&endpoint.host)).with_port(endpoint.port);
        Some(Node::default().with_node_id(messages::BrokerId(replica.id.get())).with_listeners(vec![listener]))
    };
    quorum.voters.iter().chain(&quorum.observers).filter_map(node).collect()
}
