//! Group commit: flushes the dirty logs of one directory, several at a time, each with all that was appended to it until
//! its turn came.
//!
//! A log is in the queue or in a flush, never in both and never in two flushes: an append during the flush marks it, and at
//! the end of the flush it goes into the queue again. So one flush takes along whatever came during the one before: the
//! busier a log, the more one flush covers. There is no timer, and an idle directory has no task.

use std::collections::VecDeque;
use std::sync::Arc;

use highwater_env::{clock, start_blocking};
use highwater_metrics::table::logs;
use parking_lot::Mutex;
use prometheus::Histogram;

use crate::directory_health::DirectoryHealth;
use crate::flush_target::FlushTarget;

/// Flushes in flight in one directory. A journal commits them together; more than a few only hold threads.
const MAX_CONCURRENT_FLUSHES: usize = 8;

/// The scheduler of one log directory.
#[derive(Debug)]
pub struct SyncScheduler {
    health: Arc<DirectoryHealth>,
    flush_times: Histogram,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Arc<FlushTarget>>,
    workers: usize,
}

impl SyncScheduler {
    pub(crate) fn new(health: Arc<DirectoryHealth>) -> Arc<Self> {
        let flush_times = logs::FLUSH_TIME_MS.histogram_of(&health.path().display().to_string());
        Arc::new(Self { health, flush_times, state: Mutex::default() })
    }

    /// Asks for a flush of all that `target`'s log holds now. Its listener hears of it; if the flush fails, the directory
    /// goes out of service instead. Returns at once; needs a tokio runtime.
    pub fn request(self: &Arc<Self>, target: &Arc<FlushTarget>) {
        if self.health.is_online() && target.stage.request() {
            self.enqueue(target.clone());
        }
    }

    /// How long flushes take.
    pub fn flush_times(&self) -> &Histogram {
        &self.flush_times
    }

    /// Logs that wait for a flush.
    pub fn queue_size(&self) -> usize {
        self.state.lock().queue.len()
    }

    fn enqueue(self: &Arc<Self>, target: Arc<FlushTarget>) {
        let mut state = self.state.lock();
        state.queue.push_back(target);
        if state.workers < MAX_CONCURRENT_FLUSHES {
            state.workers += 1;
            drop(state);
            let scheduler = self.clone();
            start_blocking(move || scheduler.work());
        }
    }

    /// Flushes until the queue is empty.
    fn work(&self) {
        while let Some(target) = self.next_target() {
            target.stage.begin();
            let began = clock::mono_us();
            let flushed = target.flush();
            self.flush_times.observe(clock::mono_us().saturating_sub(began) as f64 / 1000.0);
            match flushed {
                Ok(flushed) => {
                    if let Some(listener) = target.listener() {
                        listener.on_flushed(flushed);
                    }
                }
                // The flush has taken the directory out of service and said why.
                Err(error) => tracing::debug!(%error, "flush failed"),
            }
            if target.stage.end() {
                // This worker is the one that will find it.
                self.state.lock().queue.push_back(target);
            }
        }
    }

    fn next_target(&self) -> Option<Arc<FlushTarget>> {
        let mut state = self.state.lock();
        if !self.health.is_online() {
            state.queue.clear();
        }
        let target = state.queue.pop_front();
        if target.is_none() {
            state.workers -= 1;
        }
        target
    }
}

#[cfg(test)]
mod tests;
