//! `make faults`: real processes, real faults, a stock idempotent client under load, and a check that nothing
//! acknowledged was lost, nothing was doubled, and every partition kept its order.
//!
//! In: the broker's binary and, optionally, names of faults. Out: a line per fault with its figures, and a count.

mod cells;
mod load;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use highwater_test_cluster::{Cluster, binary_argument};

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize> {
    let (binary, only) = binary_argument()?;
    let (mut passed, mut failed) = (0, 0);
    println!("{:<26} {:>12} {:>16} {:>8}", "fault", "acknowledged", "longest gap ms", "seconds");
    for (name, fault) in cells::CELLS {
        if !only.is_empty() && !only.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let started = Instant::now();
        let mut cluster = Cluster::start(&binary, 3, &[])?;
        match load::under_load(&mut cluster, *fault) {
            Ok(figures) => {
                passed += 1;
                let seconds = started.elapsed().as_secs_f64();
                println!(
                    "{name:<26} {:>12} {:>16.0} {seconds:>8.1}",
                    figures.acknowledged,
                    figures.longest_gap.as_secs_f64() * 1e3
                );
            }
            Err(error) => {
                failed += 1;
                cluster.keep_files();
                println!("{name:<26} FAILED: {error:#}");
            }
        }
    }
    println!("\n{passed} passed, {failed} failed");
    Ok(failed)
}
