//! How long four voters are without an active controller, of many kills.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use anyhow::{Result, ensure};
use highwater_sim::measure_elections;

use crate::children;

/// Kills so many active controllers in each seed, and prints quantiles of the times.
///
/// # Errors
/// When a quorum does not come back.
pub fn run(seeds: Range<u64>, kills: usize, workers: usize) -> Result<()> {
    let mut times: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut failed = Vec::new();
    children::run_all(
        seeds,
        workers,
        |seed| print_all(seed, kills),
        |seed, output| {
            if !output.status.success() {
                failed.push(format!("seed {seed}: {}", String::from_utf8_lossy(&output.stderr)));
            }
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                if let Some((moment, ms)) = line.split_once(' ')
                    && let Ok(ms) = ms.parse()
                {
                    times.entry(moment.to_owned()).or_default().push(ms);
                }
            }
            ControlFlow::Continue(())
        },
    )?;
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    println!("killed                 n  p50 ms  p90 ms  p99 ms  max ms  above 600 ms  above 1000 ms");
    for (moment, mut times) in times {
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        let above = |limit| times.iter().filter(|&&ms| ms > limit).count();
        println!(
            "{moment:<18} {:>5}  {:>6}  {:>6}  {:>6}  {:>6}  {:>12}  {:>13}",
            times.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0),
            above(600),
            above(1000)
        );
    }
    Ok(())
}

/// Does so with one seed, in this process, with the nodes' logs.
///
/// # Errors
/// When the quorum does not come back.
pub fn log(seed: u64, kills: usize) -> Result<()> {
    crate::print_logs();
    print_all(seed, kills)
}

fn print_all(seed: u64, kills: usize) -> Result<()> {
    for (moment, without) in measure_elections(seed, kills)? {
        println!("{moment:?} {}", without.as_millis());
    }
    Ok(())
}
