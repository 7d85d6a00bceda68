//! What a run of load measured.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::output::facts;

/// Longest latency that is told apart: a minute, in microseconds.
const HIGHEST_US: u64 = 60_000_000;
/// Percentiles that are shown.
const PERCENTILES: [(&str, f64); 4] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

/// Records, bytes and latencies, of one worker or of all.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    latencies_us: Histogram<u64>,
}

impl Figures {
    pub(crate) fn new() -> Result<Self, Failure> {
        let latencies_us =
            Histogram::new_with_bounds(1, HIGHEST_US, 3).map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self { records: 0, bytes: 0, latencies_us })
    }

    /// Counts `count` events that each took `latency`.
    pub(crate) fn took(&mut self, latency: Duration, count: u64) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(HIGHEST_US);
        self.latencies_us.saturating_record_n(us.clamp(1, HIGHEST_US), count);
    }

    pub(crate) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.records += other.records;
        self.bytes += other.bytes;
        self.latencies_us.add(&other.latencies_us).map_err(|error| Failure::new(error.to_string()))
    }

    fn per_second(&self, elapsed: Duration) -> (f64, f64) {
        let seconds = elapsed.as_secs_f64().max(1e-6);
        (self.records as f64 / seconds, self.bytes as f64 / 1e6 / seconds)
    }

    fn latency_ms(&self, percentile: f64) -> f64 {
        self.latencies_us.value_at_percentile(percentile) as f64 / 1000.0
    }

    /// `latency_of` says what the latencies are those of.
    pub(crate) fn text(&self, elapsed: Duration, latency_of: &str) -> String {
        let (records, megabytes) = self.per_second(elapsed);
        let percentiles = PERCENTILES.map(|(name, percentile)| format!("{name} {:.2} ms", self.latency_ms(percentile)));
        let most = self.latencies_us.max() as f64 / 1000.0;
        facts([
            ("records", self.records.to_string()),
            ("time", format!("{:.2} s", elapsed.as_secs_f64())),
            ("throughput", format!("{records:.0} records/s, {megabytes:.2} MB/s")),
            (latency_of, format!("{}, max {most:.2} ms", percentiles.join(", "))),
        ])
    }

    pub(crate) fn json(&self, elapsed: Duration) -> Value {
        let (records, megabytes) = self.per_second(elapsed);
        let mut latency = json!({"max": self.latencies_us.max() as f64 / 1000.0});
        for (name, percentile) in PERCENTILES {
            latency[name] = self.latency_ms(percentile).into();
        }
        json!({
            "records": self.records,
            "bytes": self.bytes,
            "seconds": elapsed.as_secs_f64(),
            "records_per_second": records,
            "megabytes_per_second": megabytes,
            "latency_ms": latency,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up() {
        let mut all = Figures::new().unwrap();
        for (latency_ms, count) in [(1, 90), (10, 9), (100, 1)] {
            let mut one = Figures::new().unwrap();
            one.records = count;
            one.bytes = count * 1000;
            one.took(Duration::from_millis(latency_ms), count);
            all.add(&one).unwrap();
        }
        let expected = "\
records     100
time        2.00 s
throughput  50 records/s, 0.05 MB/s
latency     p50 1.00 ms, p90 1.00 ms, p99 10.01 ms, p99.9 100.03 ms, max 100.03 ms";
        assert_eq!(all.text(Duration::from_secs(2), "latency"), expected);
        assert_eq!(all.json(Duration::from_secs(2))["records_per_second"], 50.0);
    }
}
