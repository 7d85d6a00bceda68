//! CreateTopics (key 19): decided by the active controller, wherever it is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{
    Command, CommandError, CommandResponse, CreateTopics, CreateTopicsEntry, CreatedTopic, ManualAssignment,
};
use highwater_protocol::messages::create_topics_request::CreatableTopic;
use highwater_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use highwater_protocol::messages::{self, CreateTopicsRequest, CreateTopicsResponse};
use highwater_types::{BrokerId, ErrorCode, PartitionIndex};

use crate::controller::wait_for;
use crate::duplicates::named_twice;
use crate::state::{GatewayState, RequestContext};
use crate::wire::{optional_string, string, text};

/// First version whose answer has partitions, replicas and configuration (KIP-525).
const DETAILS_VERSION: i16 = 5;
/// First version whose answer has the topic's id.
const TOPIC_ID_VERSION: i16 = 7;
/// How long a creation waits for this node to have seen it, so that the client's next request here knows the topic.
const READ_YOUR_WRITES_WAIT: Duration = Duration::from_secs(1);

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let twice = named_twice(body.topics.iter().map(|topic| topic.name.as_str()));
    let asked = body.topics.iter().filter(|topic| !twice.contains(topic.name.as_str()));
    let command = CreateTopics { topics: asked.map(entry).collect(), validate_only: body.validate_only };
    let names: Vec<String> = command.topics.iter().map(|topic| topic.name.clone()).collect();
    let mut results: Vec<(String, Result<CreatedTopic, CommandError>)> = Vec::new();
    if !command.topics.is_empty() {
        results = match state.services.controller.submit(Command::CreateTopics(command)).await {
            Ok(CommandResponse::CreateTopics(results)) => results,
            Ok(other) => unreachable!("CreateTopics was answered with {other:?}"),
            Err(error) => names.into_iter().map(|name| (name, Err(error.clone()))).collect(),
        };
    }
    if !body.validate_only {
        let created: Vec<_> =
            results.iter().filter_map(|(_, result)| result.as_ref().ok().map(|topic| topic.id)).collect();
        let seen = |image: &highwater_metadata::MetadataImage| {
            created.iter().all(|&id| image.topic(id).is_some()).then_some(())
        };
        wait_for(&*state.services.metadata, READ_YOUR_WRITES_WAIT, seen).await;
    }
    let refused = duplicates(&twice);
    let topics = results.into_iter().chain(refused).map(|(name, result)| encode(context.version, &name, result));
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn duplicates(twice: &BTreeSet<String>) -> impl Iterator<Item = (String, Result<CreatedTopic, CommandError>)> {
    let error = CommandError::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
    twice.iter().map(move |name| (name.clone(), Err(error.clone())))
}

fn entry(topic: &CreatableTopic) -> CreateTopicsEntry {
    CreateTopicsEntry {
        name: string(&topic.name),
        num_partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assignment| ManualAssignment {
                partition: PartitionIndex(assignment.partition_index),
                replicas: assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect(),
            })
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (string(&config.name), optional_string(config.value.as_ref())))
            .collect(),
    }
}

fn encode(version: i16, name: &str, result: Result<CreatedTopic, CommandError>) -> CreatableTopicResult {
    let response = CreatableTopicResult::default().with_name(messages::TopicName(text(name)));
    let topic = match result {
        Ok(topic) => topic,
        Err(error) => {
            return response
                .with_error_code(error.code.code())
                .with_error_message(Some(error.message.into()))
                .with_configs(Some(Vec::new()));
        }
    };
    // The schema's default is the empty text; Kafka answers null.
    let mut response = response.with_error_message(None);
    if version >= TOPIC_ID_VERSION {
        response.topic_id = topic.id.0;
    }
    if version >= DETAILS_VERSION {
        let configs = topic.configs.into_iter().map(|config| {
            CreatableTopicConfigs::default()
                .with_name(config.name.into())
                .with_value(config.value.map(Into::into))
                .with_read_only(config.read_only)
                .with_config_source(config.source.code())
                .with_is_sensitive(config.sensitive)
        });
        response.num_partitions = topic.num_partitions;
        response.replication_factor = topic.replication_factor;
        response.configs = Some(configs.collect());
    }
    response
}
