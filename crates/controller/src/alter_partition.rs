//! ISR changes by compare-and-set (KIP-497, KIP-841).
//!
//! The leader names the state it saw (leader epoch, partition epoch) and the registration in which each member caught up. A
//! proposal over another state, or with a member that has been away since, changes nothing (P8).

use highwater_metadata::{LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionImage, TopicImage};
use highwater_types::{BrokerEpoch, BrokerId, ErrorCode};

use crate::brokers::check_session;
use crate::election::{Election, Rules, change, find, settle};
use crate::scratch::Scratch;
use crate::{
    AlterPartition, AlterPartitionEntry, AlterPartitionResult, CommandError, CommandResponse, ControllerConfig,
    IsrMember, PartitionIsrState,
};

pub(crate) fn alter(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    request: &AlterPartition,
) -> Result<CommandResponse, CommandError> {
    check_session(scratch.image(), request.session)?;
    let results = request.partitions.iter().map(|entry| AlterPartitionResult {
        target: entry.target,
        result: alter_one(scratch, config, request.session.id, entry),
    });
    Ok(CommandResponse::AlterPartition(results.collect()))
}

fn alter_one(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    sender: BrokerId,
    entry: &AlterPartitionEntry,
) -> Result<PartitionIsrState, CommandError> {
    let image = scratch.image();
    let Some((topic, partition)) = find(image, entry.target) else { return Err(unknown(image, entry)) };
    check_epochs(topic, partition, sender, entry)?;
    check_proposal(topic, partition, entry)?;
    check_members(image, topic, partition, entry)?;

    let wanted = PartitionImage {
        isr: entry.new_isr.iter().map(|member| member.broker).collect(),
        leader_recovery: entry.leader_recovery,
        ..partition.clone()
    };
    // The change may end a reassignment, and with it the sender's leadership.
    let next = settle(&Rules::of(image, config, topic), partition, wanted, None, Election::Online);
    // Also when nothing changes: the leader consumes the partition epoch with such a proposal, so that a delayed duplicate of
    // an earlier one, whose outcome it never learnt, can not be accepted any more.
    scratch.push(MetadataRecord::PartitionChange(change(
        entry.target.topic_id,
        entry.target.partition,
        partition,
        &next,
    )));
    let (_, partition) = find(scratch.image(), entry.target).expect("it was there a moment ago");
    Ok(PartitionIsrState {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        isr: partition.isr.clone(),
        elr: partition.elr.to_vec(),
        leader_recovery: partition.leader_recovery,
        partition_epoch: partition.partition_epoch,
    })
}

fn unknown(image: &MetadataImage, entry: &AlterPartitionEntry) -> CommandError {
    if image.topic(entry.target.topic_id).is_none() {
        CommandError::new(ErrorCode::UnknownTopicId, format!("No topic has id {}.", entry.target.topic_id))
    } else {
        let message =
            format!("The topic with id {} has no partition {}.", entry.target.topic_id, entry.target.partition);
        CommandError::new(ErrorCode::UnknownTopicOrPartition, message)
    }
}

/// The sender must be the leader, and must have seen the state that it wants to change.
fn check_epochs(
    topic: &TopicImage,
    partition: &PartitionImage,
    sender: BrokerId,
    entry: &AlterPartitionEntry,
) -> Result<(), CommandError> {
    let refuse = |code, reason: String| {
        Err(CommandError::new(code, format!("ISR of {}-{} not changed: {reason}", topic.name, entry.target.partition)))
    };
    if entry.leader_epoch > partition.leader_epoch || entry.partition_epoch > partition.partition_epoch {
        let reason = "the sender knows a later state than this controller, which must have been deposed.";
        return refuse(ErrorCode::NotController, reason.to_owned());
    }
    if entry.leader_epoch < partition.leader_epoch {
        let reason = format!("leader epoch {} is over, it is {} now.", entry.leader_epoch, partition.leader_epoch);
        return refuse(ErrorCode::FencedLeaderEpoch, reason);
    }
    if sender != partition.leader {
        let reason = format!("broker {sender} asks, and broker {} leads.", partition.leader);
        return refuse(ErrorCode::InvalidRequest, reason);
    }
    if entry.partition_epoch < partition.partition_epoch {
        let reason =
            format!("partition epoch {} is over, it is {} now.", entry.partition_epoch, partition.partition_epoch);
        return refuse(ErrorCode::InvalidUpdateVersion, reason);
    }
    Ok(())
}

/// The proposal must make sense by itself.
fn check_proposal(
    topic: &TopicImage,
    partition: &PartitionImage,
    entry: &AlterPartitionEntry,
) -> Result<(), CommandError> {
    let isr: Vec<BrokerId> = entry.new_isr.iter().map(|member| member.broker).collect();
    let reason = if isr.iter().enumerate().any(|(index, id)| isr[..index].contains(id)) {
        "a broker is named twice"
    } else if isr.iter().any(|id| !partition.replicas.contains(id)) {
        "a broker is no replica"
    } else if !isr.contains(&partition.leader) {
        "the leader is missing"
    } else if entry.leader_recovery == LeaderRecoveryState::Recovering && isr.len() > 1 {
        "a leader that recovers is alone"
    } else if entry.leader_recovery == LeaderRecoveryState::Recovering
        && partition.leader_recovery == LeaderRecoveryState::Recovered
    {
        "a leader that has recovered does not recover again"
    } else {
        return Ok(());
    };
    let message = format!(
        "Invalid ISR {isr:?} for {}-{} with replicas {:?} and leader {}: {reason}.",
        topic.name, entry.target.partition, partition.replicas, partition.leader
    );
    Err(CommandError::new(ErrorCode::InvalidRequest, message))
}

/// Every member must be available in the very registration in which the leader saw it catch up.
fn check_members(
    image: &MetadataImage,
    topic: &TopicImage,
    partition: &PartitionImage,
    entry: &AlterPartitionEntry,
) -> Result<(), CommandError> {
    let problem = |member: &IsrMember| match image.broker(member.broker) {
        None => Some(format!("broker {} is not registered", member.broker)),
        Some(broker) if broker.fenced => Some(format!("broker {} is fenced", member.broker)),
        Some(broker) if broker.in_controlled_shutdown => Some(format!("broker {} is about to stop", member.broker)),
        Some(broker) if member.epoch != BrokerEpoch::NONE && member.epoch != broker.epoch => {
            Some(format!("broker {} is registered with epoch {}, not {}", member.broker, broker.epoch, member.epoch))
        }
        Some(_) if !image.has_online_directory(partition, member.broker) => {
            Some(format!("the log directory of broker {} is offline", member.broker))
        }
        Some(_) => None,
    };
    match entry.new_isr.iter().find_map(problem) {
        None => Ok(()),
        Some(reason) => {
            let message = format!("ISR of {}-{} not changed: {reason}.", topic.name, entry.target.partition);
            Err(CommandError::new(ErrorCode::IneligibleReplica, message))
        }
    }
}
