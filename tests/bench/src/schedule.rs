//! When records are due: an open loop. A broker that falls behind does not slow the schedule down, so its delay shows up in
//! the latencies instead of disappearing in a lower rate.

use std::time::Duration;

/// A steady rate.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    records_per_second: u64,
}

impl Schedule {
    /// So many records a second, evenly spaced. The rate is at least 1.
    pub fn new(records_per_second: u64) -> Self {
        Self { records_per_second: records_per_second.max(1) }
    }

    /// When a record (0, 1, ...) is due, from the start.
    pub fn due(self, number: u64) -> Duration {
        let seconds = number / self.records_per_second;
        let rest = number % self.records_per_second;
        Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / self.records_per_second)
    }

    /// How many records fall into a time.
    pub fn records_in(self, seconds: u64) -> u64 {
        seconds * self.records_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_evenly_spaced_without_drift() {
        let schedule = Schedule::new(3);
        let due: Vec<u128> = (0..4).map(|number| schedule.due(number).as_nanos()).collect();
        assert_eq!(due, [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(Schedule::new(20_000).due(20_000 * 3_600), Duration::from_secs(3_600));
    }

    #[test]
    fn a_duration_holds_as_many_records_as_are_due_in_it() {
        let schedule = Schedule::new(20_000);
        let count = schedule.records_in(30);
        assert!(schedule.due(count - 1) < Duration::from_secs(30) && schedule.due(count) == Duration::from_secs(30));
    }
}
