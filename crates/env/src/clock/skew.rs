//! Wall clocks that are wrong, in simulation: each host has a runtime of its own, by which its clock is found.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::runtime::{Handle, Id};

thread_local! {
    /// The hosts' clocks, by runtime: few, and asked for often. A restarted host has another runtime and installs its clock again.
    static CLOCKS: RefCell<Vec<(Id, WallClockSkew)>> = const { RefCell::new(Vec::new()) };
}

/// How far a host's wall clock is off. It belongs to the host and outlives its crashes; clones share it.
#[derive(Debug, Clone, Default)]
pub struct WallClockSkew(Arc<AtomicI64>);

impl WallClockSkew {
    /// Makes it the clock of the host that calls.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn install(&self) {
        let runtime = Handle::current().id();
        CLOCKS.with_borrow_mut(|clocks| {
            clocks.retain(|(_, other)| !Arc::ptr_eq(&other.0, &self.0));
            clocks.push((runtime, self.clone()));
        });
    }

    /// Sets the clock wrong by so many milliseconds; 0 sets it right.
    pub fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

/// How far the clock of the current host is off, in milliseconds.
pub(super) fn of_this_host_ms() -> i64 {
    let Ok(runtime) = Handle::try_current() else { return 0 };
    let id = runtime.id();
    CLOCKS.with_borrow(|clocks| {
        let clock = clocks.iter().find(|(other, _)| *other == id);
        clock.map_or(0, |(_, skew)| skew.0.load(Ordering::Relaxed))
    })
}
