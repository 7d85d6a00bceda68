//! What commands come to.

use highwater_controller::{
    AlterPartitionResult, CommandError, CommandResponse, CreatedTopic, CreatedTopicConfig, DeletedTopic,
    DirectoryAssignmentResult, ElectionResult, PartitionIsrState, ProducerIdBlock, ReassignmentResult, TopicResult,
};
use highwater_metadata::config::ConfigSource;
use highwater_types::{
    BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, MetadataOffset, PartitionEpoch, PartitionIndex, ProducerId,
};

use super::request::{target_from_pb, target_to_pb};
use crate::ConversionError;
use crate::field::{At, broker_ids, bytes_of, numbers_of, resource_to_pb};
use crate::pb::command as pb;
use crate::pb::command::response::Kind;

pub(super) fn outcome_to_pb(outcome: &Result<CommandResponse, CommandError>) -> pb::Outcome {
    let kind = match outcome {
        Ok(response) => pb::outcome::Kind::Response(response_to_pb(response)),
        Err(error) => pb::outcome::Kind::Refused(error_to_pb(error)),
    };
    pb::Outcome { kind: Some(kind) }
}

pub(super) fn outcome_from_pb(message: pb::Outcome) -> Result<Result<CommandResponse, CommandError>, ConversionError> {
    Ok(match At("Outcome", "kind").required(message.kind)? {
        pb::outcome::Kind::Response(response) => Ok(response_from_pb(response)?),
        pb::outcome::Kind::Refused(error) => Err(error_from_pb(error)?),
    })
}

fn response_to_pb(response: &CommandResponse) -> pb::Response {
    let done = pb::Done {};
    let kind = match response {
        CommandResponse::Bootstrap => Kind::Bootstrap(done),
        CommandResponse::RegisterController => Kind::RegisterController(done),
        CommandResponse::UnregisterController => Kind::UnregisterController(done),
        CommandResponse::RegisterBroker { epoch } => Kind::RegisterBroker(epoch.get()),
        CommandResponse::UnfenceBroker => Kind::UnfenceBroker(done),
        CommandResponse::FenceBroker => Kind::FenceBroker(done),
        CommandResponse::ControlledShutdown { may_stop, offset } => {
            Kind::ControlledShutdown(pb::ControlledShutdownResponse { may_stop: *may_stop, offset: offset.get() })
        }
        CommandResponse::UnregisterBroker => Kind::UnregisterBroker(done),
        CommandResponse::CreateTopics(topics) => {
            Kind::CreateTopics(pb::CreateTopicsResponse { topics: topics.iter().map(created_to_pb).collect() })
        }
        CommandResponse::DeleteTopics(topics) => {
            Kind::DeleteTopics(pb::DeleteTopicsResponse { topics: topics.iter().map(deleted_to_pb).collect() })
        }
        CommandResponse::CreatePartitions(topics) => {
            let one = |(name, result): &(String, TopicResult<()>)| pb::CreatePartitionsResult {
                name: name.clone(),
                error: failure_to_pb(result),
            };
            Kind::CreatePartitions(pb::CreatePartitionsResponse { topics: topics.iter().map(one).collect() })
        }
        CommandResponse::AlterPartition(partitions) => Kind::AlterPartition(pb::AlterPartitionResponse {
            partitions: partitions.iter().map(alter_partition_to_pb).collect(),
        }),
        CommandResponse::IncrementalAlterConfigs(resources) => {
            let one = |(resource, result): &(_, Result<(), CommandError>)| pb::AlterConfigsResult {
                resource: Some(resource_to_pb(resource)),
                error: failure_to_pb(result),
            };
            Kind::IncrementalAlterConfigs(pb::IncrementalAlterConfigsResponse {
                resources: resources.iter().map(one).collect(),
            })
        }
        CommandResponse::AllocateProducerIds(block) => {
            Kind::AllocateProducerIds(pb::ProducerIdBlock { first: block.first.get(), length: block.length })
        }
        CommandResponse::ElectLeaders(partitions) => {
            let one = |election: &ElectionResult| pb::ElectionResult {
                target: Some(target_to_pb(election.target)),
                error: failure_to_pb(&election.result),
            };
            Kind::ElectLeaders(pb::ElectLeadersResponse { partitions: partitions.iter().map(one).collect() })
        }
        CommandResponse::UpdateFeatures(features) => {
            let one = |(name, result): &(String, Result<(), CommandError>)| pb::FeatureResult {
                name: name.clone(),
                error: failure_to_pb(result),
            };
            Kind::UpdateFeatures(pb::UpdateFeaturesResponse { features: features.iter().map(one).collect() })
        }
        CommandResponse::OfflineLogDirs => Kind::OfflineLogDirs(done),
        CommandResponse::AssignReplicasToDirs(partitions) => {
            let one = |partition: &DirectoryAssignmentResult| pb::DirectoryAssignmentResult {
                target: Some(target_to_pb(partition.target)),
                error: failure_to_pb(&partition.result),
            };
            let partitions = partitions.iter().map(one).collect();
            Kind::AssignReplicasToDirs(pb::AssignReplicasToDirsResponse { partitions })
        }
        CommandResponse::AlterPartitionReassignments(partitions) => {
            let one = |partition: &ReassignmentResult| pb::ReassignmentResult {
                topic: partition.topic.clone(),
                partition: partition.partition.get(),
                error: failure_to_pb(&partition.result),
            };
            let partitions = partitions.iter().map(one).collect();
            Kind::AlterPartitionReassignments(pb::AlterPartitionReassignmentsResponse { partitions })
        }
    };
    pb::Response { kind: Some(kind) }
}

fn response_from_pb(message: pb::Response) -> Result<CommandResponse, ConversionError> {
    Ok(match At("Response", "kind").required(message.kind)? {
        Kind::Bootstrap(_) => CommandResponse::Bootstrap,
        Kind::RegisterController(_) => CommandResponse::RegisterController,
        Kind::UnregisterController(_) => CommandResponse::UnregisterController,
        Kind::RegisterBroker(epoch) => CommandResponse::RegisterBroker { epoch: BrokerEpoch(epoch) },
        Kind::UnfenceBroker(_) => CommandResponse::UnfenceBroker,
        Kind::FenceBroker(_) => CommandResponse::FenceBroker,
        Kind::ControlledShutdown(message) => {
            CommandResponse::ControlledShutdown { may_stop: message.may_stop, offset: MetadataOffset(message.offset) }
        }
        Kind::UnregisterBroker(_) => CommandResponse::UnregisterBroker,
        Kind::CreateTopics(message) => CommandResponse::CreateTopics(all(message.topics, created_from_pb)?),
        Kind::DeleteTopics(message) => CommandResponse::DeleteTopics(all(message.topics, deleted_from_pb)?),
        Kind::CreatePartitions(message) => {
            CommandResponse::CreatePartitions(all(message.topics, |topic: pb::CreatePartitionsResult| {
                Ok((topic.name, failure_from_pb(topic.error)?))
            })?)
        }
        Kind::AlterPartition(message) => {
            CommandResponse::AlterPartition(all(message.partitions, alter_partition_from_pb)?)
        }
        Kind::IncrementalAlterConfigs(message) => {
            let at = At("AlterConfigsResult", "resource");
            CommandResponse::IncrementalAlterConfigs(all(message.resources, |entry: pb::AlterConfigsResult| {
                Ok((at.resource(entry.resource)?, failure_from_pb(entry.error)?))
            })?)
        }
        Kind::AllocateProducerIds(block) => CommandResponse::AllocateProducerIds(ProducerIdBlock {
            first: ProducerId(block.first),
            length: block.length,
        }),
        Kind::UpdateFeatures(message) => {
            CommandResponse::UpdateFeatures(all(message.features, |feature: pb::FeatureResult| {
                Ok((feature.name, failure_from_pb(feature.error)?))
            })?)
        }
        Kind::OfflineLogDirs(_) => CommandResponse::OfflineLogDirs,
        Kind::AssignReplicasToDirs(message) => {
            CommandResponse::AssignReplicasToDirs(all(message.partitions, |one: pb::DirectoryAssignmentResult| {
                Ok(DirectoryAssignmentResult {
                    target: target_from_pb(one.target)?,
                    result: failure_from_pb(one.error)?,
                })
            })?)
        }
        Kind::AlterPartitionReassignments(message) => {
            CommandResponse::AlterPartitionReassignments(all(message.partitions, |one: pb::ReassignmentResult| {
                Ok(ReassignmentResult {
                    topic: one.topic,
                    partition: PartitionIndex(one.partition),
                    result: failure_from_pb(one.error)?,
                })
            })?)
        }
        Kind::ElectLeaders(message) => {
            CommandResponse::ElectLeaders(all(message.partitions, |election: pb::ElectionResult| {
                Ok(ElectionResult {
                    target: target_from_pb(election.target)?,
                    result: failure_from_pb(election.error)?,
                })
            })?)
        }
    })
}

fn all<M, T>(messages: Vec<M>, one: impl Fn(M) -> Result<T, ConversionError>) -> Result<Vec<T>, ConversionError> {
    messages.into_iter().map(one).collect()
}

fn error_to_pb(error: &CommandError) -> pb::Error {
    pb::Error { code: i32::from(error.code.code()), message: error.message.clone() }
}

fn error_from_pb(message: pb::Error) -> Result<CommandError, ConversionError> {
    let code = i16::try_from(message.code).ok().and_then(ErrorCode::from_code).filter(|&code| code != ErrorCode::None);
    let code = code.ok_or_else(|| At("Error", "code").invalid(format_args!("{} is no error code", message.code)))?;
    Ok(CommandError { code, message: message.message })
}

fn failure_to_pb(result: &Result<(), CommandError>) -> Option<pb::Error> {
    result.as_ref().err().map(error_to_pb)
}

fn failure_from_pb(error: Option<pb::Error>) -> Result<Result<(), CommandError>, ConversionError> {
    Ok(match error {
        None => Ok(()),
        Some(error) => Err(error_from_pb(error)?),
    })
}

fn created_to_pb((name, result): &(String, TopicResult<CreatedTopic>)) -> pb::CreateTopicResult {
    use pb::create_topic_result::Result as Outcome;
    let config = |config: &CreatedTopicConfig| pb::CreatedTopicConfig {
        name: config.name.clone(),
        value: config.value.clone(),
        read_only: config.read_only,
        source: i32::from(config.source.code()),
        sensitive: config.sensitive,
    };
    let result = match result {
        Ok(topic) => Outcome::Created(pb::CreatedTopic {
            id: bytes_of(topic.id.to_bytes()),
            num_partitions: topic.num_partitions,
            replication_factor: i32::from(topic.replication_factor),
            configs: topic.configs.iter().map(config).collect(),
        }),
        Err(error) => Outcome::Error(error_to_pb(error)),
    };
    pb::CreateTopicResult { name: name.clone(), result: Some(result) }
}

fn created_from_pb(message: pb::CreateTopicResult) -> Result<(String, TopicResult<CreatedTopic>), ConversionError> {
    use pb::create_topic_result::Result as Outcome;
    let result = match At("CreateTopicResult", "result").required(message.result)? {
        Outcome::Error(error) => Err(error_from_pb(error)?),
        Outcome::Created(topic) => Ok(CreatedTopic {
            id: At("CreatedTopic", "id").topic_id(&topic.id)?,
            num_partitions: topic.num_partitions,
            replication_factor: At("CreatedTopic", "replication_factor").narrow(topic.replication_factor)?,
            configs: all(topic.configs, created_config_from_pb)?,
        }),
    };
    Ok((message.name, result))
}

fn created_config_from_pb(message: pb::CreatedTopicConfig) -> Result<CreatedTopicConfig, ConversionError> {
    let source = i8::try_from(message.source).ok().and_then(ConfigSource::from_code);
    Ok(CreatedTopicConfig {
        name: message.name,
        value: message.value,
        read_only: message.read_only,
        source: source.ok_or_else(|| At("CreatedTopicConfig", "source").invalid(message.source))?,
        sensitive: message.sensitive,
    })
}

fn deleted_to_pb(topic: &DeletedTopic) -> pb::DeletedTopic {
    pb::DeletedTopic {
        name: topic.name.clone(),
        id: bytes_of(topic.id.to_bytes()),
        error: failure_to_pb(&topic.result),
    }
}

fn deleted_from_pb(message: pb::DeletedTopic) -> Result<DeletedTopic, ConversionError> {
    Ok(DeletedTopic {
        name: message.name,
        id: At("DeletedTopic", "id").topic_id(&message.id)?,
        result: failure_from_pb(message.error)?,
    })
}

fn alter_partition_to_pb(partition: &AlterPartitionResult) -> pb::AlterPartitionResult {
    use pb::alter_partition_result::Result as Outcome;
    let result = match &partition.result {
        Ok(state) => Outcome::State(pb::PartitionIsrState {
            leader: state.leader.get(),
            leader_epoch: state.leader_epoch.get(),
            isr: numbers_of(&state.isr),
            elr: numbers_of(&state.elr),
            leader_recovery: i32::from(state.leader_recovery.code()),
            partition_epoch: state.partition_epoch.get(),
        }),
        Err(error) => Outcome::Error(error_to_pb(error)),
    };
    pb::AlterPartitionResult { target: Some(target_to_pb(partition.target)), result: Some(result) }
}

fn alter_partition_from_pb(message: pb::AlterPartitionResult) -> Result<AlterPartitionResult, ConversionError> {
    use pb::alter_partition_result::Result as Outcome;
    let result = match At("AlterPartitionResult", "result").required(message.result)? {
        Outcome::Error(error) => Err(error_from_pb(error)?),
        Outcome::State(state) => Ok(PartitionIsrState {
            leader: BrokerId(state.leader),
            leader_epoch: LeaderEpoch(state.leader_epoch),
            isr: broker_ids(&state.isr),
            elr: broker_ids(&state.elr),
            leader_recovery: At("PartitionIsrState", "leader_recovery").leader_recovery(state.leader_recovery)?,
            partition_epoch: PartitionEpoch(state.partition_epoch),
        }),
    };
    Ok(AlterPartitionResult { target: target_from_pb(message.target)?, result })
}
