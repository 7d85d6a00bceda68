//! Commands.

use std::collections::BTreeMap;

use highwater_controller::{
    AllocateProducerIds, AlterPartition, AlterPartitionEntry, AlterPartitionReassignments, AssignReplicasToDirs,
    Bootstrap, BrokerSession, Command, ConfigOperation, ConfigOperationKind, CreatePartitions, CreatePartitionsTopic,
    CreateTopics, CreateTopicsEntry, DeleteTopics, DirectoryAssignment, ElectLeaders, ElectionType, FeatureUpdate,
    FenceBroker, IncrementalAlterConfigs, IsrMember, ManualAssignment, OfflineLogDirs, Reassignment, RegisterBroker,
    RegisterController, ResourceConfigOperations, TopicSelector, UnfenceBroker, UnregisterBroker, UpdateFeatures,
    UpgradeType,
};
use highwater_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, MetadataOffset, PartitionEpoch, PartitionIndex, TopicIdPartition,
};

use crate::ConversionError;
use crate::field::{
    At, broker_ids, bytes_of, bytes_of_directories, endpoints_to_pb, host_port_to_pb, numbers_of, resource_to_pb,
    software_to_pb,
};
use crate::pb::command as pb;
use crate::pb::command::command::Kind;
use crate::pb::metadata::BrokerIds;

pub(super) fn command_to_pb(command: &Command) -> pb::Command {
    let kind = match command {
        Command::Bootstrap(request) => Kind::Bootstrap(bootstrap_to_pb(request)),
        Command::RegisterController(request) => Kind::RegisterController(pb::RegisterController {
            id: request.id.get(),
            endpoint: Some(host_port_to_pb(&request.endpoint)),
            directory_id: bytes_of(request.directory_id.to_bytes()),
            cluster_id: request.cluster_id.clone(),
        }),
        Command::UnregisterController(id) => Kind::UnregisterController(id.get()),
        Command::RegisterBroker(request) => Kind::RegisterBroker(register_broker_to_pb(request)),
        Command::UnfenceBroker(request) => Kind::UnfenceBroker(pb::UnfenceBroker {
            session: Some(session_to_pb(request.session)),
            metadata_offset: request.metadata_offset.get(),
        }),
        Command::FenceBroker(request) => Kind::FenceBroker(pb::FenceBroker {
            session: Some(session_to_pb(request.session)),
            reason: request.reason.clone(),
        }),
        Command::ControlledShutdown(session) => Kind::ControlledShutdown(session_to_pb(*session)),
        Command::UnregisterBroker(request) => Kind::UnregisterBroker(request.id.get()),
        Command::CreateTopics(request) => Kind::CreateTopics(pb::CreateTopics {
            topics: request.topics.iter().map(create_topic_to_pb).collect(),
            validate_only: request.validate_only,
        }),
        Command::DeleteTopics(request) => {
            Kind::DeleteTopics(pb::DeleteTopics { topics: request.topics.iter().map(selector_to_pb).collect() })
        }
        Command::CreatePartitions(request) => Kind::CreatePartitions(pb::CreatePartitions {
            topics: request.topics.iter().map(create_partitions_to_pb).collect(),
            validate_only: request.validate_only,
        }),
        Command::AlterPartition(request) => Kind::AlterPartition(pb::AlterPartition {
            session: Some(session_to_pb(request.session)),
            partitions: request.partitions.iter().map(alter_partition_to_pb).collect(),
        }),
        Command::IncrementalAlterConfigs(request) => Kind::IncrementalAlterConfigs(pb::IncrementalAlterConfigs {
            resources: request.resources.iter().map(operations_to_pb).collect(),
            validate_only: request.validate_only,
        }),
        Command::AllocateProducerIds(request) => Kind::AllocateProducerIds(session_to_pb(request.session)),
        Command::ElectLeaders(request) => Kind::ElectLeaders(pb::ElectLeaders {
            partitions: request
                .partitions
                .as_deref()
                .map(|targets| pb::Targets { partitions: targets.iter().copied().map(target_to_pb).collect() }),
            election: i32::from(request.election.code()),
        }),
        Command::UpdateFeatures(request) => Kind::UpdateFeatures(pb::UpdateFeatures {
            updates: request.updates.iter().map(feature_update_to_pb).collect(),
            validate_only: request.validate_only,
        }),
        Command::OfflineLogDirs(request) => Kind::OfflineLogDirs(pb::OfflineLogDirs {
            session: Some(session_to_pb(request.session)),
            directories: bytes_of_directories(&request.directories),
        }),
        Command::AssignReplicasToDirs(request) => Kind::AssignReplicasToDirs(pb::AssignReplicasToDirs {
            session: Some(session_to_pb(request.session)),
            assignments: request.assignments.iter().map(directory_assignment_to_pb).collect(),
        }),
        Command::AlterPartitionReassignments(request) => {
            Kind::AlterPartitionReassignments(pb::AlterPartitionReassignments {
                reassignments: request.reassignments.iter().map(reassignment_to_pb).collect(),
                allow_replication_factor_change: request.allow_replication_factor_change,
                rate: request.rate,
            })
        }
    };
    pb::Command { kind: Some(kind) }
}

pub(super) fn command_from_pb(message: pb::Command) -> Result<Command, ConversionError> {
    Ok(match At("Command", "kind").required(message.kind)? {
        Kind::Bootstrap(message) => Command::Bootstrap(bootstrap_from_pb(message)?),
        Kind::RegisterController(message) => Command::RegisterController(RegisterController {
            id: BrokerId(message.id),
            endpoint: At("RegisterController", "endpoint").host_port(message.endpoint)?,
            directory_id: At("RegisterController", "directory_id").directory_id(&message.directory_id)?,
            cluster_id: message.cluster_id,
        }),
        Kind::UnregisterController(id) => Command::UnregisterController(BrokerId(id)),
        Kind::RegisterBroker(message) => Command::RegisterBroker(register_broker_from_pb(message)?),
        Kind::UnfenceBroker(message) => Command::UnfenceBroker(UnfenceBroker {
            session: At("UnfenceBroker", "session").required(message.session).map(session_from_pb)?,
            metadata_offset: MetadataOffset(message.metadata_offset),
        }),
        Kind::FenceBroker(message) => Command::FenceBroker(FenceBroker {
            session: At("FenceBroker", "session").required(message.session).map(session_from_pb)?,
            reason: message.reason,
        }),
        Kind::ControlledShutdown(session) => Command::ControlledShutdown(session_from_pb(session)),
        Kind::UnregisterBroker(id) => Command::UnregisterBroker(UnregisterBroker { id: BrokerId(id) }),
        Kind::CreateTopics(message) => Command::CreateTopics(CreateTopics {
            topics: message.topics.into_iter().map(create_topic_from_pb).collect::<Result<_, _>>()?,
            validate_only: message.validate_only,
        }),
        Kind::DeleteTopics(message) => Command::DeleteTopics(DeleteTopics {
            topics: message.topics.into_iter().map(selector_from_pb).collect::<Result<_, _>>()?,
        }),
        Kind::CreatePartitions(message) => Command::CreatePartitions(CreatePartitions {
            topics: message.topics.into_iter().map(create_partitions_from_pb).collect(),
            validate_only: message.validate_only,
        }),
        Kind::AlterPartition(message) => Command::AlterPartition(AlterPartition {
            session: At("AlterPartition", "session").required(message.session).map(session_from_pb)?,
            partitions: message.partitions.into_iter().map(alter_partition_from_pb).collect::<Result<_, _>>()?,
        }),
        Kind::IncrementalAlterConfigs(message) => Command::IncrementalAlterConfigs(IncrementalAlterConfigs {
            resources: message.resources.into_iter().map(operations_from_pb).collect::<Result<_, _>>()?,
            validate_only: message.validate_only,
        }),
        Kind::AllocateProducerIds(session) => {
            Command::AllocateProducerIds(AllocateProducerIds { session: session_from_pb(session) })
        }
        Kind::ElectLeaders(message) => Command::ElectLeaders(ElectLeaders {
            partitions: message
                .partitions
                .map(|targets| targets.partitions.into_iter().map(|target| target_from_pb(Some(target))).collect())
                .transpose()?,
            election: election_from_pb(message.election)?,
        }),
        Kind::UpdateFeatures(message) => Command::UpdateFeatures(UpdateFeatures {
            updates: message.updates.into_iter().map(feature_update_from_pb).collect::<Result<_, _>>()?,
            validate_only: message.validate_only,
            controllers: BTreeMap::new(),
        }),
        Kind::OfflineLogDirs(message) => Command::OfflineLogDirs(OfflineLogDirs {
            session: At("OfflineLogDirs", "session").required(message.session).map(session_from_pb)?,
            directories: At("OfflineLogDirs", "directories").directory_ids(&message.directories)?,
        }),
        Kind::AssignReplicasToDirs(message) => Command::AssignReplicasToDirs(AssignReplicasToDirs {
            session: At("AssignReplicasToDirs", "session").required(message.session).map(session_from_pb)?,
            assignments: message.assignments.into_iter().map(directory_assignment_from_pb).collect::<Result<_, _>>()?,
        }),
        Kind::AlterPartitionReassignments(message) => {
            Command::AlterPartitionReassignments(AlterPartitionReassignments {
                reassignments: message.reassignments.into_iter().map(reassignment_from_pb).collect(),
                allow_replication_factor_change: message.allow_replication_factor_change,
                rate: message.rate,
            })
        }
    })
}

fn election_from_pb(code: i32) -> Result<ElectionType, ConversionError> {
    let election = i8::try_from(code).ok().and_then(ElectionType::from_code);
    election.ok_or_else(|| At("ElectLeaders", "election").invalid(format_args!("unknown election {code}")))
}

fn feature_update_to_pb(update: &FeatureUpdate) -> pb::FeatureUpdate {
    pb::FeatureUpdate {
        name: update.name.clone(),
        level: i32::from(update.level),
        upgrade_type: i32::from(update.upgrade_type.code()),
    }
}

fn feature_update_from_pb(message: pb::FeatureUpdate) -> Result<FeatureUpdate, ConversionError> {
    let at = At("FeatureUpdate", "upgrade_type");
    let upgrade_type = i8::try_from(message.upgrade_type).ok().and_then(UpgradeType::from_code);
    Ok(FeatureUpdate {
        name: message.name,
        level: At("FeatureUpdate", "level").narrow(message.level)?,
        upgrade_type: upgrade_type.ok_or_else(|| at.invalid(format_args!("unknown type {}", message.upgrade_type)))?,
    })
}

fn reassignment_to_pb(reassignment: &Reassignment) -> pb::Reassignment {
    pb::Reassignment {
        topic: reassignment.topic.clone(),
        partition: reassignment.partition.get(),
        replicas: reassignment.replicas.as_deref().map(|replicas| BrokerIds { ids: numbers_of(replicas) }),
    }
}

fn reassignment_from_pb(message: pb::Reassignment) -> Reassignment {
    Reassignment {
        topic: message.topic,
        partition: PartitionIndex(message.partition),
        replicas: message.replicas.map(|replicas| broker_ids(&replicas.ids)),
    }
}

fn directory_assignment_to_pb(assignment: &DirectoryAssignment) -> pb::DirectoryAssignment {
    pb::DirectoryAssignment {
        target: Some(target_to_pb(assignment.target)),
        directory: bytes_of(assignment.directory.to_bytes()),
    }
}

fn directory_assignment_from_pb(message: pb::DirectoryAssignment) -> Result<DirectoryAssignment, ConversionError> {
    Ok(DirectoryAssignment {
        target: target_from_pb(message.target)?,
        directory: At("DirectoryAssignment", "directory").directory_id(&message.directory)?,
    })
}

pub(super) fn target_to_pb(target: TopicIdPartition) -> pb::TopicIdPartition {
    pb::TopicIdPartition { topic_id: bytes_of(target.topic_id.to_bytes()), partition: target.partition.get() }
}

pub(super) fn target_from_pb(target: Option<pb::TopicIdPartition>) -> Result<TopicIdPartition, ConversionError> {
    let at = At("TopicIdPartition", "topic_id");
    let target = at.required(target)?;
    Ok(TopicIdPartition { topic_id: at.topic_id(&target.topic_id)?, partition: PartitionIndex(target.partition) })
}

fn session_to_pb(session: BrokerSession) -> pb::BrokerSession {
    pb::BrokerSession { id: session.id.get(), epoch: session.epoch.get() }
}

fn session_from_pb(session: pb::BrokerSession) -> BrokerSession {
    BrokerSession { id: BrokerId(session.id), epoch: BrokerEpoch(session.epoch) }
}

fn bootstrap_to_pb(request: &Bootstrap) -> pb::Bootstrap {
    let features = request.features.iter();
    let features = features.map(|(name, &level)| pb::Feature { name: name.clone(), level: i32::from(level) }).collect();
    pb::Bootstrap { cluster_id: request.cluster_id.clone(), features }
}

fn bootstrap_from_pb(message: pb::Bootstrap) -> Result<Bootstrap, ConversionError> {
    let feature = |feature: pb::Feature| Ok((feature.name, At("Feature", "level").narrow(feature.level)?));
    Ok(Bootstrap {
        cluster_id: message.cluster_id,
        features: message.features.into_iter().map(feature).collect::<Result<_, ConversionError>>()?,
    })
}

fn register_broker_to_pb(request: &RegisterBroker) -> pb::RegisterBroker {
    pb::RegisterBroker {
        id: request.id.get(),
        incarnation: bytes_of(request.incarnation.to_bytes()),
        cluster_id: request.cluster_id.clone(),
        listeners: endpoints_to_pb(&request.listeners),
        internal: Some(host_port_to_pb(&request.internal)),
        rack: request.rack.clone(),
        log_dirs: bytes_of_directories(&request.log_dirs),
        clean_shutdown: request.clean_shutdown,
        previous_session_valid: request.previous_session_valid,
        has_offline_log_dirs: request.has_offline_log_dirs,
        software: software_to_pb(&request.software),
    }
}

fn register_broker_from_pb(message: pb::RegisterBroker) -> Result<RegisterBroker, ConversionError> {
    const NAME: &str = "RegisterBroker";
    Ok(RegisterBroker {
        id: BrokerId(message.id),
        incarnation: At(NAME, "incarnation").incarnation(&message.incarnation)?,
        cluster_id: message.cluster_id,
        listeners: At(NAME, "listeners").endpoints(message.listeners)?,
        internal: At(NAME, "internal").host_port(message.internal)?,
        rack: message.rack,
        log_dirs: At(NAME, "log_dirs").directory_ids(&message.log_dirs)?,
        clean_shutdown: message.clean_shutdown,
        previous_session_valid: message.previous_session_valid,
        has_offline_log_dirs: message.has_offline_log_dirs,
        software: At(NAME, "software").software(message.software)?,
    })
}

fn create_topic_to_pb(topic: &CreateTopicsEntry) -> pb::CreateTopic {
    let assignment = |assignment: &ManualAssignment| pb::ManualAssignment {
        partition: assignment.partition.get(),
        replicas: numbers_of(&assignment.replicas),
    };
    let config =
        |(name, value): &(String, Option<String>)| pb::ConfigValue { name: name.clone(), value: value.clone() };
    pb::CreateTopic {
        name: topic.name.clone(),
        num_partitions: topic.num_partitions,
        replication_factor: i32::from(topic.replication_factor),
        assignments: topic.assignments.iter().map(assignment).collect(),
        configs: topic.configs.iter().map(config).collect(),
    }
}

fn create_topic_from_pb(message: pb::CreateTopic) -> Result<CreateTopicsEntry, ConversionError> {
    let assignment = |assignment: pb::ManualAssignment| ManualAssignment {
        partition: PartitionIndex(assignment.partition),
        replicas: broker_ids(&assignment.replicas),
    };
    Ok(CreateTopicsEntry {
        name: message.name,
        num_partitions: message.num_partitions,
        replication_factor: At("CreateTopic", "replication_factor").narrow(message.replication_factor)?,
        assignments: message.assignments.into_iter().map(assignment).collect(),
        configs: message.configs.into_iter().map(|config| (config.name, config.value)).collect(),
    })
}

fn selector_to_pb(selector: &TopicSelector) -> pb::TopicSelector {
    use pb::topic_selector::Kind;
    let kind = match selector {
        TopicSelector::Name(name) => Kind::Name(name.clone()),
        TopicSelector::Id(id) => Kind::Id(bytes_of(id.to_bytes())),
    };
    pb::TopicSelector { kind: Some(kind) }
}

fn selector_from_pb(message: pb::TopicSelector) -> Result<TopicSelector, ConversionError> {
    use pb::topic_selector::Kind;
    Ok(match At("TopicSelector", "kind").required(message.kind)? {
        Kind::Name(name) => TopicSelector::Name(name),
        Kind::Id(id) => TopicSelector::Id(At("TopicSelector", "id").topic_id(&id)?),
    })
}

fn create_partitions_to_pb(topic: &CreatePartitionsTopic) -> pb::CreatePartitionsTopic {
    let assignments = |assignments: &[Vec<BrokerId>]| pb::Assignments {
        partitions: assignments.iter().map(|replicas| BrokerIds { ids: numbers_of(replicas) }).collect(),
    };
    pb::CreatePartitionsTopic {
        name: topic.name.clone(),
        count: topic.count,
        assignments: topic.assignments.as_deref().map(assignments),
    }
}

fn create_partitions_from_pb(message: pb::CreatePartitionsTopic) -> CreatePartitionsTopic {
    let assignments = |assignments: pb::Assignments| {
        assignments.partitions.iter().map(|replicas| broker_ids(&replicas.ids)).collect()
    };
    CreatePartitionsTopic {
        name: message.name,
        count: message.count,
        assignments: message.assignments.map(assignments),
    }
}

fn alter_partition_to_pb(entry: &AlterPartitionEntry) -> pb::AlterPartitionEntry {
    let member = |member: &IsrMember| pb::IsrMember { broker: member.broker.get(), epoch: member.epoch.get() };
    pb::AlterPartitionEntry {
        target: Some(target_to_pb(entry.target)),
        leader_epoch: entry.leader_epoch.get(),
        partition_epoch: entry.partition_epoch.get(),
        new_isr: entry.new_isr.iter().map(member).collect(),
        leader_recovery: i32::from(entry.leader_recovery.code()),
    }
}

fn alter_partition_from_pb(message: pb::AlterPartitionEntry) -> Result<AlterPartitionEntry, ConversionError> {
    let member =
        |member: pb::IsrMember| IsrMember { broker: BrokerId(member.broker), epoch: BrokerEpoch(member.epoch) };
    Ok(AlterPartitionEntry {
        target: target_from_pb(message.target)?,
        leader_epoch: LeaderEpoch(message.leader_epoch),
        partition_epoch: PartitionEpoch(message.partition_epoch),
        new_isr: message.new_isr.into_iter().map(member).collect(),
        leader_recovery: At("AlterPartitionEntry", "leader_recovery").leader_recovery(message.leader_recovery)?,
    })
}

fn operations_to_pb(entry: &ResourceConfigOperations) -> pb::ResourceConfigOperations {
    let operation = |operation: &ConfigOperation| pb::ConfigOperation {
        name: operation.name.clone(),
        kind: i32::from(operation.kind.code()),
        value: operation.value.clone(),
    };
    pb::ResourceConfigOperations {
        resource: Some(resource_to_pb(&entry.resource)),
        operations: entry.operations.iter().map(operation).collect(),
        replaces: entry.replaces,
    }
}

fn operations_from_pb(message: pb::ResourceConfigOperations) -> Result<ResourceConfigOperations, ConversionError> {
    let operation = |operation: pb::ConfigOperation| {
        let at = At("ConfigOperation", "kind");
        let kind = i8::try_from(operation.kind).ok().and_then(ConfigOperationKind::from_code);
        let kind = kind.ok_or_else(|| at.invalid(format_args!("unknown operation {}", operation.kind)))?;
        Ok(ConfigOperation { name: operation.name, kind, value: operation.value })
    };
    Ok(ResourceConfigOperations {
        resource: At("ResourceConfigOperations", "resource").resource(message.resource)?,
        operations: message.operations.into_iter().map(operation).collect::<Result<_, ConversionError>>()?,
        replaces: message.replaces,
    })
}
