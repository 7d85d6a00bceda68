//! Work that blocks its thread: flushes, cold reads, recovery.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "sim")]
use std::cell::RefCell;

#[cfg(feature = "sim")]
use rand::rngs::SmallRng;
#[cfg(feature = "sim")]
use rand::{Rng, SeedableRng};

use crate::lock::Mutex;

/// How long one piece of blocking work takes on a simulated disk: evenly spread between the two, drawn from a stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushLatency {
    /// Shortest.
    pub min: Duration,
    /// Longest.
    pub max: Duration,
}

impl Default for FlushLatency {
    /// A fast disk with a tail (fdatasync of 16 KiB on common cloud disks: median 0.2 ms, slowest some milliseconds).
    fn default() -> Self {
        Self { min: Duration::from_micros(100), max: Duration::from_millis(3) }
    }
}

#[cfg(feature = "sim")]
thread_local! {
    static LATENCY: RefCell<(FlushLatency, SmallRng)> = RefCell::new((FlushLatency::default(), SmallRng::seed_from_u64(0)));
}

/// Sets the latency of simulated blocking work on this thread and the seed of its stream. Without effect on real work.
pub fn install_flush_latency(seed: u64, latency: FlushLatency) {
    #[cfg(feature = "sim")]
    LATENCY.with_borrow_mut(|slot| *slot = (latency, SmallRng::seed_from_u64(seed)));
    #[cfg(not(feature = "sim"))]
    let _ = (seed, latency);
}

/// Runs `work` where it may block, and returns what it returns.
///
/// Real: on tokio's blocking pool; the work finishes even if the caller stops waiting. Simulated: inline, after the disk's
/// latency has passed on virtual time; if the host crashes (or the caller stops waiting) before that, the work never happens.
///
/// # Panics
/// When `work` panics, with its payload.
#[expect(clippy::disallowed_methods, reason = "the one place that uses the blocking pool")]
pub async fn run_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    #[cfg(feature = "sim")]
    if turmoil::in_simulation() {
        tokio::time::sleep(draw_latency()).await;
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        // The runtime is shutting down and took the work off its queue: nothing will ever come, as after a crash.
        Err(_) => std::future::pending().await,
    }
}

/// Runs `work` as [`run_blocking`] does, but behind everything else on the machine: for a slice of long work for which nobody waits.
/// Of a processor that is wanted by others it gets about a tenth, and of a disk what they leave (ioprio_set(2), where the
/// disk's scheduler heeds it). Where no thread is to be had, it runs as any other.
///
/// It must not hold what others wait for, such as a partition's lock.
///
/// # Panics
/// When `work` panics, with its payload.
pub async fn run_in_background<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    #[cfg(feature = "sim")]
    if turmoil::in_simulation() {
        return run_blocking(work).await;
    }
    // A thread of its own, because it cannot come back: only the privileged may raise a priority.
    let (reply, done) = tokio::sync::oneshot::channel();
    let work = Arc::new(Mutex::new(Some(work)));
    let taken = work.clone();
    let behind = move || {
        let work = taken.lock().take().expect("nobody else takes it if there is a thread");
        step_behind();
        // A caller that is gone wants no result.
        let _ = reply.send(catch_unwind(AssertUnwindSafe(work)));
    };
    if std::thread::Builder::new().name("background".to_owned()).spawn(behind).is_err() {
        let work = work.lock().take().expect("there is no thread that took it");
        return run_blocking(work).await;
    }
    match done.await.expect("the thread answers before it ends") {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    }
}

/// Lowers the priorities of this thread. Without effect where that is not to be had.
fn step_behind() {
    /// ioprio_set(2): IOPRIO_WHO_PROCESS, which with 0 is the calling thread.
    const THREAD: libc::c_int = 1;
    /// ioprio_set(2): IOPRIO_CLASS_IDLE, in its place.
    const IDLE: libc::c_int = 3 << 13;
    // SAFETY: both take numbers, and change nothing but this thread.
    unsafe {
        libc::nice(10);
        libc::syscall(libc::SYS_ioprio_set, THREAD, 0, IDLE);
    }
}

/// Starts `work` where it may block, for callers that do not wait for it: as [`run_blocking`], with one task less.
///
/// A panic of `work` ends it and nothing else.
///
/// # Panics
/// Outside a tokio runtime.
#[expect(clippy::disallowed_methods, reason = "the one place that uses the blocking pool")]
pub fn start_blocking(work: impl FnOnce() + Send + 'static) {
    #[cfg(feature = "sim")]
    if turmoil::in_simulation() {
        tokio::spawn(run_blocking(work));
        return;
    }
    // Dropping the handle detaches the work.
    drop(tokio::task::spawn_blocking(work));
}

/// Lets the thread of blocking work rest. Simulated, such work takes no thread and no time but the disk's: returns at once.
#[expect(clippy::disallowed_methods, reason = "the one place where a thread rests")]
pub fn rest_blocking(duration: Duration) {
    #[cfg(feature = "sim")]
    if turmoil::in_simulation() {
        return;
    }
    std::thread::sleep(duration);
}

#[cfg(feature = "sim")]
fn draw_latency() -> Duration {
    LATENCY.with_borrow_mut(|(latency, rng)| {
        let (min, max) = (latency.min.as_nanos() as u64, latency.max.as_nanos() as u64);
        Duration::from_nanos(rng.random_range(min..=max.max(min)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn returns_the_result_from_another_thread() {
        let here = std::thread::current().id();
        let there = run_blocking(move || std::thread::current().id()).await;
        assert_ne!(here, there);
    }

    #[tokio::test(flavor = "current_thread")]
    #[should_panic(expected = "as told")]
    async fn passes_a_panic_on() {
        run_blocking(|| panic!("as told")).await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn work_in_the_background_steps_behind_and_leaves_others_where_they_are() {
        // SAFETY: both take numbers, and change nothing.
        let priorities =
            || unsafe { (libc::getpriority(libc::PRIO_PROCESS, 0), libc::syscall(libc::SYS_ioprio_get, 1, 0) >> 13) };
        let before = priorities();
        assert_eq!(run_in_background(priorities).await, ((before.0 + 10).min(19), 3));
        assert_eq!((priorities(), run_blocking(priorities).await), (before, before));
    }

    #[tokio::test(flavor = "current_thread")]
    #[should_panic(expected = "as told")]
    async fn passes_a_panic_from_the_background_on() {
        run_in_background(|| panic!("as told")).await;
    }
}
