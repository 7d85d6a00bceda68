//! Percentiles of latencies.

use std::time::Duration;

/// All latencies of one run.
#[derive(Debug, Default)]
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

    /// The latencies at these shares (0 to 1), in milliseconds.
    pub fn percentiles_ms<const N: usize>(&mut self, shares: [f64; N]) -> [f64; N] {
        self.0.sort_unstable();
        shares.map(|share| {
            let index = ((self.0.len() as f64 * share) as usize).min(self.0.len().saturating_sub(1));
            self.0.get(index).map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1e6)
        })
    }
}
