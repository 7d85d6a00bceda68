//! A node that gets little of the CPU: it is stopped most of the time, in slices far shorter than any time-out.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use highwater_test_cluster::{Cluster, is_stopped};

use crate::load;

/// In each slice the node runs for so long,
const RUNS: Duration = Duration::from_millis(5);
/// and is stopped for so long.
const STOPPED: Duration = Duration::from_millis(45);
/// How long it goes on: longer than broker.session.timeout.ms (9 s).
const LASTS: Duration = Duration::from_secs(12);

/// A leader that is alive and hears everything, ten times as slow as the others.
pub fn starve_leader(cluster: &mut Cluster) -> Result<()> {
    let leader = load::leaders(&cluster.bootstrap())?.into_iter().flatten().next().context("no leader")?;
    let (started, mut stopped, mut slices) = (Instant::now(), Duration::ZERO, 0);
    while started.elapsed() < LASTS {
        let slice = starve(cluster, leader)?;
        stopped += slice;
        slices += 1;
        std::thread::sleep(RUNS);
    }
    let (stopped, lasted) = (stopped.as_secs_f64(), started.elapsed().as_secs_f64());
    ensure!(stopped > lasted * 0.8, "node {leader} was stopped for {stopped:.1} of {lasted:.1} s only");
    println!("  node {leader} was stopped {slices} times, for {stopped:.1} of {lasted:.1} s");
    cluster.wait_ready()
}

/// Stops a node once; for how long.
fn starve(cluster: &mut Cluster, node: usize) -> Result<Duration> {
    let pid = cluster.node(node).pid().with_context(|| format!("node {node} does not run"))?;
    cluster.node(node).signal(libc::SIGSTOP)?;
    let started = Instant::now();
    std::thread::sleep(STOPPED);
    let stopped = is_stopped(pid);
    cluster.node(node).signal(libc::SIGCONT)?;
    ensure!(stopped == Some(true), "node {node} was not stopped");
    Ok(started.elapsed())
}
