//! Percentiles of latencies.

use std::time::Duration;

/// The shares whose latencies are reported, as names and numbers.
pub const PERCENTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// All latencies of one run, in nanoseconds.
#[derive(Debug, Default, Clone)]
pub struct Latencies(Vec<u64>);

impl Latencies {
    /// Notes one latency.
    pub fn add(&mut self, latency: Duration) {
        self.0.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many were noted.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// In ascending order, to take percentiles of.
    pub fn sorted(mut self) -> SortedLatencies {
        self.0.sort_unstable();
        SortedLatencies(self.0)
    }
}

/// Latencies in ascending order.
#[derive(Debug)]
pub struct SortedLatencies(Vec<u64>);

impl SortedLatencies {
    /// The smallest latency that at least this share (0 to 1) of all does not exceed, in milliseconds; 0 if there are none.
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        let index = rank.max(1) - 1;
        self.0.get(index.min(self.0.len().saturating_sub(1))).map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ms(milliseconds: impl Iterator<Item = u64>) -> SortedLatencies {
        let mut latencies = Latencies::default();
        milliseconds.for_each(|ms| latencies.add(Duration::from_millis(ms)));
        latencies.sorted()
    }

    #[test]
    fn percentiles_are_latencies_that_occurred() {
        let latencies = of_ms((1..=1000).rev());
        let found = [0.0, 0.5, 0.99, 0.999, 0.9999, 1.0].map(|share| latencies.percentile_ms(share));
        assert_eq!(found, [1.0, 500.0, 990.0, 999.0, 1000.0, 1000.0]);
    }

    #[test]
    fn one_latency_is_every_percentile_and_none_is_zero() {
        assert_eq!(of_ms([7].into_iter()).percentile_ms(0.01), 7.0);
        assert_eq!(of_ms(std::iter::empty()).percentile_ms(0.5), 0.0);
    }
}
