//! `proto/metadata.proto`: metadata records.

use bytes::Bytes;
use highwater_metadata::{
    BrokerChange, BrokerRegistration, ControllerRegistration, EventKind, LeaderRecoveryState, MetadataEvent,
    MetadataRecord, NodeSoftware, PartitionChange, PartitionImage,
};
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId, Timestamp, TopicName,
};
use prost::Message;

use crate::ConversionError;
use crate::field::{
    At, broker_ids, bytes_of, bytes_of_directories, endpoints_to_pb, host_port_to_pb, numbers_of, resource_to_pb,
    software_to_pb,
};
use crate::pb::metadata as pb;
use crate::pb::metadata::record::Kind;

/// The bytes of a list of records, as stored and sent.
pub fn encode_records(records: &[MetadataRecord]) -> Bytes {
    pb::Records { records: records.iter().map(record_to_pb).collect() }.encode_to_vec().into()
}

/// The records in `bytes`.
pub fn decode_records(bytes: &[u8]) -> Result<Vec<MetadataRecord>, ConversionError> {
    let message = pb::Records::decode(bytes).map_err(|error| At("Records", "records").invalid(error))?;
    message.records.into_iter().map(record_from_pb).collect()
}

/// What a node runs, as it is sent; `None` where there is nothing to tell.
pub fn software_to_message(software: &NodeSoftware) -> Option<pb::NodeSoftware> {
    software_to_pb(software)
}

/// What a node says that it runs.
pub fn software_from_message(message: Option<pb::NodeSoftware>) -> Result<NodeSoftware, ConversionError> {
    At("NodeSoftware", "features").software(message)
}

fn record_to_pb(record: &MetadataRecord) -> pb::Record {
    let kind = match record {
        MetadataRecord::NoOp => Kind::NoOp(pb::NoOp {}),
        MetadataRecord::Event(event) => Kind::Event(pb::Event {
            at: event.at.0,
            kind: event.kind.code(),
            broker: event.broker.map(BrokerId::get),
            detail: event.detail.clone(),
        }),
        MetadataRecord::ClusterId(id) => Kind::ClusterId(id.clone()),
        MetadataRecord::FeatureLevel { name, level } => {
            Kind::FeatureLevel(pb::FeatureLevel { name: name.clone(), level: i32::from(*level) })
        }
        MetadataRecord::RegisterController(registration) => Kind::RegisterController(pb::RegisterController {
            id: registration.id.get(),
            endpoint: Some(host_port_to_pb(&registration.endpoint)),
            directory_id: bytes_of(registration.directory_id.to_bytes()),
        }),
        MetadataRecord::UnregisterController { id } => Kind::UnregisterController(id.get()),
        MetadataRecord::RegisterBroker(registration) => Kind::RegisterBroker(broker_to_pb(registration)),
        MetadataRecord::BrokerChange(change) => Kind::BrokerChange(pb::BrokerChange {
            id: change.id.get(),
            epoch: change.epoch.get(),
            fenced: change.fenced,
            in_controlled_shutdown: change.in_controlled_shutdown,
            log_dirs: change.log_dirs.as_deref().map(|ids| pb::DirectoryIds { ids: bytes_of_directories(ids) }),
            software: change.software.as_ref().and_then(software_to_pb),
        }),
        MetadataRecord::UnregisterBroker { id, epoch } => {
            Kind::UnregisterBroker(pb::UnregisterBroker { id: id.get(), epoch: epoch.get() })
        }
        MetadataRecord::Topic { name, id } => {
            Kind::Topic(pb::Topic { name: name.as_str().to_owned(), id: bytes_of(id.to_bytes()) })
        }
        MetadataRecord::Partition { topic_id, partition, state } => {
            let mut message = partition_to_pb(state);
            message.topic_id = bytes_of(topic_id.to_bytes());
            message.partition = partition.get();
            Kind::Partition(message)
        }
        MetadataRecord::PartitionChange(change) => Kind::PartitionChange(partition_change_to_pb(change)),
        MetadataRecord::RemoveTopic { id } => Kind::RemoveTopic(pb::RemoveTopic { id: bytes_of(id.to_bytes()) }),
        MetadataRecord::Config { resource, name, value } => Kind::Config(pb::Config {
            resource: Some(resource_to_pb(resource)),
            name: name.clone(),
            value: value.clone(),
        }),
        MetadataRecord::ProducerIds { broker, broker_epoch, next } => Kind::ProducerIds(pb::ProducerIds {
            broker: broker.get(),
            broker_epoch: broker_epoch.get(),
            next: next.get(),
        }),
    };
    pb::Record { kind: Some(kind) }
}

fn record_from_pb(record: pb::Record) -> Result<MetadataRecord, ConversionError> {
    Ok(match At("Record", "kind").required(record.kind)? {
        Kind::NoOp(_) => MetadataRecord::NoOp,
        Kind::Event(message) => {
            let unknown = || At("Event", "kind").invalid(format_args!("unknown kind {}", message.kind));
            MetadataRecord::Event(MetadataEvent {
                at: Timestamp(message.at),
                kind: EventKind::from_code(message.kind).ok_or_else(unknown)?,
                broker: message.broker.map(BrokerId),
                detail: message.detail,
            })
        }
        Kind::ClusterId(id) => MetadataRecord::ClusterId(id),
        Kind::FeatureLevel(message) => MetadataRecord::FeatureLevel {
            level: At("FeatureLevel", "level").narrow(message.level)?,
            name: message.name,
        },
        Kind::RegisterController(message) => MetadataRecord::RegisterController(ControllerRegistration {
            id: BrokerId(message.id),
            endpoint: At("RegisterController", "endpoint").host_port(message.endpoint)?,
            directory_id: At("RegisterController", "directory_id").directory_id(&message.directory_id)?,
        }),
        Kind::UnregisterController(id) => MetadataRecord::UnregisterController { id: BrokerId(id) },
        Kind::RegisterBroker(message) => MetadataRecord::RegisterBroker(broker_from_pb(message)?),
        Kind::BrokerChange(message) => MetadataRecord::BrokerChange(BrokerChange {
            id: BrokerId(message.id),
            epoch: BrokerEpoch(message.epoch),
            fenced: message.fenced,
            in_controlled_shutdown: message.in_controlled_shutdown,
            log_dirs: message.log_dirs.map(|ids| At("BrokerChange", "log_dirs").directory_ids(&ids.ids)).transpose()?,
            software: match message.software {
                None => None,
                told => Some(At("BrokerChange", "software").software(told)?),
            },
        }),
        Kind::UnregisterBroker(message) => {
            MetadataRecord::UnregisterBroker { id: BrokerId(message.id), epoch: BrokerEpoch(message.epoch) }
        }
        Kind::Topic(message) => MetadataRecord::Topic {
            name: TopicName::new(&message.name).map_err(|error| At("Topic", "name").invalid(error))?,
            id: At("Topic", "id").topic_id(&message.id)?,
        },
        Kind::Partition(message) => MetadataRecord::Partition {
            topic_id: At("Partition", "topic_id").topic_id(&message.topic_id)?,
            partition: PartitionIndex(message.partition),
            state: partition_from_pb(&message)?,
        },
        Kind::PartitionChange(message) => MetadataRecord::PartitionChange(partition_change_from_pb(message)?),
        Kind::RemoveTopic(message) => {
            MetadataRecord::RemoveTopic { id: At("RemoveTopic", "id").topic_id(&message.id)? }
        }
        Kind::Config(message) => MetadataRecord::Config {
            resource: At("Config", "resource").resource(message.resource)?,
            name: message.name,
            value: message.value,
        },
        Kind::ProducerIds(message) => MetadataRecord::ProducerIds {
            broker: BrokerId(message.broker),
            broker_epoch: BrokerEpoch(message.broker_epoch),
            next: ProducerId(message.next),
        },
    })
}

fn broker_to_pb(registration: &BrokerRegistration) -> pb::RegisterBroker {
    pb::RegisterBroker {
        id: registration.id.get(),
        epoch: registration.epoch.get(),
        incarnation: bytes_of(registration.incarnation.to_bytes()),
        listeners: endpoints_to_pb(&registration.listeners),
        internal: Some(host_port_to_pb(&registration.internal)),
        rack: registration.rack.clone(),
        log_dirs: bytes_of_directories(&registration.log_dirs),
        fenced: registration.fenced,
        in_controlled_shutdown: registration.in_controlled_shutdown,
        software: software_to_pb(&registration.software),
    }
}

fn broker_from_pb(message: pb::RegisterBroker) -> Result<BrokerRegistration, ConversionError> {
    const NAME: &str = "RegisterBroker";
    Ok(BrokerRegistration {
        id: BrokerId(message.id),
        epoch: BrokerEpoch(message.epoch),
        incarnation: At(NAME, "incarnation").incarnation(&message.incarnation)?,
        listeners: At(NAME, "listeners").endpoints(message.listeners)?,
        internal: At(NAME, "internal").host_port(message.internal)?,
        rack: message.rack,
        log_dirs: At(NAME, "log_dirs").directory_ids(&message.log_dirs)?,
        fenced: message.fenced,
        in_controlled_shutdown: message.in_controlled_shutdown,
        software: At(NAME, "software").software(message.software)?,
    })
}

/// Without topic id and partition.
fn partition_to_pb(state: &PartitionImage) -> pb::Partition {
    pb::Partition {
        topic_id: Bytes::new(),
        partition: 0,
        replicas: numbers_of(&state.replicas),
        directories: bytes_of_directories(&state.directories),
        isr: numbers_of(&state.isr),
        elr: numbers_of(&state.elr),
        last_known_elr: numbers_of(&state.last_known_elr),
        adding: numbers_of(&state.adding),
        removing: numbers_of(&state.removing),
        leader: state.leader.get(),
        leader_recovery: i32::from(state.leader_recovery.code()),
        leader_epoch: state.leader_epoch.get(),
        partition_epoch: state.partition_epoch.get(),
        unclean_epoch: Some(state.unclean_epoch).filter(|&epoch| epoch != LeaderEpoch::NONE).map(LeaderEpoch::get),
    }
}

fn partition_from_pb(message: &pb::Partition) -> Result<PartitionImage, ConversionError> {
    const NAME: &str = "Partition";
    Ok(PartitionImage {
        replicas: broker_ids(&message.replicas),
        directories: At(NAME, "directories").directory_ids(&message.directories)?,
        isr: broker_ids(&message.isr),
        elr: broker_ids(&message.elr).into(),
        last_known_elr: broker_ids(&message.last_known_elr).into(),
        adding: broker_ids(&message.adding).into(),
        removing: broker_ids(&message.removing).into(),
        leader: BrokerId(message.leader),
        leader_recovery: At(NAME, "leader_recovery").leader_recovery(message.leader_recovery)?,
        leader_epoch: LeaderEpoch(message.leader_epoch),
        partition_epoch: PartitionEpoch(message.partition_epoch),
        unclean_epoch: message.unclean_epoch.map_or(LeaderEpoch::NONE, LeaderEpoch),
    })
}

fn partition_change_to_pb(change: &PartitionChange) -> pb::PartitionChange {
    let list = |ids: &Option<Vec<BrokerId>>| ids.as_deref().map(|ids| pb::BrokerIds { ids: numbers_of(ids) });
    let directories = |ids: &[DirectoryId]| pb::DirectoryIds { ids: bytes_of_directories(ids) };
    pb::PartitionChange {
        topic_id: bytes_of(change.topic_id.to_bytes()),
        partition: change.partition.get(),
        replicas: list(&change.replicas),
        directories: change.directories.as_deref().map(directories),
        isr: list(&change.isr),
        elr: list(&change.elr),
        last_known_elr: list(&change.last_known_elr),
        adding: list(&change.adding),
        removing: list(&change.removing),
        leader: change.leader.map(BrokerId::get),
        leader_recovery: change.leader_recovery.map(|state| i32::from(state.code())),
        leader_epoch: change.leader_epoch.get(),
        partition_epoch: change.partition_epoch.get(),
    }
}

fn partition_change_from_pb(message: pb::PartitionChange) -> Result<PartitionChange, ConversionError> {
    const NAME: &str = "PartitionChange";
    let list = |ids: Option<pb::BrokerIds>| ids.map(|ids| broker_ids(&ids.ids));
    let state = |code| -> Result<LeaderRecoveryState, _> { At(NAME, "leader_recovery").leader_recovery(code) };
    let directories = |ids: pb::DirectoryIds| At(NAME, "directories").directory_ids(&ids.ids);
    Ok(PartitionChange {
        topic_id: At(NAME, "topic_id").topic_id(&message.topic_id)?,
        partition: PartitionIndex(message.partition),
        replicas: list(message.replicas),
        directories: message.directories.map(directories).transpose()?,
        isr: list(message.isr),
        elr: list(message.elr),
        last_known_elr: list(message.last_known_elr),
        adding: list(message.adding),
        removing: list(message.removing),
        leader: message.leader.map(BrokerId),
        leader_recovery: message.leader_recovery.map(state).transpose()?,
        leader_epoch: LeaderEpoch(message.leader_epoch),
        partition_epoch: PartitionEpoch(message.partition_epoch),
    })
}
