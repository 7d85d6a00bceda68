//! The two clocks of a node. Both are virtual inside a turmoil simulation.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use highwater_types::{MonoMs, Timestamp};

#[cfg(feature = "sim")]
mod skew;
#[cfg(feature = "sim")]
pub use skew::WallClockSkew;

/// Wall-clock time in milliseconds since 1970. May step in either direction; only for timestamps that leave the node.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall_ms() -> Timestamp {
    #[cfg(feature = "sim")]
    if let Some(since_epoch) = simulated(turmoil::since_epoch) {
        return Timestamp(as_i64(since_epoch.as_millis()).saturating_add(skew::of_this_host_ms()));
    }
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(as_i64(since_epoch.as_millis()))
}

/// Monotonic time in milliseconds since an arbitrary start of this process. For leases and time-outs.
///
/// Follows `tokio::time`: in a paused test runtime it moves only with that runtime's clock.
pub fn mono_ms() -> MonoMs {
    #[cfg(feature = "sim")]
    if let Some(elapsed) = simulated(turmoil::sim_elapsed) {
        return MonoMs(as_u64(elapsed.as_millis()));
    }
    let now = tokio::time::Instant::now().into_std();
    MonoMs(as_u64(now.saturating_duration_since(anchor(now)).as_millis()))
}

/// Monotonic time in microseconds since the same start as [`mono_ms`]: for latency figures only.
pub fn mono_us() -> u64 {
    #[cfg(feature = "sim")]
    if let Some(elapsed) = simulated(turmoil::sim_elapsed) {
        return as_u64(elapsed.as_micros());
    }
    let now = tokio::time::Instant::now().into_std();
    as_u64(now.saturating_duration_since(anchor(now)).as_micros())
}

#[cfg(feature = "sim")]
thread_local! {
    /// A simulation has started a node on this thread.
    static MAY_BE_SIMULATED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// From now on the clocks of this thread look for a simulation first. They do not always, for outside of one turmoil builds an
/// error, two allocations, at each reading, and tests count allocations.
#[cfg(feature = "sim")]
pub fn look_for_simulation() {
    MAY_BE_SIMULATED.set(true);
}

/// What the simulation's clock says; `None` outside of a simulated host.
#[cfg(feature = "sim")]
fn simulated(clock: fn() -> Option<std::time::Duration>) -> Option<std::time::Duration> {
    if MAY_BE_SIMULATED.get() { clock() } else { None }
}

/// The moment that `MonoMs(0)` stands for: the first reading of this process.
fn anchor(now: Instant) -> Instant {
    static ANCHOR: OnceLock<Instant> = OnceLock::new();
    *ANCHOR.get_or_init(|| now)
}

fn as_u64(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn as_i64(value: u128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn wall_clock_is_after_2025() {
        assert!(wall_ms() > Timestamp(1_735_689_600_000));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn monotonic_clock_moves_with_tokio_sleeps() {
        let before = (mono_ms(), mono_us());
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(mono_ms() - before.0 >= Duration::from_millis(4));
        assert!(mono_us() - before.1 >= 4_000);
    }
}
