//! AlterPartitionReassignments (KIP-455, KIP-860).

use highwater_metadata::{MetadataImage, MetadataRecord, PartitionImage};
use highwater_types::{BrokerId, ErrorCode, PartitionIndex};

use crate::assignment::check_manual;
use crate::election::{Election, MAX_PARTITION_CHANGES, Rules, change_between, settle};
use crate::reassignment::with_target;
use crate::scratch::Scratch;
use crate::throttles;
use crate::{
    AlterPartitionReassignments, CommandError, CommandResponse, ControllerConfig, Reassignment, ReassignmentResult,
};

pub(crate) fn alter(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    request: &AlterPartitionReassignments,
) -> Result<CommandResponse, CommandError> {
    request.rate.map_or(Ok(()), throttles::check)?;
    let results = request.reassignments.iter().enumerate().map(|(position, reassignment)| {
        let result = if position < MAX_PARTITION_CHANGES {
            alter_one(scratch, config, request.allow_replication_factor_change, reassignment)
        } else {
            let message = format!("At most {MAX_PARTITION_CHANGES} partitions are reassigned at once.");
            Err(CommandError::new(ErrorCode::PolicyViolation, message))
        };
        ReassignmentResult { topic: reassignment.topic.clone(), partition: reassignment.partition, result }
    });
    let results: Vec<ReassignmentResult> = results.collect();
    if let Some(rate) = request.rate.filter(|_| results.iter().any(|one| is_moved_by(scratch.image(), one))) {
        throttles::set(scratch, rate);
    }
    Ok(CommandResponse::AlterPartitionReassignments(results))
}

/// Whether the request began a reassignment of this partition: it may have changed the order of replicas only.
fn is_moved_by(image: &MetadataImage, one: &ReassignmentResult) -> bool {
    let topic = image.topic_by_name(&one.topic);
    let partition = topic.and_then(|topic| topic.partition(one.partition));
    one.result.is_ok() && partition.is_some_and(|partition| partition.is_reassigning())
}

fn alter_one(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    allow_replication_factor_change: bool,
    request: &Reassignment,
) -> Result<(), CommandError> {
    let image = scratch.image();
    let unknown = |message| CommandError::new(ErrorCode::UnknownTopicOrPartition, message);
    let Some(topic) = image.topic_by_name(&request.topic) else {
        return Err(unknown(format!("Unable to find a topic named {}.", request.topic)));
    };
    let Some(partition) = topic.partition(request.partition) else {
        return Err(unknown(format!("Unable to find partition {}:{}.", request.topic, request.partition)));
    };
    let target = match &request.replicas {
        Some(target) => {
            check_manual(image, target, None)?;
            if !allow_replication_factor_change {
                check_replication_factor(partition, target)?;
            }
            target.clone()
        }
        None if partition.is_reassigning() => partition.original_replicas(),
        None => {
            let message = "No partition reassignment in progress.";
            return Err(CommandError::new(ErrorCode::NoReassignmentInProgress, message));
        }
    };
    let wanted = with_target(image, partition, &target);
    check_still_led(&request.topic, request.partition, partition, &wanted)?;
    let next = settle(&Rules::of(image, config, topic), partition, wanted, None, Election::Online);
    if let Some(change) = change_between(topic.id, request.partition, partition, &next) {
        scratch.push(MetadataRecord::PartitionChange(change));
    }
    Ok(())
}

/// KIP-860. A running reassignment counts as completed.
fn check_replication_factor(partition: &PartitionImage, target: &[BrokerId]) -> Result<(), CommandError> {
    let present = partition.replicas.iter().filter(|id| !partition.removing.contains(id)).count();
    if present == target.len() {
        return Ok(());
    }
    let message = format!("The replication factor is changed from {present} to {}", target.len());
    Err(CommandError::new(ErrorCode::InvalidReplicationFactor, message))
}

/// The replicas that go at once must not be the only ones that hold everything.
fn check_still_led(
    topic: &str,
    index: PartitionIndex,
    old: &PartitionImage,
    wanted: &PartitionImage,
) -> Result<(), CommandError> {
    let loses_isr = wanted.isr.is_empty() && !old.isr.is_empty();
    let loses_all = wanted.isr.is_empty() && wanted.elr.is_empty() && !old.elr.is_empty();
    if !loses_isr && !loses_all {
        return Ok(());
    }
    let message = format!(
        "Unable to revert partition assignment for {topic}:{index} because it would require an unclean leader election."
    );
    Err(CommandError::new(ErrorCode::InvalidReplicaAssignment, message))
}
