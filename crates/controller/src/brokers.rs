//! Brokers come, serve, stop and go (KIP-631).

use highwater_metadata::config::Durability;
use highwater_metadata::{BrokerChange, BrokerRegistration, MetadataImage, MetadataRecord, PartitionImage, TopicImage};
use highwater_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode};

use crate::cluster::check_cluster_id;
use crate::election::{
    Loss, MAX_PARTITION_CHANGES, depends_on, elect_for_returning, remove_directories_from_isrs, remove_from_isrs,
    remove_returning,
};
use crate::scratch::Scratch;
use crate::{
    BrokerSession, CommandError, CommandResponse, ControllerConfig, FenceBroker, RegisterBroker, UnfenceBroker,
    UnregisterBroker,
};

/// The new registration replaces the present one and starts fenced, so the broker leaves all ISRs.
pub(crate) fn register(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    request: &RegisterBroker,
) -> Result<CommandResponse, CommandError> {
    check_registration(scratch.image(), request)?;
    let registration = BrokerRegistration {
        id: request.id,
        // The offset of this very record: later registrations have later offsets (M3).
        epoch: BrokerEpoch(scratch.next_offset().get()),
        incarnation: request.incarnation,
        listeners: request.listeners.clone(),
        internal: request.internal.clone(),
        rack: request.rack.clone(),
        log_dirs: sorted(&request.log_dirs),
        fenced: true,
        in_controlled_shutdown: false,
        software: request.software.clone(),
    };
    let previous = scratch.image().broker(request.id).cloned();
    if let Some(present) = previous.as_deref().filter(|present| is_same_run(present, &registration)) {
        // The answer to an earlier request was lost, or the broker opens its session with another controller. Directories
        // may have failed meanwhile.
        let gone: Vec<DirectoryId> =
            present.log_dirs.iter().copied().filter(|directory| !request.log_dirs.contains(directory)).collect();
        let epoch = present.epoch;
        if present.software != request.software {
            let software = Some(request.software.clone());
            let change = BrokerChange { software, ..BrokerChange::nothing(request.id, epoch) };
            scratch.push(MetadataRecord::BrokerChange(change));
        }
        take_directories_offline(scratch, config, BrokerSession { id: request.id, epoch }, &gone);
        return Ok(CommandResponse::RegisterBroker { epoch });
    }
    let epoch = registration.epoch;
    scratch.push(MetadataRecord::RegisterBroker(registration));
    let image = scratch.image().clone();
    remove_returning(scratch, config, request.id, |topic, partition| {
        loss((&image, config), (previous.as_deref(), request), topic, partition)
    });
    Ok(CommandResponse::RegisterBroker { epoch })
}

pub(crate) fn unfence(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    request: &UnfenceBroker,
) -> Result<CommandResponse, CommandError> {
    let broker = check_session(scratch.image(), request.session)?;
    if request.metadata_offset.get() <= broker.epoch.get() {
        let message = format!(
            "Broker {} has applied metadata up to offset {} only, and its registration is at {}.",
            broker.id, request.metadata_offset, broker.epoch
        );
        return Err(CommandError::new(ErrorCode::InvalidRequest, message));
    }
    if broker.fenced {
        change(scratch, request.session, Some(false), None);
        elect_for_returning(scratch, config, request.session.id);
    }
    Ok(CommandResponse::UnfenceBroker)
}

pub(crate) fn fence(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    request: &FenceBroker,
) -> Result<CommandResponse, CommandError> {
    let broker = check_session(scratch.image(), request.session)?;
    if !broker.fenced {
        change(scratch, request.session, Some(true), None);
        // Never in parts: a fenced broker must not stay leader of anything (M5).
        remove_from_isrs(scratch, config, request.session.id, None);
    }
    Ok(CommandResponse::FenceBroker)
}

/// Moves leaderships away in bounded steps: the broker asks again until it may stop.
pub(crate) fn controlled_shutdown(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    session: BrokerSession,
) -> Result<CommandResponse, CommandError> {
    let broker = check_session(scratch.image(), session)?;
    if !broker.in_controlled_shutdown {
        change(scratch, session, None, Some(true));
    }
    remove_from_isrs(scratch, config, session.id, Some(MAX_PARTITION_CHANGES));
    Ok(CommandResponse::ControlledShutdown {
        may_stop: !depends_on(scratch.image(), session.id),
        offset: scratch.offset(),
    })
}

pub(crate) fn unregister(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    request: &UnregisterBroker,
) -> Result<CommandResponse, CommandError> {
    let Some(broker) = scratch.image().broker(request.id) else {
        let message = format!("Broker ID {} is not currently registered", request.id);
        return Err(CommandError::new(ErrorCode::BrokerIdNotRegistered, message));
    };
    let epoch = broker.epoch;
    scratch.push(MetadataRecord::UnregisterBroker { id: request.id, epoch });
    remove_from_isrs(scratch, config, request.id, None);
    Ok(CommandResponse::UnregisterBroker)
}

/// Takes `directories` out of the registration, and their replicas out of all ISRs: all in this one decision, because a replica
/// that is out of service must not stay leader of anything. Unknown directories change nothing.
pub(crate) fn take_directories_offline(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    session: BrokerSession,
    directories: &[DirectoryId],
) {
    let BrokerSession { id, epoch } = session;
    let Some(broker) = scratch.image().broker(id) else { return };
    let online: Vec<DirectoryId> =
        broker.log_dirs.iter().copied().filter(|directory| !directories.contains(directory)).collect();
    if online.len() == broker.log_dirs.len() {
        return;
    }
    let change = BrokerChange { log_dirs: Some(online), ..BrokerChange::nothing(id, epoch) };
    scratch.push(MetadataRecord::BrokerChange(change));
    remove_directories_from_isrs(scratch, config, id, directories);
}

/// The registration of a session that must be the present one.
pub(crate) fn check_session(
    image: &MetadataImage,
    session: BrokerSession,
) -> Result<&BrokerRegistration, CommandError> {
    let stale = |message| CommandError::new(ErrorCode::StaleBrokerEpoch, message);
    match image.broker(session.id) {
        None => Err(stale(format!(
            "Expected a registration of broker {} at epoch {}, but it has none",
            session.id, session.epoch
        ))),
        Some(broker) if broker.epoch != session.epoch => Err(stale(format!(
            "Expected broker epoch {} of broker {}, but got broker epoch {}",
            broker.epoch, session.id, session.epoch
        ))),
        Some(broker) => Ok(broker),
    }
}

fn check_registration(image: &MetadataImage, request: &RegisterBroker) -> Result<(), CommandError> {
    check_cluster_id(image, request.cluster_id.as_deref())?;
    let invalid = |message: String| Err(CommandError::new(ErrorCode::InvalidRegistration, message));
    if request.id < BrokerId(0) {
        return invalid(format!("Broker id {} is negative.", request.id));
    }
    if request.incarnation.is_zero() {
        return invalid(format!("Broker {} gave no incarnation id.", request.id));
    }
    if let Some((name, level)) = request.software.first_unknown(image) {
        let range = request.software.range(name).map_or("none".to_owned(), |range| range.to_string());
        let message = format!(
            "Unable to register because the broker does not support finalized version {level} of feature {name}: it knows {range}. \
             Install the version of the other nodes on broker {}.",
            request.id
        );
        return Err(CommandError::new(ErrorCode::UnsupportedVersion, message));
    }
    if request.listeners.is_empty() {
        return invalid(format!("Broker {} has no listeners.", request.id));
    }
    for (index, listener) in request.listeners.iter().enumerate() {
        if request.listeners[..index].iter().any(|other| other.name == listener.name) {
            return invalid(format!("Broker {} has two listeners named {}.", request.id, listener.name));
        }
    }
    for (index, directory) in request.log_dirs.iter().enumerate() {
        if directory.is_reserved() || request.log_dirs[..index].contains(directory) {
            return invalid(format!("Broker {} names log directory {directory} twice, or it is no id.", request.id));
        }
        if let Some(other) = image.brokers().find(|other| other.id != request.id && other.log_dirs.contains(directory))
        {
            return invalid(format!(
                "Log directory {directory} of broker {} is also registered by broker {}.",
                request.id, other.id
            ));
        }
    }
    match image.broker(request.id) {
        Some(present)
            if request.previous_session_valid
                && present.incarnation != request.incarnation
                && !present.in_controlled_shutdown =>
        {
            let message = format!(
                "Another process is registered as broker {} and is alive. If it was stopped a moment ago, its session ends soon.",
                request.id
            );
            Err(CommandError::new(ErrorCode::DuplicateBrokerRegistration, message))
        }
        _ => Ok(()),
    }
}

fn is_same_run(present: &BrokerRegistration, new: &BrokerRegistration) -> bool {
    let BrokerRegistration { epoch, fenced, in_controlled_shutdown, .. } = *present;
    let (log_dirs, software) = (present.log_dirs.clone(), present.software.clone());
    *present == BrokerRegistration { epoch, fenced, in_controlled_shutdown, log_dirs, software, ..new.clone() }
}

fn sorted<T: Ord + Clone>(ids: &[T]) -> Vec<T> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

fn change(scratch: &mut Scratch, session: BrokerSession, fenced: Option<bool>, in_controlled_shutdown: Option<bool>) {
    let BrokerSession { id, epoch } = session;
    let change = BrokerChange { fenced, in_controlled_shutdown, ..BrokerChange::nothing(id, epoch) };
    scratch.push(MetadataRecord::BrokerChange(change));
}

/// What the broker may have lost of a partition since its last registration (P10): everything, when the directory of the
/// replica is not there any more; what it had not flushed, when it did not stop in order and the topic's durability is
/// relaxed (KIP-966). With strict durability what it had acknowledged was flushed.
fn loss(
    (image, config): (&MetadataImage, &ControllerConfig),
    (previous, request): (Option<&BrokerRegistration>, &RegisterBroker),
    topic: &TopicImage,
    partition: &PartitionImage,
) -> Option<Loss> {
    let is_there = |directory: &DirectoryId| request.log_dirs.contains(directory);
    let position = partition.replicas.iter().position(|&id| id == request.id)?;
    let is_kept = match partition.directories[position] {
        // It never told in which directory the replica is.
        DirectoryId::UNASSIGNED => previous.is_some_and(|broker| broker.log_dirs.iter().all(is_there)),
        // A directory that is not in service now may come back as it was; until then the replica cannot be elected.
        known => is_there(&known) || (request.has_offline_log_dirs && known != DirectoryId::LOST),
    };
    if !is_kept {
        return Some(Loss::Everything(request.id));
    }
    let is_relaxed =
        || image.topic_config(topic.name.as_str(), &config.static_config).durability == Durability::Relaxed;
    (!request.clean_shutdown && is_relaxed()).then_some(Loss::Unflushed(request.id))
}
