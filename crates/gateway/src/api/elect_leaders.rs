//! ElectLeaders (key 43): preferred leaders, or any leader at all (KIP-183, KIP-460).

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_controller::{Command, CommandError, CommandResponse, ElectLeaders, ElectionType};
use highwater_metadata::MetadataImage;
use highwater_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use highwater_protocol::messages::{self, ElectLeadersRequest, ElectLeadersResponse};
use highwater_types::{ErrorCode, PartitionIndex, TopicIdPartition};

use crate::state::GatewayState;
use crate::wire::{string, text};

type Results = BTreeMap<String, Vec<PartitionResult>>;

pub(crate) async fn handle(state: Arc<GatewayState>, body: ElectLeadersRequest) -> ElectLeadersResponse {
    let Some(election) = ElectionType::from_code(body.election_type) else {
        return ElectLeadersResponse::default().with_error_code(ErrorCode::InvalidRequest.code());
    };
    let image = state.image();
    let mut results = Results::new();
    let partitions = body.topic_partitions.is_some().then(|| known_partitions(&image, &body, &mut results));
    if partitions.as_ref().is_none_or(|partitions| !partitions.is_empty()) {
        let command = ElectLeaders { partitions: partitions.clone(), election };
        match state.services.controller.submit(Command::ElectLeaders(command)).await {
            Ok(CommandResponse::ElectLeaders(elected)) => {
                let newest = state.image();
                for one in elected {
                    add(&[&newest, &image], one.target, one.result, &mut results);
                }
            }
            Ok(other) => unreachable!("ElectLeaders was answered with {other:?}"),
            Err(error) => {
                let Some(partitions) = partitions else { return refused(&error) };
                for target in partitions {
                    add(&[&image], target, Err(error.clone()), &mut results);
                }
            }
        }
    }
    let results = results.into_iter().map(|(topic, partitions)| {
        ReplicaElectionResult::default().with_topic(messages::TopicName(text(&topic))).with_partition_result(partitions)
    });
    ElectLeadersResponse::default().with_replica_election_results(results.collect())
}

/// The partitions that exist; the others are answered at once.
fn known_partitions(image: &MetadataImage, body: &ElectLeadersRequest, results: &mut Results) -> Vec<TopicIdPartition> {
    let mut known = Vec::new();
    for topic in body.topic_partitions.iter().flatten() {
        for &index in &topic.partitions {
            let partition = PartitionIndex(index);
            match image.topic_by_name(&topic.topic) {
                Some(found) if found.partition(partition).is_some() => {
                    known.push(TopicIdPartition { topic_id: found.id, partition });
                }
                found => {
                    let message = match found {
                        None => format!("No such topic as {}", &*topic.topic),
                        Some(_) => format!("No such partition as {}-{index}", &*topic.topic),
                    };
                    let error = CommandError::new(ErrorCode::UnknownTopicOrPartition, message);
                    results.entry(string(&topic.topic)).or_default().push(result(index, Err(error)));
                }
            }
        }
    }
    known
}

/// Adds the result of a partition; `images` name its topic, which may be gone or not known here yet.
fn add(images: &[&MetadataImage], target: TopicIdPartition, outcome: Result<(), CommandError>, results: &mut Results) {
    if let Some(topic) = images.iter().find_map(|image| image.topic(target.topic_id)) {
        let name = topic.name.as_str().to_owned();
        results.entry(name).or_default().push(result(target.partition.get(), outcome));
    }
}

fn result(partition: i32, outcome: Result<(), CommandError>) -> PartitionResult {
    let result = PartitionResult::default().with_partition_id(partition);
    match outcome {
        Ok(()) => result.with_error_message(None),
        Err(error) => result.with_error_code(error.code.code()).with_error_message(Some(error.message.into())),
    }
}

/// All partitions were asked for, so there is none to put the error at.
fn refused(error: &CommandError) -> ElectLeadersResponse {
    ElectLeadersResponse::default().with_error_code(error.code.code())
}
