//! P2: every running member of ISR and ELR holds all of the true high watermark, flushed. P3: the exposed high watermark never
//! goes back. P4: the leader's maximal ISR holds the controller's ISR and ELR. P5: with P2, the high watermark counts flushed offsets.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use highwater_replication::{PartitionRole, PartitionStatus};
use highwater_types::{LeaderEpoch, Offset, TopicIdPartition};

use super::View;

/// The highest high watermark that any leader exposed, and the epoch of that leader.
#[derive(Default)]
pub struct HighWatermark {
    exposed: BTreeMap<TopicIdPartition, (LeaderEpoch, Offset)>,
    /// Leaders that had fewer in sync than `min.insync.replicas` at the last tick, and their high watermarks.
    below_min: BTreeMap<(TopicIdPartition, LeaderEpoch), Offset>,
}

impl HighWatermark {
    pub fn check(&mut self, view: &View<'_>) -> Result<()> {
        for node in view.nodes {
            for replica in node.replicas.iter().filter(|replica| replica.role == PartitionRole::Leader) {
                check_cursors(replica)?;
                self.check_exposed(replica)?;
                check_maximal_isr(view, replica)?;
                self.check_below_min(replica)?;
            }
        }
        self.check_members(view)
    }

    /// KIP-966: eligible leader replicas hold what is committed because nothing is while fewer than the minimum are in sync.
    fn check_below_min(&mut self, replica: &PartitionStatus) -> Result<()> {
        let key = (replica.id, replica.leader_epoch);
        if replica.isr.len() >= replica.min_isr {
            self.below_min.remove(&key);
            return Ok(());
        }
        let before = *self.below_min.entry(key).or_insert(replica.high_watermark);
        ensure!(
            replica.high_watermark <= before,
            "P2: {}-{}: the high watermark moved from {before} to {} with {:?} in sync, fewer than {}",
            replica.topic,
            replica.partition,
            replica.high_watermark,
            replica.isr,
            replica.min_isr
        );
        Ok(())
    }

    fn check_exposed(&mut self, replica: &PartitionStatus) -> Result<()> {
        let Some(exposed) = replica.exposed_high_watermark else { return Ok(()) };
        let (epoch, highest) = self.exposed.entry(replica.id).or_insert((replica.leader_epoch, exposed));
        if replica.leader_epoch >= *epoch {
            ensure!(
                exposed >= *highest,
                "P3: {}-{}: exposed high watermark {exposed} in epoch {} after {highest} in epoch {epoch}",
                replica.topic,
                replica.partition,
                replica.leader_epoch
            );
            *epoch = replica.leader_epoch;
        }
        *highest = exposed.max(*highest);
        Ok(())
    }

    fn check_members(&self, view: &View<'_>) -> Result<()> {
        for node in view.nodes {
            for replica in &node.replicas {
                let committed = view.newest.topic_partition(replica.id);
                let member = committed
                    .is_some_and(|partition| partition.isr.contains(&node.node) || partition.elr.contains(&node.node));
                let Some((_, highest)) = self.exposed.get(&replica.id).filter(|_| member) else { continue };
                ensure!(
                    replica.flushed >= *highest || replica.role == PartitionRole::Offline,
                    "P2: {}-{}: {} is in ISR or ELR with {} flushed, the true high watermark is {highest}",
                    replica.topic,
                    replica.partition,
                    node.node,
                    replica.flushed
                );
            }
        }
        Ok(())
    }
}

/// Log start <= high watermark <= flushed <= log end, on every leader.
fn check_cursors(replica: &PartitionStatus) -> Result<()> {
    let PartitionStatus { log_start, high_watermark, flushed, log_end, .. } = replica;
    ensure!(
        log_start <= high_watermark && high_watermark <= flushed && flushed <= log_end,
        "P5: {}-{}: log start {log_start}, high watermark {high_watermark}, flushed {flushed}, log end {log_end}",
        replica.topic,
        replica.partition
    );
    Ok(())
}

fn check_maximal_isr(view: &View<'_>, replica: &PartitionStatus) -> Result<()> {
    let Some(committed) = view.newest.topic_partition(replica.id) else { return Ok(()) };
    if committed.leader_epoch != replica.leader_epoch {
        return Ok(());
    }
    let mut counted = committed.isr.iter().chain(&committed.elr);
    let missing = counted.find(|member| !replica.maximal_isr.contains(member));
    ensure!(
        missing.is_none(),
        "P4: {}-{}: the controller's ISR is {:?}, its ELR {:?}, the leader counts only {:?}",
        replica.topic,
        replica.partition,
        committed.isr,
        committed.elr,
        replica.maximal_isr
    );
    Ok(())
}
