//! Log directories of brokers: which replica is where, and which directories failed (KIP-858).
//!
//! A replica whose directory is not in service is as unavailable as one whose broker is fenced: it leaves the ISR, may stay
//! eligible, and leads again only when the directory is back. A replica that is assigned to [`DirectoryId::LOST`] holds
//! nothing that counts: it stays out of ISR and ELR until it was refetched (P10).

use highwater_metadata::{MetadataImage, MetadataRecord, PartitionImage};
use highwater_types::{BrokerId, DirectoryId, ErrorCode};

use crate::brokers::{check_session, take_directories_offline};
use crate::election::{Election, Loss, Rules, change_between, find, settle};
use crate::scratch::Scratch;
use crate::{
    AssignReplicasToDirs, CommandError, CommandResponse, ControllerConfig, DirectoryAssignment,
    DirectoryAssignmentResult, OfflineLogDirs,
};

pub(crate) fn take_offline(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    request: &OfflineLogDirs,
) -> Result<CommandResponse, CommandError> {
    check_session(scratch.image(), request.session)?;
    take_directories_offline(scratch, config, request.session, &request.directories);
    Ok(CommandResponse::OfflineLogDirs)
}

pub(crate) fn assign(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    request: &AssignReplicasToDirs,
) -> Result<CommandResponse, CommandError> {
    check_session(scratch.image(), request.session)?;
    let results = request.assignments.iter().map(|assignment| DirectoryAssignmentResult {
        target: assignment.target,
        result: assign_one(scratch, config, request.session.id, assignment),
    });
    Ok(CommandResponse::AssignReplicasToDirs(results.collect()))
}

fn assign_one(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    broker: BrokerId,
    request: &DirectoryAssignment,
) -> Result<(), CommandError> {
    let DirectoryAssignment { target, directory } = *request;
    let image = scratch.image();
    let Some((topic, partition)) = find(image, target) else {
        let code = match image.topic(target.topic_id) {
            None => ErrorCode::UnknownTopicId,
            Some(_) => ErrorCode::UnknownTopicOrPartition,
        };
        let message = format!("No partition {} of a topic with id {}.", target.partition, target.topic_id);
        return Err(CommandError::new(code, message));
    };
    let Some(position) = partition.replicas.iter().position(|&id| id == broker) else {
        let message = format!("Broker {broker} is no replica of {}-{}.", topic.name, target.partition);
        return Err(CommandError::new(ErrorCode::NotLeaderOrFollower, message));
    };
    let mut wanted = partition.clone();
    wanted.directories[position] = directory;
    let loss = is_lost(image, partition, broker, directory).then_some(Loss::Everything(broker));
    if loss.is_some() && partition.is_candidate(broker) && !has_other_member(image, partition, broker) {
        let message = format!(
            "Broker {broker} has the only available in-sync replica of {}-{}: what is left of it is not given up.",
            topic.name, target.partition
        );
        return Err(CommandError::new(ErrorCode::EligibleLeadersNotAvailable, message));
    }
    let next = settle(&Rules::of(image, config, topic), partition, wanted, loss, Election::Online);
    if let Some(change) = change_between(target.topic_id, target.partition, partition, &next) {
        scratch.push(MetadataRecord::PartitionChange(change));
    }
    Ok(())
}

/// Whether the replica gives up what it held: it says so, or it begins in another directory while the one that it was in is
/// out of service.
fn is_lost(image: &MetadataImage, partition: &PartitionImage, broker: BrokerId, directory: DirectoryId) -> bool {
    let is_elsewhere = || {
        !image.has_online_directory(partition, broker)
            && image.broker(broker).is_some_and(|broker| broker.log_dirs.contains(&directory))
    };
    directory == DirectoryId::LOST || is_elsewhere()
}

/// Whether another in-sync replica goes on.
fn has_other_member(image: &MetadataImage, partition: &PartitionImage, broker: BrokerId) -> bool {
    partition.isr.iter().any(|&id| id != broker && image.is_replica_active(partition, id))
}
