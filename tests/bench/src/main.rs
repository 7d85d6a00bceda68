//! `make bench`: throughput, broker CPU, latency and memory for the workloads of docs/PERFORMANCE.md.
//!
//! In: the broker's binary and, optionally, workload letters and durabilities (`a e f strict`). Out: one row per workload and durability.
//! One stock client (librdkafka) drives real processes; nothing is asserted, because machines differ.

mod latency;
mod load;
mod payload;
mod workloads;

use std::process::ExitCode;

use anyhow::Result;
use highwater_test_cluster::binary_argument;

/// Values of `highwater.durability`.
const DURABILITIES: [&str; 2] = ["strict", "relaxed"];

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
    let (durabilities, letters): (Vec<String>, Vec<String>) =
        only.into_iter().partition(|word| DURABILITIES.contains(&word.as_str()));
    let wanted = |name: &str| letters.is_empty() || letters.iter().any(|word| word.eq_ignore_ascii_case(name));
    println!("{}", workloads::Row::HEADER);
    for durability in DURABILITIES {
        if !durabilities.is_empty() && !durabilities.iter().any(|word| word == durability) {
            continue;
        }
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
