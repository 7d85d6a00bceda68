//! `make faults`: real processes, real faults, a stock idempotent client under load, and a check that nothing
//! acknowledged was lost, nothing was doubled, and every partition kept its order.
//!
//! In: the broker's binary and, optionally, names of faults. Out: a line per fault with its figures, and a count.

mod cells;
mod java;
mod live_reader;
mod load;

use std::process::ExitCode;
use std::time::{Duration, Instant};

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
    println!(
        "longest time without an acknowledgement, in ms, of the partition with the shortest, the median, the longest"
    );
    println!("{:<38} {:>12} {:>8} {:>8} {:>8} {:>8}", "fault", "acknowledged", "min", "median", "max", "seconds");
    for (name, fault) in cells::CELLS {
        if !only.is_empty() && !only.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let started = Instant::now();
        let partitions = load::PARTITIONS.to_string();
        // Leaderships go back soon, so that every node leads something when the next fault comes.
        let settings = [("num.partitions", partitions.as_str()), ("leader.imbalance.check.interval.seconds", "1")];
        let mut cluster = Cluster::start(&binary, 3, &settings)?;
        match load::under_load(&mut cluster, *fault) {
            Ok(figures) => {
                passed += 1;
                let seconds = started.elapsed().as_secs_f64();
                let gaps = &figures.longest_gaps;
                let ms = |index: usize| gaps.get(index).map_or(0, Duration::as_millis);
                let (median, longest) = (ms(gaps.len() / 2), ms(gaps.len().saturating_sub(1)));
                println!(
                    "{name:<38} {:>12} {:>8} {median:>8} {longest:>8} {seconds:>8.1}",
                    figures.acknowledged,
                    ms(0)
                );
            }
            Err(error) => {
                failed += 1;
                cluster.keep_files();
                println!("{name:<38} FAILED: {error:#}");
            }
        }
    }
    println!("\n{passed} passed, {failed} failed");
    Ok(failed)
}
