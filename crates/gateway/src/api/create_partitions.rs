//! CreatePartitions (key 37): adds partitions to topics (KIP-195).

use std::sync::Arc;

use highwater_controller::{Command, CommandError, CommandResponse, CreatePartitions, CreatePartitionsTopic};
use highwater_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use highwater_protocol::messages::{
    self, CreatePartitionsRequest, CreatePartitionsResponse, create_partitions_request,
};
use highwater_types::{BrokerId, ErrorCode};

use crate::duplicates::named_twice;
use crate::state::GatewayState;
use crate::wire::{string, text};

pub(crate) async fn handle(state: Arc<GatewayState>, body: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let twice = named_twice(body.topics.iter().map(|topic| topic.name.as_str()));
    let asked = body.topics.iter().filter(|topic| !twice.contains(topic.name.as_str()));
    let command = CreatePartitions { topics: asked.map(entry).collect(), validate_only: body.validate_only };
    let names: Vec<String> = command.topics.iter().map(|topic| topic.name.clone()).collect();
    let mut results: Vec<(String, Result<(), CommandError>)> = Vec::new();
    if !command.topics.is_empty() {
        results = match state.services.controller.submit(Command::CreatePartitions(command)).await {
            Ok(CommandResponse::CreatePartitions(results)) => results,
            Ok(other) => unreachable!("CreatePartitions was answered with {other:?}"),
            Err(error) => names.into_iter().map(|name| (name, Err(error.clone()))).collect(),
        };
    }
    let duplicate = CommandError::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
    results.extend(twice.into_iter().map(|name| (name, Err(duplicate.clone()))));
    let results = results.into_iter().map(|(name, result)| {
        let response = CreatePartitionsTopicResult::default().with_name(messages::TopicName(text(&name)));
        match result {
            Ok(()) => response,
            Err(error) => response.with_error_code(error.code.code()).with_error_message(Some(error.message.into())),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

fn entry(topic: &create_partitions_request::CreatePartitionsTopic) -> CreatePartitionsTopic {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        assignments.iter().map(|assignment| assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect()).collect()
    });
    CreatePartitionsTopic { name: string(&topic.name), count: topic.count, assignments }
}
