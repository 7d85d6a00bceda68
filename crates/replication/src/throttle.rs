//! A rate of bytes that all throttled streams of one direction share.
//!
//! What was moved beyond the rate is a debt: nothing more moves until time has paid it. So the rate holds on average, whatever
//! the size of single batches.

use std::time::Duration;

use highwater_env::lock::Mutex;
use tokio::time::Instant;

/// How much may be saved up while nothing moves: bursts of that time.
const BURST: Duration = Duration::from_millis(100);
/// Whoever waits looks again after this time: the rate may have changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Least and most that one frame of a throttled stream holds, in bytes of records.
const FRAME_BYTES: (u64, u64) = (1024, 256 * 1024);
/// A frame holds what the rate allows in this part of a second.
const FRAMES_PER_SECOND: u64 = 8;

/// One direction of one broker.
#[derive(Debug)]
pub(crate) struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Bytes per second.
    rate: u64,
    /// When all that was moved is paid for.
    paid_at: Option<Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { state: Mutex::new(State { rate: u64::MAX, paid_at: None }) }
    }
}

impl Throttle {
    /// Changes the rate, in bytes per second; `u64::MAX` is none. Nothing moves at 0.
    pub fn set_rate(&self, rate: u64) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.rate, rate) != rate {
            // Debts of a lower rate are not paid at that rate.
            state.paid_at = None;
        }
    }

    /// So many bytes move now.
    pub fn take(&self, bytes: usize, now: Instant) {
        let mut state = self.state.lock();
        if bytes > 0 && state.rate < u64::MAX {
            let from = state.paid_at.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
            let cost = Duration::from_secs_f64(bytes as f64 / state.rate.max(1) as f64);
            state.paid_at = Some(from + cost);
        }
    }

    /// When to ask again, because nothing may move before; `None` if something may at `now`.
    pub fn ready_at(&self, now: Instant) -> Option<Instant> {
        let state = self.state.lock();
        let look_again = now + LOOK_AGAIN;
        match state.rate {
            u64::MAX => None,
            0 => Some(look_again),
            _ => state.paid_at.filter(|paid_at| *paid_at > now).map(|paid_at| paid_at.min(look_again)),
        }
    }

    /// How many bytes of records one frame may hold.
    pub fn frame_bytes(&self) -> usize {
        let share = (self.state.lock().rate / FRAMES_PER_SECOND).clamp(FRAME_BYTES.0, FRAME_BYTES.1);
        usize::try_from(share).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves as much as it may for ten seconds, in frames of `bytes`; returns the bytes.
    fn moved(throttle: &Throttle, bytes: usize) -> usize {
        let start = Instant::now();
        let (mut now, mut moved) = (start, 0);
        while now < start + Duration::from_secs(10) {
            match throttle.ready_at(now) {
                None => {
                    throttle.take(bytes, now);
                    moved += bytes;
                    now += Duration::from_millis(1);
                }
                Some(at) => now = at,
            }
        }
        moved
    }

    #[test]
    fn the_rate_holds_whatever_the_size_of_frames() {
        for bytes in [100, 10_000, 100_000, 1_000_000] {
            let throttle = Throttle::default();
            throttle.set_rate(100_000);
            let moved = moved(&throttle, bytes);
            let (least, most) = (1_000_000, 1_000_000 + 10_000 + bytes);
            assert!((least..=most).contains(&moved), "{moved} bytes in frames of {bytes}");
        }
    }

    #[test]
    fn a_change_of_the_rate_forgets_debts() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.ready_at(now), None);
        throttle.set_rate(10);
        throttle.take(1_000_000, now);
        assert_eq!(throttle.ready_at(now), Some(now + LOOK_AGAIN));
        assert!(throttle.ready_at(now + Duration::from_secs(90_000)).is_some());
        throttle.set_rate(10);
        assert!(throttle.ready_at(now).is_some());
        throttle.set_rate(u64::MAX);
        assert_eq!(throttle.ready_at(now), None);
        throttle.take(usize::MAX, now);
        throttle.set_rate(0);
        assert!(throttle.ready_at(now).is_some());
    }

    #[test]
    fn frames_follow_the_rate() {
        let throttle = Throttle::default();
        assert_eq!(throttle.frame_bytes(), 256 * 1024);
        for (rate, bytes) in [(0, 1024), (800_000, 100_000), (1 << 40, 256 * 1024)] {
            throttle.set_rate(rate);
            assert_eq!(throttle.frame_bytes(), bytes, "at {rate}");
        }
    }
}
