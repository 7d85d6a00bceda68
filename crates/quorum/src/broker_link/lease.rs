//! The right to serve, as long as it lasts (M9).

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use highwater_types::{BrokerEpoch, MonoMs};

/// Read on every produce and fetch, hence atomics. `until` alone decides; it is 0 while the broker is fenced.
#[derive(Debug)]
pub(super) struct LeaseState {
    epoch: AtomicI64,
    until: AtomicU64,
    given_up: AtomicBool,
}

impl Default for LeaseState {
    fn default() -> Self {
        Self { epoch: AtomicI64::new(BrokerEpoch::NONE.0), until: AtomicU64::new(0), given_up: AtomicBool::new(false) }
    }
}

impl LeaseState {
    pub(super) fn epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.epoch.load(Ordering::Acquire))
    }

    pub(super) fn is_valid(&self, now: MonoMs) -> bool {
        now < self.until()
    }

    pub(super) fn until(&self) -> MonoMs {
        MonoMs(self.until.load(Ordering::Acquire))
    }

    /// The broker is registered with this epoch. A lease of another epoch is void.
    pub(super) fn registered(&self, epoch: BrokerEpoch) {
        if self.epoch.swap(epoch.0, Ordering::AcqRel) != epoch.0 {
            self.until.store(0, Ordering::Release);
        }
    }

    /// A lease of that length, counted from when the heartbeat was *sent*: the controller counts the session from when it
    /// was received, which is later, so the lease lapses first.
    pub(super) fn granted(&self, sent: MonoMs, length: Duration) {
        if !self.given_up.load(Ordering::Acquire) {
            self.until.fetch_max((sent + length).0, Ordering::AcqRel);
        }
    }

    /// The controller has fenced this broker.
    pub(super) fn fenced(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// The process is about to exit: no lease any more, whatever comes.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
        self.until.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_counts_from_the_sending_and_never_shrinks() {
        let lease = LeaseState::default();
        assert!(!lease.is_valid(MonoMs(0)));
        lease.registered(BrokerEpoch(3));
        lease.granted(MonoMs(100), Duration::from_millis(50));
        lease.granted(MonoMs(90), Duration::from_millis(50));
        assert!(lease.is_valid(MonoMs(149)));
        assert!(!lease.is_valid(MonoMs(150)));
    }

    #[test]
    fn fencing_a_new_epoch_and_giving_up_end_it() {
        let lease = LeaseState::default();
        let grant = || lease.granted(MonoMs(0), Duration::from_secs(1));
        grant();
        lease.fenced();
        assert!(!lease.is_valid(MonoMs(1)));
        grant();
        lease.registered(BrokerEpoch(4));
        assert!(!lease.is_valid(MonoMs(1)));
        lease.give_up();
        grant();
        assert!(!lease.is_valid(MonoMs(1)));
    }
}
