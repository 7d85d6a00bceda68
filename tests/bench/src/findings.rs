//! What one run of one workload on one system found.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::latency::{PERCENTILES, SortedLatencies};
use crate::meter::Used;

/// The end of the names of figures that tell how busy the machine was with something else.
const OTHER_CORES: &str = "other_cores";

/// The end of the names of figures that tell how long nothing could run on the machine.
const STOOD_STILL: &str = "stood_still_s";

/// Named figures. Those that `figure.rs` lists appear in the table; the others are for whoever looks closer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Findings(BTreeMap<String, f64>);

impl Findings {
    /// Notes a figure.
    pub fn note(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), value);
    }

    /// The figure with that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// The most that programs which have nothing to do with the benchmark took of the machine, in cores.
    pub fn disturbance_cores(&self) -> f64 {
        self.most(OTHER_CORES)
    }

    /// The longest that the machine stood still while something was measured.
    pub fn stood_still_seconds(&self) -> f64 {
        self.most(STOOD_STILL)
    }

    fn most(&self, ending: &str) -> f64 {
        self.0.iter().filter(|(name, _)| name.ends_with(ending)).map(|(_, figure)| *figure).fold(0.0, f64::max)
    }

    /// Notes how long the machine stood still, where that is known.
    pub fn note_stood_still(&mut self, prefix: &str, stood_still: Option<Duration>) {
        if let Some(stood_still) = stood_still {
            self.note(format!("{prefix}.{STOOD_STILL}"), stood_still.as_secs_f64());
        }
    }

    /// Notes `PREFIX.p50_ms`, `PREFIX.p99_ms` and so on.
    pub fn note_latencies(&mut self, prefix: &str, latencies: &SortedLatencies) {
        for (name, share) in PERCENTILES {
            self.note(format!("{prefix}.{name}_ms"), latencies.percentile_ms(share));
        }
    }

    /// Notes what the brokers used for a transfer: CPU a GB, MB/s, peak memory a node, bytes written for each byte of values.
    pub fn note_transfer(&mut self, prefix: &str, used: &Used, bytes: f64, seconds: f64) {
        self.note(format!("{prefix}.cpu_s_per_gb"), used.cpu_seconds / (bytes / 1e9));
        self.note(format!("{prefix}.mb_per_s"), bytes / 1e6 / seconds);
        self.note(format!("{prefix}.peak_mb"), used.peak_resident_mb);
        self.note(format!("{prefix}.private_mb"), used.private_mb);
        self.note(format!("{prefix}.written_per_byte"), used.written_bytes / bytes);
        self.note_company(prefix, used);
    }

    /// Notes how busy client and machine were meanwhile.
    pub fn note_company(&mut self, prefix: &str, used: &Used) {
        self.note(format!("{prefix}.client_cores"), used.client_cores);
        self.note(format!("{prefix}.{OTHER_CORES}"), used.other_cores);
    }
}
