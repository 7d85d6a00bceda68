//! What broker processes, the client and everything else on the machine use while something runs.

use std::fs;
use std::time::Instant;

use highwater_test_cluster::{Cluster, ProcessFigures, figures, ticks_per_second};

/// What was used since a [`Meter`] was started.
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
    /// Of this process, on average.
    pub client_cores: f64,
    /// Of everything else on the machine, on average, with what a hypervisor took away. Figures are good only while this is
    /// small; the kernel's own work, such as writing pages back, is in it.
    pub other_cores: f64,
}

/// Watches the broker processes of a cluster.
pub struct Meter<'a> {
    cluster: &'a Cluster,
    started: Instant,
    brokers: ProcessFigures,
    client_seconds: f64,
    machine_seconds: f64,
}

impl<'a> Meter<'a> {
    /// Starts to watch.
    pub fn start(cluster: &'a Cluster) -> Self {
        Self {
            cluster,
            started: Instant::now(),
            brokers: cluster.figures(),
            client_seconds: client_seconds(),
            machine_seconds: machine_seconds(),
        }
    }

    /// What was used since the start.
    pub fn used(&self) -> Used {
        let (now, nodes) = (self.cluster.figures(), self.cluster.nodes().len() as f64);
        let seconds = self.started.elapsed().as_secs_f64();
        let cpu_seconds = now.cpu_seconds - self.brokers.cpu_seconds;
        let client = client_seconds() - self.client_seconds;
        let others = machine_seconds() - self.machine_seconds - client - cpu_seconds;
        Used {
            cpu_seconds,
            peak_resident_mb: now.peak_resident_bytes as f64 / 1e6 / nodes,
            private_mb: now.private_bytes as f64 / 1e6 / nodes,
            written_bytes: now.written_bytes.saturating_sub(self.brokers.written_bytes) as f64,
            client_cores: client / seconds,
            other_cores: others.max(0.0) / seconds,
        }
    }
}

fn client_seconds() -> f64 {
    figures(std::process::id()).map_or(0.0, |figures| figures.cpu_seconds)
}

fn machine_seconds() -> f64 {
    busy_ticks(&fs::read_to_string("/proc/stat").unwrap_or_default()) as f64 / ticks_per_second()
}

/// Ticks of all processors that were neither idle nor waiting for a disk.
fn busy_ticks(stat: &str) -> u64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
    ticks.iter().take(8).enumerate().filter(|(field, _)| !matches!(field, 3 | 4)).map(|(_, ticks)| ticks).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_processors_are_not_busy() {
        let stat = "cpu  100 20 30 4000 500 6 7 8 50 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), 100 + 20 + 30 + 6 + 7 + 8);
        assert_eq!(busy_ticks(""), 0);
    }
}
