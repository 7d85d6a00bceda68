//! A follower's acknowledgements on their way to the stream.
//!
//! With strict durability the leader waits for what is flushed. That something was appended and not flushed yet is worth no
//! message: it rides with the acknowledgement of the flush, or of another partition's.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_env::lock::Mutex;
use highwater_partition::LogCursors;
use highwater_rpc::replication::{Ack, Slot};
use highwater_types::{LeaderEpoch, Offset};
use tokio::sync::Notify;

/// Acknowledgements that were not sent yet, and the bell of the link's task.
#[derive(Debug, Default)]
pub(crate) struct AckQueue {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The latest of each slot.
    acks: BTreeMap<Slot, Ack>,
    /// Whether the leader waits for one of them.
    urgent: bool,
}

impl AckQueue {
    /// Takes out all, if the leader waits for one of them or `anyhow`.
    pub fn take(&self, anyhow: bool) -> Vec<Ack> {
        let mut waiting = self.waiting.lock();
        if !waiting.urgent && !anyhow {
            return Vec::new();
        }
        std::mem::take(&mut *waiting).acks.into_values().collect()
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
    /// What was acknowledged last.
    told: Option<Ack>,
}

impl LinkSlot {
    pub fn new(queue: &Arc<AckQueue>, slot: Slot, epoch: LeaderEpoch) -> Self {
        Self { slot, epoch, queue: queue.clone(), told: None }
    }

    /// Where the log is; everything below `deleted` is deleted for good. With `flush_awaited`, the leader does not wait for what
    /// was only appended, since a flush of it was asked for.
    pub fn acknowledge(&mut self, cursors: LogCursors, deleted: Offset, flush_awaited: bool) {
        let LogCursors { log_start, flushed, log_end } = cursors;
        let ack = Ack { slot: self.slot, log_end, flushed, log_start: deleted, first_offset: Some(log_start) };
        let only_appended = self.told.is_some_and(|told| told == Ack { log_end: told.log_end, ..ack });
        self.told = Some(ack);
        let urgent = !(flush_awaited && only_appended && flushed < log_end);
        let mut waiting = self.queue.waiting.lock();
        waiting.acks.insert(self.slot, ack);
        waiting.urgent |= urgent;
        drop(waiting);
        if urgent {
            self.queue.ring();
        }
    }
}
