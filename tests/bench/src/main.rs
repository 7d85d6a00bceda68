//! `make bench`: throughput, broker CPU, latency and memory for the workloads of docs/PERFORMANCE.md.
//!
//! In: the broker's binary and, optionally, workload letters (`a e f`). Out: one row per workload and durability.
//! One stock client (librdkafka) drives real processes; nothing is asserted, because machines differ.

mod latency;
mod load;
mod payload;
mod workloads;

use std::process::ExitCode;

use anyhow::Result;
use highwater_test_cluster::binary_argument;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (binary, only) = binary_argument()?;
    let wanted = |name: &str| only.is_empty() || only.iter().any(|word| word.eq_ignore_ascii_case(name));
    println!("{}", workloads::Row::HEADER);
    for durability in ["strict", "relaxed"] {
        if wanted("a") {
            workloads::a(&binary, durability)?;
        }
        if wanted("e") {
            workloads::e(&binary, durability)?;
        }
        if wanted("f") {
            workloads::f(&binary, durability)?;
        }
    }
    Ok(())
}
