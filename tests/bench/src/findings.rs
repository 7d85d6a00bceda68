//! What one run of one workload on one system found.

use std::collections::BTreeMap;

use highwater_test_cluster::{Cluster, ProcessFigures};
use serde::{Deserialize, Serialize};

use crate::latency::{PERCENTILES, SortedLatencies};

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
    }
}

/// What the broker processes of a cluster used while something ran.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Of all nodes together.
    pub cpu_seconds: f64,
    /// Highest resident memory so far, a node.
    pub peak_resident_mb: f64,
    /// Heap and stacks at the end, a node.
    pub private_mb: f64,
    /// Of all nodes together.
    pub written_bytes: f64,
}

/// Watches the broker processes from now on.
pub struct Meter<'a> {
    cluster: &'a Cluster,
    before: ProcessFigures,
}

impl<'a> Meter<'a> {
    /// Starts to watch.
    pub fn start(cluster: &'a Cluster) -> Self {
        Self { cluster, before: cluster.figures() }
    }

    /// What was used since the start.
    pub fn used(&self) -> Used {
        let (now, nodes) = (self.cluster.figures(), self.cluster.nodes().len() as f64);
        Used {
            cpu_seconds: now.cpu_seconds - self.before.cpu_seconds,
            peak_resident_mb: now.peak_resident_bytes as f64 / 1e6 / nodes,
            private_mb: now.private_bytes as f64 / 1e6 / nodes,
            written_bytes: now.written_bytes.saturating_sub(self.before.written_bytes) as f64,
        }
    }
}
