//! Whether the machine gives its processors to those who would run.
//!
//! A virtual machine may have to stand still: when it has used up what its host allows it in a tenth of a second, which work that
//! the host does for it counts against, too. Nothing in the machine can run then, and every latency holds that time, whatever
//! is measured. A thread on each processor that sleeps a little again and again, and goes before all others, sees how much
//! that was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks.
const STEP: Duration = Duration::from_millis(2);
/// A sleep that lasts so much too long was not waiting for other threads.
const LATE: Duration = Duration::from_millis(10);
/// How long a busy machine must not stand still to count as settled.
const SETTLED: Duration = Duration::from_secs(10);
/// After so long a load begins all the same.
const LIMIT: Duration = Duration::from_secs(150);

/// Watches all processors until it is asked.
pub struct Watch {
    over: Arc<AtomicBool>,
    watchers: Vec<JoinHandle<Option<Duration>>>,
}

impl Watch {
    /// Starts to watch.
    pub fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let watchers = (0..processors()).map(|processor| {
            let over = over.clone();
            std::thread::spawn(move || goes_first_on(processor).then(|| late(&over)))
        });
        Self { watchers: watchers.collect(), over }
    }

    /// How long a processor stood still since then; of the one that did most. `None` where no thread may go before others.
    pub fn stood_still(self) -> Option<Duration> {
        self.over.store(true, Ordering::Relaxed);
        let of_each = self.watchers.into_iter().map(|watcher| watcher.join().ok().flatten());
        of_each.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

/// Keeps all processors busy until the machine does not stand still under that, for two minutes and a half at most: what the
/// host takes back after a load that filled memory costs it as much as a load does. Returns how long that took.
pub fn settle() -> Duration {
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        let watch = Watch::start();
        keep_busy(SETTLED);
        if watch.stood_still().is_none_or(|stood_still| stood_still < LATE) {
            break;
        }
    }
    started.elapsed()
}

/// How much too long sleeps lasted, in all.
fn late(over: &AtomicBool) -> Duration {
    let mut total = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let before = Instant::now();
        std::thread::sleep(STEP);
        total += too_long(before.elapsed());
    }
    total
}

/// How much longer than a step a sleep was, if that is more than waiting for other threads would explain.
fn too_long(slept: Duration) -> Duration {
    Some(slept.saturating_sub(STEP)).filter(|late| *late >= LATE).unwrap_or_default()
}

fn keep_busy(time: Duration) {
    std::thread::scope(|scope| {
        for _ in 0..processors() {
            scope.spawn(|| {
                let started = Instant::now();
                while started.elapsed() < time {
                    std::hint::spin_loop();
                }
            });
        }
    });
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Keeps the calling thread on one processor, before all that are not real-time threads.
fn goes_first_on(processor: usize) -> bool {
    // SAFETY: an all-zero set is an empty one; CPU_SET writes within it, and both calls read what is passed to them. 0 is the
    // calling thread.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        let first = libc::sched_param { sched_priority: 1 };
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) == 0
            && libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_thread_explains_counts_and_then_as_a_whole() {
        assert_eq!(too_long(Duration::from_millis(1)), Duration::ZERO);
        assert_eq!(too_long(STEP + Duration::from_millis(9)), Duration::ZERO);
        assert_eq!(too_long(STEP + Duration::from_millis(33)), Duration::from_millis(33));
    }
}
