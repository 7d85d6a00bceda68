//! How long each partition acknowledged nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{Event, Key, Operation, Outcome};

/// Durations, shortest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps(Vec<Duration>);

impl Gaps {
    /// Sorts them.
    pub fn new(mut gaps: Vec<Duration>) -> Self {
        gaps.sort();
        Self(gaps)
    }

    /// The one that `percent` of all do not exceed; zero without any.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// Those of several runs together.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
        self.0.sort();
    }
}

/// The longest time between two acknowledgements of each partition.
pub fn longest_gaps(events: &[Event]) -> Gaps {
    let mut partitions: BTreeMap<&Key, (u64, u64)> = BTreeMap::new();
    for event in events.iter().filter(|event| event.outcome == Outcome::Ok) {
        if let Operation::Send(send) = &event.operation {
            let (last, longest) = partitions.entry(&send.key).or_insert((event.time_ns, 0));
            *longest = (*longest).max(event.time_ns.saturating_sub(*last));
            *last = event.time_ns;
        }
    }
    Gaps::new(partitions.into_values().map(|(_, longest)| Duration::from_nanos(longest)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_those_that_were_measured() {
        let gaps = Gaps::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!([50, 99, 100].map(|percent| gaps.percentile(percent).as_millis()), [50, 99, 100]);
        assert_eq!(Gaps::new(vec![Duration::from_millis(7)]).percentile(50), Duration::from_millis(7));
        assert_eq!(Gaps::default().percentile(99), Duration::ZERO);
    }
}
