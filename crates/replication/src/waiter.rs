//! Waiting for any of many partitions to change: one waiter per long-polling fetch.

use std::sync::Arc;

use highwater_env::lock::Mutex;
use tokio::sync::Notify;

/// Woken by an append, a move of the high watermark or a change of role of any partition it is registered with.
///
/// Order of use: [`crate::Replicas::register_waiter`], then read, then [`Self::ready`]. A change between the registration
/// and the wait is not missed.
#[derive(Debug, Default)]
pub struct FetchWaiter {
    ready: Mutex<Vec<usize>>,
    notify: Notify,
}

impl FetchWaiter {
    /// A waiter that is registered nowhere.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Waits until at least one partition changed, and returns the positions (in the slice given at registration) of all
    /// that did since the last call; ascending, each once. Cancel safe.
    pub async fn ready(&self) -> Vec<usize> {
        loop {
            let mut ready = std::mem::take(&mut *self.ready.lock());
            if !ready.is_empty() {
                ready.sort_unstable();
                ready.dedup();
                return ready;
            }
            self.notify.notified().await;
        }
    }

    /// The partition at that position changed.
    pub(crate) fn mark(&self, position: usize) {
        let mut ready = self.ready.lock();
        if !ready.contains(&position) {
            ready.push(position);
        }
        drop(ready);
        self.notify.notify_one();
    }
}

/// The waiters of one partition.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: Mutex<Vec<(Arc<FetchWaiter>, usize)>>,
}

impl Waiters {
    /// Wakes `waiter` with `position` at every change, until it is removed.
    pub fn add(&self, waiter: &Arc<FetchWaiter>, position: usize) {
        self.waiting.lock().push((waiter.clone(), position));
    }

    /// Wakes it no more.
    pub fn remove(&self, waiter: &Arc<FetchWaiter>) {
        self.waiting.lock().retain(|(other, _)| !Arc::ptr_eq(other, waiter));
    }

    /// Gives up room that is not used.
    pub fn shrink(&self) {
        self.waiting.lock().shrink_to_fit();
    }

    /// Something changed.
    pub fn wake(&self) {
        for (waiter, position) in self.waiting.lock().iter() {
            waiter.mark(*position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reports_each_position_once_and_in_order() {
        let (waiter, waiters) = (FetchWaiter::new(), Waiters::default());
        waiters.add(&waiter, 4);
        waiters.add(&waiter, 1);
        waiters.wake();
        waiters.wake();
        assert_eq!(waiter.ready().await, [1, 4]);
        waiters.wake();
        waiters.remove(&waiter);
        waiters.wake();
        assert_eq!(waiter.ready().await, [1, 4]);
        assert!(waiters.waiting.lock().is_empty());
    }
}
