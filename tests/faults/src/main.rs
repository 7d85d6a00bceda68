//! `make faults`: real processes, real faults, a stock idempotent client under load, and a check that nothing
//! acknowledged was lost, nothing was doubled, and every partition kept its order.
//!
//! In: the broker's binary and, optionally, names of faults. Out: a line per fault with its figures, and a count.

mod cells;
mod disks;
mod java;
mod live_reader;
mod load;
mod upgrade;
mod volumes;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use highwater_test_cluster::{Cluster, Software, binary_argument};

use crate::volumes::Volume;

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
    let mut outcomes = Outcomes::default();
    println!(
        "longest time without an acknowledgement, in ms, of the partition with the shortest, the median, the longest"
    );
    println!("{:<40} {:>12} {:>8} {:>8} {:>8} {:>8}", "fault", "acknowledged", "min", "median", "max", "seconds");
    let wanted = |name: &str| only.is_empty() || only.iter().any(|word| name.contains(word.as_str()));
    let software = Software::Highwater(binary.clone());
    let partitions = load::PARTITIONS.to_string();
    // Leaderships go back soon, so that every node leads something when the next fault comes.
    let settings = [("num.partitions", partitions.as_str()), ("leader.imbalance.check.interval.seconds", "1")];
    for (name, fault) in cells::CELLS.iter().filter(|(name, _)| wanted(name)) {
        let mut cluster = Cluster::start_software(&software, 3, &settings)?;
        outcomes.run(name, &mut cluster, *fault);
    }
    if wanted("rolling upgrade") {
        match upgrade::earlier() {
            Some(earlier) => {
                let mut cluster = Cluster::start(&earlier, 3, &settings)?;
                outcomes.run("rolling upgrade", &mut cluster, |cluster| upgrade::roll(cluster, &binary));
            }
            None => println!(
                "{:<40} skipped: {} names no binary of an earlier version",
                "rolling upgrade",
                upgrade::EARLIER
            ),
        }
    }
    for cell in disks::CELLS.iter().filter(|cell| wanted(cell.name)) {
        if !volumes::may_mount() {
            println!("{:<40} skipped: it mounts small volumes, which takes root", cell.name);
            continue;
        }
        let settings = [&settings, cell.settings].concat();
        let mut small = Vec::new();
        let mut cluster = Cluster::start_prepared(&software, 3, &settings, |home| {
            let volume = Volume::new(cell.volume_bytes)?;
            std::os::unix::fs::symlink(volume.path(), home.join("small"))?;
            small.push(volume);
            Ok(())
        })?;
        outcomes.run(cell.name, &mut cluster, |cluster| (cell.fault)(cluster, &small));
    }
    let Outcomes { passed, failed } = outcomes;
    println!("\n{passed} passed, {failed} failed");
    Ok(failed)
}

#[derive(Default)]
struct Outcomes {
    passed: usize,
    failed: usize,
}

impl Outcomes {
    /// Runs one cell and prints its line.
    fn run(&mut self, name: &str, cluster: &mut Cluster, fault: impl FnOnce(&mut Cluster) -> Result<()>) {
        let started = Instant::now();
        match load::under_load(cluster, fault) {
            Ok(figures) => {
                self.passed += 1;
                let seconds = started.elapsed().as_secs_f64();
                let gaps = &figures.longest_gaps;
                let ms = |index: usize| gaps.get(index).map_or(0, Duration::as_millis);
                let (median, longest) = (ms(gaps.len() / 2), ms(gaps.len().saturating_sub(1)));
                println!(
                    "{name:<40} {:>12} {:>8} {median:>8} {longest:>8} {seconds:>8.1}",
                    figures.acknowledged,
                    ms(0)
                );
            }
            Err(error) => {
                self.failed += 1;
                cluster.keep_files();
                println!("{name:<40} FAILED: {error:#}");
            }
        }
    }
}
