//! The moves of replicas between the log directories of this broker that wait for their turn, and those that are over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use highwater_env::lock::Mutex;
use highwater_log::LogDirectory;
use tokio::sync::Notify;

use crate::future_log::FutureLog;
use crate::partition::Partition;

/// Moves that wait for their turn.
#[derive(Default)]
pub(crate) struct Relocations {
    waiting: Mutex<VecDeque<(Arc<Partition>, Arc<FutureLog>)>>,
    pub notify: Notify,
    pub running: AtomicUsize,
}

/// A move that is over.
pub(crate) struct Relocated {
    pub partition: Arc<Partition>,
    pub from: Arc<LogDirectory>,
    pub to: Arc<LogDirectory>,
    pub unique: u128,
}

impl Relocations {
    /// The copy is to be made.
    pub fn add(&self, partition: Arc<Partition>, future: Arc<FutureLog>) {
        self.waiting.lock().push_back((partition, future));
        self.notify.notify_one();
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.waiting.lock().clear();
    }

    /// The next one, if there is one.
    pub fn next(&self) -> Option<(Arc<Partition>, Arc<FutureLog>)> {
        self.waiting.lock().pop_front()
    }
}
