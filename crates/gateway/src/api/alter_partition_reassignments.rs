//! AlterPartitionReassignments (key 45): other replicas for partitions (KIP-455, KIP-860).

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_controller::{AlterPartitionReassignments, Command, CommandResponse, Reassignment, ReassignmentResult};
use highwater_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use highwater_protocol::messages::{self, AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use highwater_protocol::{MalformedFrame, reassignment_rate};
use highwater_types::{BrokerId, ErrorCode, PartitionIndex};

use crate::state::{GatewayState, RequestContext};
use crate::wire::{string, text};

/// First version that says whether replication factors may change.
const REPLICATION_FACTOR_VERSION: i16 = 1;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let mut response = AlterPartitionReassignmentsResponse::default().with_error_message(None);
    if context.version >= REPLICATION_FACTOR_VERSION {
        response.allow_replication_factor_change = body.allow_replication_factor_change;
    }
    let command = match command(&body) {
        Ok(command) if command.reassignments.is_empty() => return response,
        Ok(command) => command,
        Err(error) => {
            let code = ErrorCode::InvalidRequest.code();
            return response.with_error_code(code).with_error_message(Some(error.to_string().into()));
        }
    };
    match state.services.controller.submit(Command::AlterPartitionReassignments(command)).await {
        Ok(CommandResponse::AlterPartitionReassignments(results)) => response.with_responses(by_topic(results)),
        Ok(other) => unreachable!("AlterPartitionReassignments was answered with {other:?}"),
        Err(error) => response.with_error_code(error.code.code()).with_error_message(Some(error.message.into())),
    }
}

fn command(body: &AlterPartitionReassignmentsRequest) -> Result<AlterPartitionReassignments, MalformedFrame> {
    let reassignments = body.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| Reassignment {
            topic: string(&topic.name),
            partition: PartitionIndex(partition.partition_index),
            replicas: partition.replicas.as_ref().map(|ids| ids.iter().map(|id| BrokerId(id.0)).collect()),
        })
    });
    Ok(AlterPartitionReassignments {
        reassignments: reassignments.collect(),
        allow_replication_factor_change: body.allow_replication_factor_change,
        rate: reassignment_rate(body)?,
    })
}

fn by_topic(results: Vec<ReassignmentResult>) -> Vec<ReassignableTopicResponse> {
    let mut topics: BTreeMap<String, Vec<ReassignablePartitionResponse>> = BTreeMap::new();
    for one in results {
        let response = ReassignablePartitionResponse::default().with_partition_index(one.partition.get());
        let response = match one.result {
            Ok(()) => response.with_error_message(None),
            Err(error) => response.with_error_code(error.code.code()).with_error_message(Some(error.message.into())),
        };
        topics.entry(one.topic).or_default().push(response);
    }
    let topic = |(name, partitions): (String, _)| {
        ReassignableTopicResponse::default().with_name(messages::TopicName(text(&name))).with_partitions(partitions)
    };
    topics.into_iter().map(topic).collect()
}
