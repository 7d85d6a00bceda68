//! P7: one leader per (partition, leader epoch). P8: one state per (partition, partition epoch): changes are compare-and-set.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use highwater_replication::PartitionRole;
use highwater_types::{BrokerId, LeaderEpoch, PartitionEpoch, TopicIdPartition};

use super::View;

#[derive(Default)]
pub struct Epochs {
    leaders: BTreeMap<(TopicIdPartition, LeaderEpoch), BrokerId>,
    states: BTreeMap<(TopicIdPartition, PartitionEpoch), (BrokerId, Vec<BrokerId>)>,
    newest: Option<highwater_types::MetadataOffset>,
}

impl Epochs {
    pub fn check(&mut self, view: &View<'_>) -> Result<()> {
        for node in view.nodes {
            for replica in node.replicas.iter().filter(|replica| replica.role == PartitionRole::Leader) {
                let known = *self.leaders.entry((replica.id, replica.leader_epoch)).or_insert(node.node);
                ensure!(
                    known == node.node,
                    "P7: {known} and {} lead {}-{} in epoch {}",
                    node.node,
                    replica.topic,
                    replica.partition,
                    replica.leader_epoch
                );
            }
        }
        if self.newest == Some(view.newest.offset()) {
            return Ok(());
        }
        self.newest = Some(view.newest.offset());
        for topic in view.newest.topics() {
            for (index, partition) in topic.iter() {
                let key = TopicIdPartition { topic_id: topic.id, partition: index };
                let state = (partition.leader, partition.isr.clone());
                let known = self.states.entry((key, partition.partition_epoch)).or_insert_with(|| state.clone());
                ensure!(
                    *known == state,
                    "P8: {}-{index} epoch {}: {known:?} and {state:?}",
                    topic.name,
                    partition.partition_epoch
                );
            }
        }
        Ok(())
    }
}
