//! Two clocks that must never be mixed up.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Wall-clock time in milliseconds since 1970, as records carry it. -1 is "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// "No timestamp" on the wire.
    pub const NONE: Self = Self(-1);
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

/// Monotonic time of one node in milliseconds since an arbitrary start. For time-outs and leases; never stored, never sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MonoMs(pub u64);

impl Add<Duration> for MonoMs {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub for MonoMs {
    type Output = Duration;
    /// How much later `self` is than `rhs`; zero when it is not later.
    fn sub(self, rhs: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(rhs.0))
    }
}

impl fmt::Debug for MonoMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}ms", self.0)
    }
}
