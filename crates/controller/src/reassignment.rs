//! Other replicas for a partition, step by step (KIP-455).
//!
//! A reassignment adds its new replicas first; they follow the leader as any replica does, and join the ISR when they have
//! caught up. Then, in one change, the replicas to be removed go. At no moment has the partition fewer in-sync replicas than
//! it had, or than `min.insync.replicas`. Until that change it can be cancelled, or replaced by another one.

use highwater_metadata::{MetadataImage, PartitionImage};
use highwater_types::{BrokerId, DirectoryId};

use crate::assignment::directory_of;

/// The partition on its way to `target`. Replicas that an earlier reassignment was adding, and that this one does not want,
/// go at once: the partition never depended on them.
pub(crate) fn with_target(image: &MetadataImage, partition: &PartitionImage, target: &[BrokerId]) -> PartitionImage {
    let original = partition.original_replicas();
    let removing: Vec<BrokerId> = original.iter().copied().filter(|id| !target.contains(id)).collect();
    let replicas: Vec<BrokerId> = target.iter().chain(&removing).copied().collect();
    let keeps = |ids: &[BrokerId]| ids.iter().copied().filter(|id| replicas.contains(id)).collect::<Vec<_>>();
    PartitionImage {
        directories: replicas.iter().map(|&id| directory_in(image, partition, id)).collect(),
        isr: keeps(&partition.isr),
        elr: keeps(&partition.elr).into(),
        last_known_elr: keeps(&partition.last_known_elr).into(),
        adding: target.iter().copied().filter(|id| !original.contains(id)).collect(),
        removing: removing.into(),
        replicas,
        ..partition.clone()
    }
}

fn directory_in(image: &MetadataImage, partition: &PartitionImage, id: BrokerId) -> DirectoryId {
    let present = partition.replicas.iter().position(|&other| other == id);
    present.map_or_else(|| directory_of(image, id), |position| partition.directories[position])
}

/// Ends the reassignment once it may end: all added replicas are in the ISR, and what stays of the ISR has the minimum (or
/// loses no member). The members of the ISR of `next` are available; `effective_min_isr` is of a number of replicas.
pub(crate) fn complete_reassignment(effective_min_isr: impl Fn(usize) -> usize, next: &mut PartitionImage) {
    if !next.is_reassigning() {
        return;
    }
    let stays = |id: &BrokerId| !next.removing.contains(id);
    let isr: Vec<BrokerId> = next.isr.iter().copied().filter(stays).collect();
    let replica_count = next.replicas.iter().filter(|id| stays(id)).count();
    let is_enough = isr.len() >= effective_min_isr(replica_count) || isr.len() == next.isr.len();
    if isr.is_empty() || !is_enough || !next.adding.iter().all(|id| isr.contains(id)) {
        return;
    }
    let kept = next.replicas.iter().copied().zip(next.directories.iter().copied()).filter(|(id, _)| stays(id));
    let (replicas, directories) = kept.unzip();
    next.replicas = replicas;
    next.directories = directories;
    next.isr = isr;
    next.adding.clear();
    next.removing.clear();
}
