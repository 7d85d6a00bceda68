//! Who leads a partition, and who is in its ISR, when brokers come and go.
//!
//! Transitions of a partition, each of which raises the partition epoch, and the leader epoch when the leader changes:
//! - a member of the ISR becomes unavailable: it leaves the ISR, unless it is the last member (M5);
//! - the leader becomes unavailable: the first available replica of the ISR, in the order of the assignment, leads; without one
//!   nobody leads, and the ISR keeps its last member, which holds everything that was acknowledged;
//! - with `unclean.leader.election.enable` the first available replica leads, alone in the ISR, marked as recovering (KIP-704);
//! - a member of the ISR of a partition without leader comes back: it leads.

use std::cell::LazyCell;

use highwater_metadata::{
    LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionChange, PartitionImage, TopicImage,
};
use highwater_types::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicIdPartition};

use crate::ControllerConfig;
use crate::scratch::Scratch;

/// Most partition changes of one decision that may go on in a later one. One decision is one Raft entry, which must stay
/// small against the snapshot and append limits of the quorum; Kafka caps its batches at the same number.
pub(crate) const MAX_PARTITION_CHANGES: usize = 10_000;

/// The topic key that lets a replica outside the ISR lead.
pub(crate) const UNCLEAN_ELECTION: &str = "unclean.leader.election.enable";

/// Brings all partitions of which `broker` is in the ISR, or would be leader, in line with the brokers' state in the image.
/// With `limit` at most that many partitions change. Returns how many did.
pub(crate) fn remove_from_isrs(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    broker: BrokerId,
    limit: Option<usize>,
) -> usize {
    let concerned = |partition: &PartitionImage| partition.isr.contains(&broker);
    reelect(scratch, config, concerned, limit)
}

/// Elects leaders of partitions that have none and that `broker`, which became available, holds.
pub(crate) fn elect_for_returning(scratch: &mut Scratch, config: &ControllerConfig, broker: BrokerId) {
    reelect(scratch, config, |partition| !partition.has_leader() && partition.replicas.contains(&broker), None);
}

/// Elects leaders of partitions that have none, after the configuration changed.
pub(crate) fn elect_for_leaderless(scratch: &mut Scratch, config: &ControllerConfig) {
    reelect(scratch, config, |partition| !partition.has_leader(), Some(MAX_PARTITION_CHANGES));
}

fn reelect(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    concerned: impl Fn(&PartitionImage) -> bool,
    limit: Option<usize>,
) -> usize {
    let image = scratch.image();
    let mut records = Vec::new();
    for topic in image.topics() {
        let partitions = topic.iter().filter(|(_, partition)| concerned(partition));
        let unclean_allowed = LazyCell::new(|| is_unclean_allowed(image, config, topic));
        let changes = partitions.filter_map(|(index, partition)| {
            let next = next_state(image, partition, || *unclean_allowed);
            change_between(topic.id, index, partition, &next)
        });
        records.extend(
            changes.map(MetadataRecord::PartitionChange).take(limit.map_or(usize::MAX, |limit| limit - records.len())),
        );
        if limit == Some(records.len()) {
            break;
        }
    }
    let count = records.len();
    scratch.extend(records);
    count
}

/// The state of a partition that fits the brokers' state. Epochs are those of before.
fn next_state(image: &MetadataImage, partition: &PartitionImage, unclean_allowed: impl Fn() -> bool) -> PartitionImage {
    let mut next = partition.clone();
    next.isr.retain(|&id| image.is_active(id));
    if next.isr.is_empty() {
        // Nobody of the ISR is available. One that is merely about to stop is not fenced, and is kept before one that is.
        next.isr.clone_from(&partition.isr);
        if partition.isr.iter().any(|&id| image.is_unfenced(id)) {
            next.isr.retain(|&id| image.is_unfenced(id));
        } else {
            next.isr.truncate(1);
        }
    }
    let eligible = |id: BrokerId, isr: &[BrokerId]| isr.contains(&id) && image.is_active(id);
    if eligible(partition.leader, &next.isr) {
        return next;
    }
    let from_isr = next.replicas.iter().copied().find(|&id| eligible(id, &next.isr));
    next.leader = from_isr.unwrap_or(BrokerId::NONE);
    if from_isr.is_none() && unclean_allowed() {
        elect_uncleanly(image, &mut next);
    }
    next
}

fn is_unclean_allowed(image: &MetadataImage, config: &ControllerConfig, topic: &TopicImage) -> bool {
    let value = image.topic_value(topic.name.as_str(), UNCLEAN_ELECTION, &config.static_config);
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// The first available replica leads, although it may lack acknowledged records.
fn elect_uncleanly(image: &MetadataImage, next: &mut PartitionImage) {
    if let Some(id) = next.replicas.iter().copied().find(|&id| image.is_active(id)) {
        next.leader = id;
        next.isr = vec![id];
        next.elr.clear();
        next.last_known_elr.clear();
        next.leader_recovery = LeaderRecoveryState::Recovering;
    }
}

/// The change from `old` to `new`; `None` when nothing but epochs would change.
pub(crate) fn change_between(
    topic_id: TopicId,
    partition: PartitionIndex,
    old: &PartitionImage,
    new: &PartitionImage,
) -> Option<PartitionChange> {
    let with_old_epochs =
        PartitionImage { leader_epoch: old.leader_epoch, partition_epoch: old.partition_epoch, ..new.clone() };
    (*old != with_old_epochs).then(|| change(topic_id, partition, old, new))
}

/// The change from `old` to `new`, with the epochs that follow: those of `new` are not looked at.
pub(crate) fn change(
    topic_id: TopicId,
    partition: PartitionIndex,
    old: &PartitionImage,
    new: &PartitionImage,
) -> PartitionChange {
    fn changed<T: PartialEq + Clone>(old: &T, new: &T) -> Option<T> {
        (old != new).then(|| new.clone())
    }
    PartitionChange {
        topic_id,
        partition,
        replicas: changed(&old.replicas, &new.replicas),
        directories: changed(&old.directories, &new.directories),
        isr: changed(&old.isr, &new.isr),
        elr: changed(&old.elr, &new.elr),
        last_known_elr: changed(&old.last_known_elr, &new.last_known_elr),
        adding: changed(&old.adding, &new.adding),
        removing: changed(&old.removing, &new.removing),
        leader: changed(&old.leader, &new.leader),
        leader_recovery: changed(&old.leader_recovery, &new.leader_recovery),
        leader_epoch: LeaderEpoch(old.leader_epoch.get() + i32::from(old.leader != new.leader)),
        partition_epoch: PartitionEpoch(old.partition_epoch.get() + 1),
    }
}

/// Partitions whose leadership or ISR still depends on `broker` although others could take over.
pub(crate) fn depends_on(image: &MetadataImage, broker: BrokerId) -> bool {
    let mut partitions = image.topics().flat_map(|topic| topic.partitions.iter());
    partitions
        .any(|partition| partition.leader == broker || (partition.isr.len() > 1 && partition.isr.contains(&broker)))
}

/// The partition and its topic.
pub(crate) fn find(image: &MetadataImage, key: TopicIdPartition) -> Option<(&TopicImage, &PartitionImage)> {
    let topic = image.topic(key.topic_id)?;
    Some((topic, topic.partition(key.partition)?))
}
