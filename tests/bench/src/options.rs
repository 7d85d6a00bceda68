//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::scale::Scale;

/// Measures Highwater, and Apache Kafka beside it: throughput, broker CPU, latency, memory, gaps.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench")]
pub struct Options {
    /// The `highwater` binary.
    #[arg(long)]
    pub binary: PathBuf,
    /// Directory with the jars of an Apache Kafka release; without it only Highwater is measured.
    #[arg(long)]
    pub kafka_libs: Option<PathBuf>,
    /// Workloads (a, b, ..., m1, ...), separated by blanks or commas; all by default.
    #[arg(long, default_value = "")]
    pub only: String,
    /// Systems (strict, relaxed, kafka), separated by blanks or commas; what the workload compares by default.
    #[arg(long, default_value = "")]
    pub systems: String,
    /// How often each workload runs on each system; the table shows medians.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Small sizes: a first look, not figures to believe.
    #[arg(long)]
    pub quick: bool,
    /// Sizes that differ from the defaults, e.g. `groups=1000 cold_gigabytes=20`.
    #[arg(long, default_value = "")]
    pub sizes: String,
    /// Where the brokers' data goes (it is deleted afterwards): a real disk, with room for some 30 GB at full sizes.
    #[arg(long, default_value = "target/bench")]
    pub directory: PathBuf,
    /// The file of all results: what was measured earlier stays, what is measured now replaces it.
    #[arg(long)]
    pub results: Option<PathBuf>,
    /// Directory of documents, in which the table of `PERFORMANCE.md` and the plots in `performance/` are rewritten.
    #[arg(long)]
    pub documents: Option<PathBuf>,
    /// Only rewrites table and plots from the results.
    #[arg(long)]
    pub report_only: bool,
    /// Runs one workload in this process and prints its findings; what the bench starts for itself.
    #[arg(long, hide = true)]
    pub cell: Option<String>,
}

impl Options {
    /// The sizes of this run.
    pub fn scale(&self) -> Result<Scale> {
        let mut scale = if self.quick { Scale::quick() } else { Scale::full() };
        for word in words(&self.sizes) {
            scale.set(word)?;
        }
        Ok(scale)
    }
}

/// The words of a list that is separated by blanks or commas.
pub fn words(list: &str) -> Vec<&str> {
    list.split([',', ' ']).filter(|word| !word.is_empty()).collect()
}
