//! Tells the group coordinator which partitions of `__consumer_offsets` this broker leads.

use std::sync::Arc;
use std::time::Duration;

use highwater_coordinator_runtime::GroupCoordinator;
use highwater_metadata::{MetadataDelta, MetadataImage, TopicImage};
use highwater_types::{BrokerId, LeaderEpoch, PartitionIndex, TopicName};

use super::{OFFSETS_TOPIC, OffsetsPartitions};

/// Pause between two looks at whether a replica has taken up its leadership: opening its log takes milliseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// After this many looks the leadership is taken for gone; the next metadata change tells again.
const MAX_LOOKS: u32 = 6_000;

/// Follows the metadata of one topic.
pub(crate) struct GroupLeadership {
    pub(crate) node_id: BrokerId,
    pub(crate) groups: Arc<GroupCoordinator>,
    pub(crate) partitions: Arc<OffsetsPartitions>,
}

impl GroupLeadership {
    /// Called after the replicas have seen the same change.
    pub(crate) fn apply(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let gone = delta.deleted_topics.values().find(|topic| topic.name.as_str() == OFFSETS_TOPIC);
        if let Some(topic) = gone {
            topic.iter().for_each(|(partition, _)| self.groups.on_resign(partition));
            self.partitions.set_topic(None);
            self.groups.set_partition_count(0);
        }
        if let Some(topic) = image.topic_by_name(OFFSETS_TOPIC)
            && let Some(changed) = delta.changed_partitions.get(&topic.id)
        {
            self.partitions.set_topic(Some(topic.id));
            self.groups.set_partition_count(topic.partition_count());
            changed.iter().for_each(|partition| self.apply_partition(topic, *partition));
        }
        let deleted: Vec<TopicName> = delta.deleted_topics.values().map(|topic| topic.name.clone()).collect();
        if !deleted.is_empty() {
            self.groups.on_topics_deleted(&deleted);
        }
    }

    fn apply_partition(&self, topic: &TopicImage, partition: PartitionIndex) {
        let Some(state) = topic.partition(partition) else { return };
        if state.leader != self.node_id {
            self.groups.on_resign(partition);
        } else if self.partitions.led(partition, state.leader_epoch).is_some() {
            self.groups.on_leader(partition, state.leader_epoch);
        } else {
            let (groups, partitions) = (self.groups.clone(), self.partitions.clone());
            tokio::spawn(lead_when_open(groups, partitions, partition, state.leader_epoch));
        }
    }
}

/// The log may still be opening (recovery after a crash).
async fn lead_when_open(
    groups: Arc<GroupCoordinator>,
    partitions: Arc<OffsetsPartitions>,
    partition: PartitionIndex,
    epoch: LeaderEpoch,
) {
    for _ in 0..MAX_LOOKS {
        if partitions.led(partition, epoch).is_some() {
            return groups.on_leader(partition, epoch);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
