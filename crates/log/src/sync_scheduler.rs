//! Group commit: flushes the dirty logs of one directory, each with all that was appended to it until its turn came.
//!
//! A log is in the queue or in a flush, never in both and never in two flushes: an append during the flush marks it, and at
//! the end of the flush it goes into the queue again. So one flush takes along whatever came during the one before: the
//! busier a log, the more one flush covers. An idle directory has no task.
//!
//! One flush is under way at a time, and the logs that become dirty meanwhile are flushed together by one sync of the whole
//! directory: a journal commits them together anyway, and one call costs less than two. That also waits for what others wrote
//! to the same file system; where that is much, or it took long, logs are flushed one by one for a while, several at a time.
//!
//! After a sync for several logs the disk rests for some times as long, two milliseconds at most, while more gather: where many logs are
//! busy that makes fewer syncs, and fewer rounds of answers and new requests behind them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_env::{SyncPoint, clock, rest_blocking, start_blocking};
use highwater_metrics::table::logs;
use highwater_types::{MonoMs, Offset};
use prometheus::Histogram;

use crate::directory_health::DirectoryHealth;
use crate::error::LogError;
use crate::flush_target::FlushTarget;

/// Flushes of single logs in flight in one directory, where they are flushed one by one. A journal commits them together; more
/// than a few make each smaller, and cost processor time and throughput.
const MAX_CONCURRENT_FLUSHES: usize = 3;
/// A sync of the directory that takes longer waits for something else than these logs...
const LONG_SYNC: Duration = Duration::from_millis(100);
/// ...and is not tried again for so many times as long.
const APART: u32 = 20;
/// After a sync of the directory for at least so many logs the disk rests...
const SEVERAL_LOGS: usize = 3;
/// ...so many times as long as it took...
const REST: u32 = 4;
/// ...but no longer than this.
const LONGEST_REST: Duration = Duration::from_millis(2);
/// How long what others wrote to the disk is believed to be as little, or as much, as it was.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The scheduler of one log directory.
#[derive(Debug)]
pub struct SyncScheduler {
    health: Arc<DirectoryHealth>,
    /// Syncs the whole directory; `None` where that cannot be relied on.
    directory: Option<SyncPoint>,
    flush_times: Histogram,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Arc<FlushTarget>>,
    workers: usize,
    /// Whether the worker that is at work takes the whole queue next. Not where logs are flushed one by one.
    gather: bool,
    /// Until when logs are flushed one by one.
    apart_until: Option<MonoMs>,
    /// When a sync of the directory was last found to be cheap.
    cheap_at: Option<MonoMs>,
}

/// What a worker does next.
enum Work {
    Single(Arc<FlushTarget>),
    Together(Vec<Arc<FlushTarget>>),
}

impl SyncScheduler {
    pub(crate) fn new(health: Arc<DirectoryHealth>, directory: Option<SyncPoint>) -> Arc<Self> {
        let flush_times = logs::FLUSH_TIME_MS.histogram_of(&health.path().display().to_string());
        Arc::new(Self { health, directory, flush_times, state: Mutex::default() })
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
        let most = if state.gather { 1 } else { MAX_CONCURRENT_FLUSHES };
        if state.workers < most {
            state.workers += 1;
            drop(state);
            let scheduler = self.clone();
            start_blocking(move || scheduler.work());
        }
    }

    /// Flushes until the queue is empty, or left to another worker.
    fn work(&self) {
        while let Some(work) = self.next() {
            match work {
                Work::Single(target) => {
                    target.stage.begin();
                    let flushed = self.timed(|| target.flush());
                    self.conclude(&target, flushed);
                }
                Work::Together(targets) => {
                    let logs = targets.len();
                    let took = self.flush_together(targets);
                    if let Some(rest) = rest_after(logs, took) {
                        rest_blocking(rest);
                    }
                }
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let mut state = self.state.lock();
        if !self.health.is_online() {
            state.queue.clear();
        }
        state.gather = self.may_sync_directory(&mut state);
        let work = match state.queue.len() {
            0 => None,
            // Another one, from before logs were gathered, will come by.
            _ if state.gather && state.workers > 1 => None,
            2.. if state.gather => Some(Work::Together(std::mem::take(&mut state.queue).into())),
            _ => state.queue.pop_front().map(Work::Single),
        };
        if work.is_none() {
            state.workers -= 1;
        }
        work
    }

    fn may_sync_directory(&self, state: &mut State) -> bool {
        let now = clock::mono_ms();
        let Some(directory) = self.directory.as_ref().filter(|_| state.apart_until.is_none_or(|until| until <= now))
        else {
            return false;
        };
        if state.cheap_at.is_some_and(|looked| now - looked <= LOOK_EVERY) {
            return true;
        }
        let cheap = directory.is_cheap();
        (state.cheap_at, state.apart_until) = if cheap { (Some(now), None) } else { (None, Some(now + LOOK_EVERY)) };
        cheap
    }

    /// Flushes these logs by one sync of the directory. Returns how long that took.
    fn flush_together(&self, targets: Vec<Arc<FlushTarget>>) -> Duration {
        let begun = targets.iter().map(|target| {
            target.stage.begin();
            target.begin()
        });
        let begun: Vec<_> = begun.collect();
        let began = clock::mono_us();
        let synced = self.sync_directory();
        let took = Duration::from_micros(clock::mono_us().saturating_sub(began));
        for (target, unflushed) in targets.iter().zip(begun) {
            let covered = match (&synced, &unflushed) {
                (Ok(()), Ok(Some(unflushed))) => target.on_directory_synced(unflushed),
                (Ok(()), Ok(None)) => true,
                _ => false,
            };
            // One that was cut meanwhile goes by itself; one that failed finds out why.
            self.conclude(target, if covered { Ok(target.flushed()) } else { target.flush() });
        }
        if took > LONG_SYNC {
            self.state.lock().apart_until = Some(clock::mono_ms() + took * APART);
        }
        took
    }

    fn sync_directory(&self) -> Result<(), LogError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        self.health.check()?;
        self.health.watch_flush(self.timed(|| directory.sync()).map_err(LogError::io(self.health.path())))
    }

    fn timed<T>(&self, flush: impl FnOnce() -> T) -> T {
        let began = clock::mono_us();
        let result = flush();
        self.flush_times.observe(clock::mono_us().saturating_sub(began) as f64 / 1000.0);
        result
    }

    /// Tells of the flush, and puts the log into the queue again if more was appended meanwhile: this worker will find it.
    fn conclude(&self, target: &Arc<FlushTarget>, flushed: Result<Offset, LogError>) {
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
            self.state.lock().queue.push_back(target.clone());
        }
    }
}

/// How long the disk rests after a sync.
fn rest_after(logs: usize, took: Duration) -> Option<Duration> {
    (logs >= SEVERAL_LOGS).then(|| (took * REST).min(LONGEST_REST))
}

#[cfg(test)]
mod tests;
