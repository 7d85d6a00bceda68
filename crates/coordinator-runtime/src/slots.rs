//! Which partitions this broker leads, and how far each shard is.
//!
//! ```text
//!            on_leader                    loaded
//! (none) ---------------> Loading ------------------> Active
//!    ^                       | load fails                |
//!    |                       v                           |
//!    |                     Failed                        |
//!    +-----------------------+---------------------------+
//!                        on_resign
//! ```
//! `on_leader` in another epoch starts again from Loading, from any state: between two epochs of this broker there may
//! have been another leader.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_types::{ErrorCode, LeaderEpoch, PartitionIndex, TopicName};

use crate::active_shard::ActiveShard;

/// Names one load, so that one that was overtaken cannot finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoadId(u64);

/// Partitions of `__consumer_offsets` that this broker leads, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardCounts {
    /// Being read back.
    pub loading: usize,
    /// Serving.
    pub active: usize,
    /// Not readable.
    pub failed: usize,
}

/// Partitions this broker leads.
#[derive(Default)]
pub(crate) struct Slots {
    slots: BTreeMap<PartitionIndex, Slot>,
    next_load: u64,
}

struct Slot {
    epoch: LeaderEpoch,
    load: LoadId,
    state: SlotState,
}

enum SlotState {
    /// Being read back. Topics deleted meanwhile are dealt with at its end.
    Loading { deleted_topics: Vec<TopicName> },
    /// Serving.
    Active(Arc<ActiveShard>),
    /// The log cannot be read; serves nothing until the next election.
    Failed,
}

impl Slots {
    /// The shard of a partition, or what to answer.
    pub(crate) fn active(&self, partition: PartitionIndex) -> Result<Arc<ActiveShard>, ErrorCode> {
        match self.slots.get(&partition).map(|slot| &slot.state) {
            Some(SlotState::Active(shard)) => Ok(shard.clone()),
            Some(SlotState::Loading { .. }) => Err(ErrorCode::CoordinatorLoadInProgress),
            Some(SlotState::Failed) | None => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Every loaded shard, by partition.
    pub(crate) fn all_active(&self) -> Vec<Arc<ActiveShard>> {
        let shards = self.slots.values().filter_map(|slot| match &slot.state {
            SlotState::Active(shard) => Some(shard.clone()),
            SlotState::Loading { .. } | SlotState::Failed => None,
        });
        shards.collect()
    }

    /// How many partitions are in which state.
    pub(crate) fn counts(&self) -> ShardCounts {
        let count = |is: fn(&SlotState) -> bool| self.slots.values().filter(|slot| is(&slot.state)).count();
        ShardCounts {
            loading: count(|state| matches!(state, SlotState::Loading { .. })),
            active: count(|state| matches!(state, SlotState::Active(_))),
            failed: count(|state| matches!(state, SlotState::Failed)),
        }
    }

    /// Whether some shard is being read back.
    pub(crate) fn any_loading(&self) -> bool {
        self.slots.values().any(|slot| matches!(slot.state, SlotState::Loading { .. }))
    }

    /// Starts a load, unless this epoch is known already.
    pub(crate) fn begin_load(&mut self, partition: PartitionIndex, epoch: LeaderEpoch) -> Option<LoadId> {
        if self.slots.get(&partition).is_some_and(|slot| slot.epoch >= epoch) {
            return None;
        }
        self.remove(partition);
        let load = LoadId(self.next_load);
        self.next_load += 1;
        let state = SlotState::Loading { deleted_topics: Vec::new() };
        self.slots.insert(partition, Slot { epoch, load, state });
        Some(load)
    }

    /// Ends a load: the shard made by `start` serves from now on. Gives back topics deleted meanwhile.
    pub(crate) fn finish_load(
        &mut self,
        partition: PartitionIndex,
        load: LoadId,
        start: impl FnOnce() -> Arc<ActiveShard>,
    ) -> Option<(Arc<ActiveShard>, Vec<TopicName>)> {
        let slot = self.slots.get_mut(&partition).filter(|slot| slot.load == load)?;
        let shard = start();
        match std::mem::replace(&mut slot.state, SlotState::Active(shard.clone())) {
            SlotState::Loading { deleted_topics } => Some((shard, deleted_topics)),
            SlotState::Active(_) | SlotState::Failed => unreachable!("a load ends once"),
        }
    }

    /// Ends a load without a shard.
    pub(crate) fn fail_load(&mut self, partition: PartitionIndex, load: LoadId) {
        if let Some(slot) = self.slots.get_mut(&partition).filter(|slot| slot.load == load) {
            slot.state = SlotState::Failed;
        }
    }

    /// Forgets a partition and closes its shard. False if it was not known.
    pub(crate) fn remove(&mut self, partition: PartitionIndex) -> bool {
        let removed = self.slots.remove(&partition);
        if let Some(Slot { state: SlotState::Active(shard), .. }) = &removed {
            shard.close();
        }
        removed.is_some()
    }

    /// Forgets all partitions.
    pub(crate) fn clear(&mut self) {
        let partitions: Vec<PartitionIndex> = self.slots.keys().copied().collect();
        partitions.into_iter().for_each(|partition| {
            self.remove(partition);
        });
    }

    /// Notes deleted topics for shards that are being read back.
    pub(crate) fn note_deleted_topics(&mut self, topics: &[TopicName]) {
        for slot in self.slots.values_mut() {
            if let SlotState::Loading { deleted_topics } = &mut slot.state {
                deleted_topics.extend_from_slice(topics);
            }
        }
    }
}
