//! What the cells showed: a line each, and all together.

use std::time::{Duration, Instant};

use anyhow::Result;
use highwater_history::Gaps;
use highwater_test_cluster::Cluster;

use crate::load;

/// The table as it grows.
pub struct Outcomes {
    passed: usize,
    /// What is said of the cells that failed.
    failures: Vec<String>,
    acknowledged: usize,
    gaps: Gaps,
}

impl Outcomes {
    /// Prints what the columns are.
    pub fn new() -> Self {
        println!("gap: longest time without an acknowledgement, in ms, over the partitions");
        println!("ISR, end: seconds from the end of the fault until every ISR was full, and the consumer had read all");
        println!(
            "{:<40} {:>12} {:>8} {:>8} {:>8} {:>6} {:>6} {:>8} {:>8}",
            "fault", "acknowledged", "gap p50", "p99", "max", "ISR", "end", "peak MiB", "seconds"
        );
        Self { passed: 0, failures: Vec::new(), acknowledged: 0, gaps: Gaps::default() }
    }

    /// Runs one cell and prints its line.
    pub fn run(&mut self, name: &str, cluster: &mut Cluster, fault: impl FnOnce(&mut Cluster) -> Result<()>) {
        let started = Instant::now();
        match load::under_load(name, cluster, fault) {
            Ok(figures) => {
                self.passed += 1;
                self.acknowledged += figures.acknowledged;
                self.gaps.extend(&figures.gaps);
                let [in_sync, consumed] =
                    [figures.in_sync_after, figures.consumed_after].map(|time| time.as_secs_f64());
                println!(
                    "{name:<40} {:>12} {} {in_sync:>6.1} {consumed:>6.1} {:>8} {:>8.1}",
                    figures.acknowledged,
                    percentiles(&figures.gaps),
                    figures.peak_resident_bytes >> 20,
                    started.elapsed().as_secs_f64()
                );
            }
            Err(error) => {
                cluster.keep_files();
                let failure = format!("{name:<40} FAILED: {error:#}");
                println!("{failure}");
                self.failures.push(failure);
            }
        }
    }

    /// Prints the sums, and once more what failed, for who sees only the end; how many cells failed.
    pub fn finish(self) -> usize {
        println!("{:<40} {:>12} {}", "together", self.acknowledged, percentiles(&self.gaps));
        self.failures.iter().for_each(|failure| println!("{failure}"));
        println!("\n{} passed, {} failed", self.passed, self.failures.len());
        self.failures.len()
    }
}

fn percentiles(gaps: &Gaps) -> String {
    let ms = [50, 99, 100].map(|percent| gaps.percentile(percent)).map(|gap: Duration| gap.as_millis());
    format!("{:>8} {:>8} {:>8}", ms[0], ms[1], ms[2])
}
