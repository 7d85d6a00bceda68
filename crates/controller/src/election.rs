//! Who leads a partition, and who is in its ISR and ELR, when brokers come and go (KIP-966).
//!
//! The members of ISR and ELR hold everything that was acknowledged; any of them may lead. Transitions of a partition, each
//! of which raises the partition epoch, and the leader epoch when the leader changes or a replica goes:
//! - a member of the ISR becomes unavailable, because its broker does or its log directory fails: it leaves the ISR (M5), and enters the ELR if the ISR falls below
//!   `min.insync.replicas`, since nothing is committed from then on;
//! - the ISR has `min.insync.replicas` again: the ELR is empty;
//! - a member lost what it had, or may have (P10): it leaves the ELR too;
//! - the leader becomes unavailable: the first member of the ISR in the order of the assignment leads; without one the first
//!   available member of the ELR, alone in the ISR; without one nobody leads;
//! - ISR and ELR are empty, which takes the loss of unflushed records everywhere: the last known leader leads once it is
//!   available, marked as recovering. Nobody can hold more than it does;
//! - with `unclean.leader.election.enable`, or when an operator asks for it, the first available replica leads, alone in the
//!   ISR, marked as recovering (KIP-704);
//! - a reassignment whose added replicas are in the ISR ends (KIP-455): see `complete_reassignment`.

use std::cell::LazyCell;

use highwater_metadata::{
    LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionChange, PartitionImage, TopicImage,
};
use highwater_types::{BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicIdPartition};

use crate::ControllerConfig;
use crate::assignment::directory_of;
use crate::reassignment::complete_reassignment;
use crate::scratch::Scratch;

/// Most partition changes of one decision that may go on in a later one. One decision is one Raft entry, which must stay
/// small against the snapshot and append limits of the quorum; Kafka caps its batches at the same number.
pub(crate) const MAX_PARTITION_CHANGES: usize = 10_000;

/// The topic key that lets a replica outside ISR and ELR lead.
pub(crate) const UNCLEAN_ELECTION: &str = "unclean.leader.election.enable";
/// The topic key that bounds the ISR from below.
pub(crate) const MIN_ISR: &str = "min.insync.replicas";

/// Which leader is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Election {
    /// The present one, or else any that is safe (any at all where the topic allows it).
    Online,
    /// The preferred one, or else as [`Self::Online`].
    Preferred,
    /// The present one, or else any that is safe, or else any at all.
    Unclean,
}

/// What is known against one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It may lack records that it had acknowledged and not flushed.
    Unflushed(BrokerId),
    /// Its log is not where it was: its disk was replaced or emptied.
    Everything(BrokerId),
}

/// What decides about the partitions of one topic.
pub(crate) struct Rules<'a> {
    image: &'a MetadataImage,
    /// `min.insync.replicas`, at least 1.
    min_isr: usize,
    /// `unclean.leader.election.enable`.
    unclean_allowed: bool,
}

impl<'a> Rules<'a> {
    pub(crate) fn of(image: &'a MetadataImage, config: &ControllerConfig, topic: &TopicImage) -> Self {
        let value = |key| image.topic_value(topic.name.as_str(), key, &config.static_config);
        Self {
            image,
            min_isr: value(MIN_ISR).and_then(|text| text.trim().parse().ok()).unwrap_or(1).max(1),
            unclean_allowed: value(UNCLEAN_ELECTION).is_some_and(|text| text.trim().eq_ignore_ascii_case("true")),
        }
    }

    /// `min.insync.replicas`, capped by how many replicas there are.
    pub(crate) fn effective_min_isr(&self, replicas: usize) -> usize {
        self.min_isr.min(replicas)
    }

    /// The first replica of the partition among `ids` that is available.
    fn first_available(&self, ids: &[BrokerId], partition: &PartitionImage) -> Option<BrokerId> {
        partition.replicas.iter().copied().find(|&id| ids.contains(&id) && self.image.is_replica_active(partition, id))
    }
}

/// The state that follows when `wanted` is to become of `old`: the brokers' state, a loss and the election are taken into
/// account. Epochs are not touched.
pub(crate) fn settle(
    rules: &Rules<'_>,
    old: &PartitionImage,
    wanted: PartitionImage,
    loss: Option<Loss>,
    election: Election,
) -> PartitionImage {
    let mut next = wanted;
    next.isr = wanted_isr(rules, &next);
    complete_reassignment(|replicas| rules.effective_min_isr(replicas), &mut next);
    next.elr = eligible(rules, old, &next, loss).into();
    next.last_known_elr = last_known(old, loss).into();
    elect(rules, &mut next, election);
    if next.has_leader() {
        next.last_known_elr.clear();
    }
    next
}

/// The wanted members of the ISR that are available.
fn wanted_isr(rules: &Rules<'_>, next: &PartitionImage) -> Vec<BrokerId> {
    next.isr.iter().copied().filter(|&id| rules.image.is_replica_active(next, id)).collect()
}

/// Replicas outside the ISR that hold all that is committed: only while the ISR is below the minimum, since otherwise the
/// high watermark moves without them.
fn eligible(rules: &Rules<'_>, old: &PartitionImage, next: &PartitionImage, loss: Option<Loss>) -> Vec<BrokerId> {
    if next.isr.len() >= rules.effective_min_isr(next.replicas.len()) {
        return Vec::new();
    }
    let lost = loss.map(|(Loss::Unflushed(id) | Loss::Everything(id))| id);
    let may_lead =
        |id: &BrokerId| next.replicas.contains(id) && !next.isr.contains(id) && lost.is_none_or(|lost| lost != *id);
    let mut elr: Vec<BrokerId> = next.elr.iter().copied().filter(may_lead).collect();
    for id in old.isr.iter().filter(|id| may_lead(id)) {
        if !elr.contains(id) {
            elr.push(*id);
        }
    }
    elr
}

/// Who led last, as far as that replica still has its log.
fn last_known(old: &PartitionImage, loss: Option<Loss>) -> Vec<BrokerId> {
    let mut last = if old.has_leader() {
        vec![old.leader]
    } else if old.last_known_elr.is_empty() && old.isr.len() == 1 {
        // A log of a version that kept the last leader in the ISR.
        old.isr.clone()
    } else {
        old.last_known_elr.to_vec()
    };
    if let Some(Loss::Everything(id)) = loss {
        last.retain(|&other| other != id);
    }
    last
}

/// Sets the leader of `next`, and its ISR and ELR when the leader comes from outside the ISR. All members of the ISR are
/// available.
fn elect(rules: &Rules<'_>, next: &mut PartitionImage, election: Election) {
    if election == Election::Preferred && next.isr.contains(&next.preferred_leader()) {
        next.leader = next.preferred_leader();
        return;
    }
    if next.isr.contains(&next.leader) {
        return;
    }
    if let Some(id) = rules.first_available(&next.isr, next) {
        next.leader = id;
    } else if let Some(id) = rules.first_available(&next.elr, next) {
        next.leader = id;
        next.isr = vec![id];
        next.elr.retain(|&other| other != id);
    } else if let Some(id) = lossy_leader(rules, next, election) {
        next.leader = id;
        next.isr = vec![id];
        next.elr.clear();
        next.leader_recovery = LeaderRecoveryState::Recovering;
    } else {
        next.leader = BrokerId::NONE;
    }
}

/// A replica that may lack acknowledged records, if one may lead nevertheless.
fn lossy_leader(rules: &Rules<'_>, next: &PartitionImage, election: Election) -> Option<BrokerId> {
    let nobody_is_safe = next.isr.is_empty() && next.elr.is_empty();
    let last = match next.last_known_elr.as_slice() {
        [_] if nobody_is_safe => rules.first_available(&next.last_known_elr, next),
        _ => None,
    };
    let any = || {
        let permitted = rules.unclean_allowed || election == Election::Unclean;
        permitted.then(|| rules.first_available(&next.replicas, next)).flatten()
    };
    last.or_else(any)
}

/// Brings all partitions of which `broker` is in the ISR in line with the brokers' state in the image. With `limit` at most
/// that many partitions change. Returns how many did.
pub(crate) fn remove_from_isrs(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    broker: BrokerId,
    limit: Option<usize>,
) -> usize {
    let concerned = |partition: &PartitionImage| partition.isr.contains(&broker);
    reelect(scratch, config, concerned, |_, _| None, limit)
}

/// As [`remove_from_isrs`], for those of the broker's replicas that are in one of `directories`.
pub(crate) fn remove_directories_from_isrs(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    broker: BrokerId,
    directories: &[DirectoryId],
) {
    let is_there = |(&id, directory): (&BrokerId, &DirectoryId)| id == broker && directories.contains(directory);
    let concerned = |partition: &PartitionImage| {
        partition.isr.contains(&broker) && partition.replicas.iter().zip(&partition.directories).any(is_there)
    };
    reelect(scratch, config, concerned, |_, _| None, None);
}

/// As [`remove_from_isrs`], for a broker that comes with less than it had: `loss` tells for each of its partitions.
pub(crate) fn remove_returning(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    broker: BrokerId,
    loss: impl Fn(&TopicImage, &PartitionImage) -> Option<Loss>,
) {
    let concerned =
        |partition: &PartitionImage| partition.replicas.contains(&broker) || partition.last_known_elr.contains(&broker);
    reelect(scratch, config, concerned, loss, None);
}

/// Elects leaders of partitions that have none and that `broker`, which became available, holds.
pub(crate) fn elect_for_returning(scratch: &mut Scratch, config: &ControllerConfig, broker: BrokerId) {
    let concerned = |partition: &PartitionImage| !partition.has_leader() && partition.replicas.contains(&broker);
    reelect(scratch, config, concerned, |_, _| None, None);
}

/// After the configuration changed: elects leaders of partitions that have none, and clears the ELR of those whose ISR has
/// the minimum now.
pub(crate) fn apply_new_configuration(scratch: &mut Scratch, config: &ControllerConfig) {
    let concerned = |partition: &PartitionImage| !partition.has_leader() || !partition.elr.is_empty();
    reelect(scratch, config, concerned, |_, _| None, Some(MAX_PARTITION_CHANGES));
}

fn reelect(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    concerned: impl Fn(&PartitionImage) -> bool,
    loss: impl Fn(&TopicImage, &PartitionImage) -> Option<Loss>,
    limit: Option<usize>,
) -> usize {
    let image = scratch.image();
    let mut records = Vec::new();
    for topic in image.topics() {
        let partitions = topic.iter().filter(|(_, partition)| concerned(partition));
        let rules = LazyCell::new(|| Rules::of(image, config, topic));
        let changes = partitions.filter_map(|(index, old)| {
            let loss = loss(topic, old);
            let next = settle(&rules, old, relocated(image, old, loss), loss, Election::Online);
            change_between(topic.id, index, old, &next)
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

/// The partition with the directory in which a replica begins anew.
fn relocated(image: &MetadataImage, partition: &PartitionImage, loss: Option<Loss>) -> PartitionImage {
    let mut next = partition.clone();
    if let Some(Loss::Everything(id)) = loss
        && let Some(position) = next.replicas.iter().position(|&other| other == id)
        && next.directories[position] != DirectoryId::LOST
    {
        next.directories[position] = directory_of(image, id);
    }
    next
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
    fn changed<T: PartialEq + ToOwned + ?Sized>(old: &T, new: &T) -> Option<T::Owned> {
        (old != new).then(|| new.to_owned())
    }
    // Also when a replica goes: what it still acknowledges must not count in the epoch in which it is none any more.
    let new_epoch = old.leader != new.leader || old.replicas.iter().any(|id| !new.replicas.contains(id));
    PartitionChange {
        topic_id,
        partition,
        replicas: changed(&*old.replicas, &*new.replicas),
        directories: changed(&*old.directories, &*new.directories),
        isr: changed(&*old.isr, &*new.isr),
        elr: changed(&*old.elr, &*new.elr),
        last_known_elr: changed(&*old.last_known_elr, &*new.last_known_elr),
        adding: changed(&*old.adding, &*new.adding),
        removing: changed(&*old.removing, &*new.removing),
        leader: changed(&old.leader, &new.leader),
        leader_recovery: changed(&old.leader_recovery, &new.leader_recovery),
        leader_epoch: LeaderEpoch(old.leader_epoch.get() + i32::from(new_epoch)),
        partition_epoch: PartitionEpoch(old.partition_epoch.get() + 1),
    }
}

/// Whether `broker` still leads or is in the ISR of some partition.
pub(crate) fn depends_on(image: &MetadataImage, broker: BrokerId) -> bool {
    let mut partitions = image.topics().flat_map(|topic| topic.partitions.iter());
    partitions.any(|partition| partition.leader == broker || partition.isr.contains(&broker))
}

/// The partition and its topic.
pub(crate) fn find(image: &MetadataImage, key: TopicIdPartition) -> Option<(&TopicImage, &PartitionImage)> {
    let topic = image.topic(key.topic_id)?;
    Some((topic, topic.partition(key.partition)?))
}
