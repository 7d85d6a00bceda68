//! What must hold after every decision. Ids are those of the project's list of invariants (docs/TESTING.md).

use std::collections::{BTreeMap, BTreeSet};

use highwater_metadata::config::REASSIGNMENT_THROTTLE;
use highwater_metadata::{LeaderRecoveryState, MetadataImage, PartitionImage};
use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionIndex, TopicId};

type Key = (TopicId, PartitionIndex);

/// The checks, with what they must remember.
#[derive(Default)]
pub struct Invariants {
    highest_broker_epoch: Option<BrokerEpoch>,
    topic_ids: BTreeSet<TopicId>,
    leaders: BTreeMap<(Key, LeaderEpoch), BrokerId>,
}

impl Invariants {
    pub fn check(&mut self, before: &MetadataImage, after: &MetadataImage) {
        self.broker_epochs_increase(before, after);
        self.ids_are_never_reused(before, after);
        for (key, partition) in partitions(after) {
            let at = format!("partition {} of {}", key.1, after.topic(key.0).unwrap().name);
            assert_eq!(partition.defect(), None, "{at}");
            fenced_brokers_hold_nothing(after, partition, &at);
            somebody_leads_if_possible(after, partition, &at);
            if let Some(old) = before.partition(key.0, key.1) {
                epochs_grow_with_changes(old, partition, &at);
                leaders_are_eligible(old, partition, &at);
            }
            self.one_leader_per_epoch(key, partition, &at);
        }
        rates_end_with_reassignments(after);
    }

    /// M3.
    fn broker_epochs_increase(&mut self, before: &MetadataImage, after: &MetadataImage) {
        for broker in after.brokers().filter(|broker| before.broker_epoch(broker.id) != broker.epoch) {
            assert!(
                self.highest_broker_epoch < Some(broker.epoch),
                "epoch {} of broker {} is not new",
                broker.epoch,
                broker.id
            );
            self.highest_broker_epoch = Some(broker.epoch);
        }
    }

    /// M8.
    fn ids_are_never_reused(&mut self, before: &MetadataImage, after: &MetadataImage) {
        for topic in after.topics().filter(|topic| before.topic(topic.id).is_none()) {
            assert!(self.topic_ids.insert(topic.id), "topic id {} is used again", topic.id);
        }
        assert!(before.next_producer_id() <= after.next_producer_id());
    }

    /// P7.
    fn one_leader_per_epoch(&mut self, key: Key, partition: &PartitionImage, at: &str) {
        let leader = *self.leaders.entry((key, partition.leader_epoch)).or_insert(partition.leader);
        assert_eq!(leader, partition.leader, "{at}: two leaders in epoch {}", partition.leader_epoch);
    }
}

fn rates_end_with_reassignments(image: &MetadataImage) {
    let limited = image.broker_configs().find(|(_, values)| values.contains_key(REASSIGNMENT_THROTTLE));
    let moves = partitions(image).any(|(_, partition)| partition.is_reassigning());
    assert!(limited.is_none() || moves, "nothing is reassigned, at a limited rate: {limited:?}");
}

fn partitions(image: &MetadataImage) -> impl Iterator<Item = (Key, &PartitionImage)> {
    image.topics().flat_map(|topic| topic.iter().map(|(index, partition)| ((topic.id, index), &**partition)))
}

/// M5.
fn fenced_brokers_hold_nothing(image: &MetadataImage, partition: &PartitionImage, at: &str) {
    if partition.has_leader() {
        assert!(image.is_unfenced(partition.leader), "{at}: fenced leader {}", partition.leader);
    }
    for &id in &partition.isr {
        assert!(image.is_unfenced(id), "{at}: fenced broker {id} in ISR {:?}", partition.isr);
        assert!(image.has_online_directory(partition, id), "{at}: offline replica {id} in ISR {:?}", partition.isr);
    }
}

/// Liveness: no partition waits for an election that could be held.
fn somebody_leads_if_possible(image: &MetadataImage, partition: &PartitionImage, at: &str) {
    if !partition.has_leader() {
        assert!(
            !partition.isr.iter().chain(&partition.elr).any(|&id| image.is_replica_active(partition, id)),
            "{at}: nobody leads, and one of ISR {:?} and ELR {:?} could",
            partition.isr,
            partition.elr
        );
    }
}

/// P8: no change without a new partition epoch, no new leader without a new leader epoch.
fn epochs_grow_with_changes(old: &PartitionImage, new: &PartitionImage, at: &str) {
    assert!(new == old || new.partition_epoch > old.partition_epoch, "{at}: {old:?} became {new:?}");
    assert!(new.leader == old.leader || new.leader_epoch > old.leader_epoch, "{at}: {old:?} became {new:?}");
    assert!(new.leader_epoch >= old.leader_epoch, "{at}: {old:?} became {new:?}");
}

/// A leader that was in neither ISR nor ELR is marked as the outcome of an unclean election, for good.
fn leaders_are_eligible(old: &PartitionImage, new: &PartitionImage, at: &str) {
    let joined_at_last = old.adding.contains(&new.leader) && new.adding.is_empty() && new.replicas != old.replicas;
    if new.has_leader() && !old.isr.contains(&new.leader) && !old.elr.contains(&new.leader) && !joined_at_last {
        assert_eq!(new.leader_recovery, LeaderRecoveryState::Recovering, "{at}: {old:?} became {new:?}");
        assert_eq!(new.unclean_epoch, new.leader_epoch, "{at}: {old:?} became {new:?}");
        assert_eq!(new.isr, [new.leader], "{at}: {old:?} became {new:?}");
    } else {
        assert_eq!(new.unclean_epoch, old.unclean_epoch, "{at}: {old:?} became {new:?}");
    }
}
