//! Time as groups have it: it stands still while the broker has no lease, for meanwhile members cannot be heard. Pure.

use highwater_types::MonoMs;

/// Must be read now and then: a lapse that began after one reading and ended before the next one goes unnoticed.
#[derive(Debug)]
pub(crate) struct LeaseClock {
    /// When the lease was seen last.
    leased: MonoMs,
    /// For how long it has been missed in all, until then.
    behind_ms: u64,
    has_lapsed: bool,
}

impl LeaseClock {
    pub(crate) fn new(now: MonoMs) -> Self {
        Self { leased: now, behind_ms: 0, has_lapsed: false }
    }

    /// The time, which never goes back.
    pub(crate) fn read(&mut self, now: MonoMs, has_lease: bool) -> MonoMs {
        if has_lease {
            if self.has_lapsed {
                self.behind_ms += now.0 - self.leased.0;
            }
            self.leased = now;
        }
        self.has_lapsed = !has_lease;
        MonoMs(self.leased.0 - self.behind_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_without_a_lease_and_never_goes_back() {
        let mut clock = LeaseClock::new(MonoMs(100));
        let readings = [
            (150, true, 150),
            (200, false, 150),
            (900, false, 150),
            (1_000, true, 150),
            (1_100, true, 250),
            (1_101, false, 250),
            (2_100, true, 250),
            (2_110, true, 260),
        ];
        for (now, has_lease, expected) in readings {
            assert_eq!(clock.read(MonoMs(now), has_lease), MonoMs(expected), "at {now}");
        }
    }
}
