//! A follower's acknowledgements on their way to the stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_rpc::replication::{Ack, Slot};
use highwater_types::{LeaderEpoch, Offset};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Acknowledgements that were not sent yet, and the bell of the link's task.
#[derive(Debug, Default)]
pub(crate) struct AckQueue {
    /// The latest of each slot.
    acks: Mutex<BTreeMap<Slot, Ack>>,
    bell: Notify,
}

impl AckQueue {
    /// Takes out all.
    pub fn take(&self) -> Vec<Ack> {
        std::mem::take(&mut *self.acks.lock()).into_values().collect()
    }

    /// Wakes the task.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until there is something for the task to do.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

/// A partition's hold on a stream.
pub(crate) struct LinkSlot {
    pub slot: Slot,
    pub epoch: LeaderEpoch,
    queue: Arc<AckQueue>,
}

impl LinkSlot {
    pub fn new(queue: &Arc<AckQueue>, slot: Slot, epoch: LeaderEpoch) -> Self {
        Self { slot, epoch, queue: queue.clone() }
    }

    /// Everything below is appended, and flushed; everything below `log_start` is deleted for good.
    pub fn acknowledge(&self, log_end: Offset, flushed: Offset, log_start: Offset) {
        self.queue.acks.lock().insert(self.slot, Ack { slot: self.slot, log_end, flushed, log_start });
        self.queue.ring();
    }
}
