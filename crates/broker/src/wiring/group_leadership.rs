//! Tells the group coordinator which partitions of `__consumer_offsets` this broker leads.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use highwater_coordinator_runtime::GroupCoordinator;
use highwater_env::lock::Mutex;
use highwater_metadata::{MetadataDelta, MetadataImage, TopicImage};
use highwater_types::{BrokerId, LeaderEpoch, PartitionIndex, TopicName};

use super::{OFFSETS_TOPIC, OffsetsPartitions};

/// First pause between two looks at whether a replica has taken up its leadership: opening its log takes milliseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Longest such pause: recovery after a crash may take minutes.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(200);

/// Follows the metadata of one topic.
pub(crate) struct GroupLeadership {
    node_id: BrokerId,
    groups: Arc<GroupCoordinator>,
    partitions: Arc<OffsetsPartitions>,
    awaited: Arc<Awaited>,
}

/// The leaderships that the replicas here have not taken up yet, by epoch.
#[derive(Default)]
struct Awaited(Mutex<BTreeMap<PartitionIndex, LeaderEpoch>>);

impl GroupLeadership {
    pub(crate) fn new(node_id: BrokerId, groups: Arc<GroupCoordinator>, partitions: Arc<OffsetsPartitions>) -> Self {
        Self { node_id, groups, partitions, awaited: Arc::default() }
    }

    /// Called after the replicas have seen the same change.
    pub(crate) fn apply(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let gone = delta.deleted_topics.values().find(|topic| topic.name.as_str() == OFFSETS_TOPIC);
        if let Some(topic) = gone {
            topic.iter().for_each(|(partition, _)| self.resign(partition));
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
        let epoch = state.leader_epoch;
        if state.leader != self.node_id {
            self.resign(partition);
        } else if self.partitions.led(partition, epoch).is_some() {
            self.awaited.end(partition);
            self.groups.on_leader(partition, epoch);
        } else if self.awaited.begin(partition, epoch) {
            let (groups, partitions) = (Arc::downgrade(&self.groups), Arc::downgrade(&self.partitions));
            let is_open =
                move || partitions.upgrade().is_some_and(|partitions| partitions.led(partition, epoch).is_some());
            let opened = lead_when_open(Arc::downgrade(&self.awaited), partition, epoch, is_open, tokio::time::sleep);
            tokio::spawn(async move {
                if opened.await
                    && let Some(groups) = groups.upgrade()
                {
                    groups.on_leader(partition, epoch);
                }
            });
        }
    }

    fn resign(&self, partition: PartitionIndex) {
        self.awaited.end(partition);
        self.groups.on_resign(partition);
    }
}

impl Awaited {
    /// False if that leadership is awaited already.
    fn begin(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> bool {
        self.0.lock().insert(partition, epoch) != Some(epoch)
    }

    fn end(&self, partition: PartitionIndex) {
        self.0.lock().remove(&partition);
    }

    /// Whether that leadership is the one that is awaited.
    fn is(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> bool {
        self.0.lock().get(&partition) == Some(&epoch)
    }
}

/// Waits until the log is open, which may take as long as recovery after a crash does. False once the leadership is another's, or
/// nobody waits any more.
async fn lead_when_open<S: Future<Output = ()>>(
    awaited: Weak<Awaited>,
    partition: PartitionIndex,
    epoch: LeaderEpoch,
    is_open: impl Fn() -> bool,
    sleep: impl Fn(Duration) -> S,
) -> bool {
    let mut pause = LOOK_AGAIN;
    loop {
        sleep(pause).await;
        pause = LOOK_AGAIN_MAX.min(pause * 2);
        let Some(awaited) = awaited.upgrade().filter(|awaited| awaited.is(partition, epoch)) else { return false };
        if is_open() {
            awaited.end(partition);
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const PARTITION: PartitionIndex = PartitionIndex(3);
    const EPOCH: LeaderEpoch = LeaderEpoch(7);

    #[tokio::test]
    async fn a_leadership_is_taken_up_once_the_log_is_open() {
        let (awaited, open) = (Arc::<Awaited>::default(), Arc::new(AtomicBool::new(false)));
        assert!(awaited.begin(PARTITION, EPOCH) && !awaited.begin(PARTITION, EPOCH));
        let is_open = {
            let open = Arc::clone(&open);
            move || open.load(Ordering::Relaxed)
        };
        let opened =
            tokio::spawn(lead_when_open(Arc::downgrade(&awaited), PARTITION, EPOCH, is_open, tokio::time::sleep));
        tokio::time::sleep(LOOK_AGAIN * 5).await;
        assert!(!opened.is_finished());
        open.store(true, Ordering::Relaxed);
        assert!(opened.await.unwrap());
        assert!(!awaited.is(PARTITION, EPOCH));
    }

    #[tokio::test]
    async fn a_recovery_of_hours_is_waited_for() {
        let awaited = Arc::<Awaited>::default();
        awaited.begin(PARTITION, EPOCH);
        let slept = Mutex::new(Duration::ZERO);
        let is_open = || *slept.lock() > Duration::from_secs(7_200);
        let sleep = |pause| {
            *slept.lock() += pause;
            std::future::ready(())
        };
        assert!(lead_when_open(Arc::downgrade(&awaited), PARTITION, EPOCH, is_open, sleep).await);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_leadership_that_is_over() {
        let awaited = Arc::<Awaited>::default();
        let wait = |epoch| {
            assert!(awaited.begin(PARTITION, epoch));
            tokio::spawn(lead_when_open(Arc::downgrade(&awaited), PARTITION, epoch, || false, tokio::time::sleep))
        };
        let first = wait(EPOCH);
        let second = wait(LeaderEpoch(8));
        assert!(!first.await.unwrap());
        awaited.end(PARTITION);
        assert!(!second.await.unwrap());
        let third = wait(LeaderEpoch(9));
        drop(awaited);
        assert!(!third.await.unwrap());
    }
}
