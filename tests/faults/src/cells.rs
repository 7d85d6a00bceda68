//! The faults. Each one installs itself, confirms that it was really there, and heals.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use highwater_test_cluster::Cluster;

use crate::load;

/// A fault: what happens to the cluster while the load runs.
pub type Fault = fn(&mut Cluster) -> Result<()>;

pub const CELLS: &[(&str, Fault)] = &[
    ("kill -9 leader", kill_leader),
    ("kill -9 active controller", kill_controller),
    ("kill -9 all at once", kill_all),
    ("stop and continue leader", pause_leader),
    ("rolling restart", rolling_restart),
    ("emptied disk is refused", emptied_disk),
];

/// Time for the load to run undisturbed before and after a fault.
const CALM: Duration = Duration::from_secs(2);

fn kill_leader(cluster: &mut Cluster) -> Result<()> {
    for _ in 0..2 {
        let leader = load::leader(&cluster.bootstrap(), 0)?;
        cluster.node(leader).kill();
        ensure!(!cluster.node(leader).is_running(), "node {leader} still runs");
        std::thread::sleep(CALM);
        await_new_leader(cluster, leader)?;
        cluster.node(leader).start()?;
        cluster.wait_ready()?;
        std::thread::sleep(CALM);
    }
    Ok(())
}

/// Longest time until the cluster gives up a dead node: `broker.session.timeout.ms` (9 s), when the dead node was the
/// active controller too, plus an election.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(12);

fn await_new_leader(cluster: &Cluster, dead: usize) -> Result<()> {
    let others = other_nodes(cluster, dead);
    let started = std::time::Instant::now();
    while load::leader(&others, 0)? == dead {
        ensure!(started.elapsed() < GIVEN_UP_WITHIN, "the dead node {dead} still leads");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn kill_controller(cluster: &mut Cluster) -> Result<()> {
    let active = active_controller(cluster)?;
    cluster.node(active).kill();
    std::thread::sleep(CALM);
    let next = active_controller(cluster)?;
    ensure!(next != active, "the dead node {active} is still the active controller");
    cluster.node(active).start()?;
    cluster.wait_ready()
}

fn kill_all(cluster: &mut Cluster) -> Result<()> {
    for id in 1..=3 {
        cluster.node(id).kill();
    }
    std::thread::sleep(Duration::from_millis(500));
    for id in 1..=3 {
        cluster.node(id).start()?;
    }
    cluster.wait_ready()
}

fn pause_leader(cluster: &mut Cluster) -> Result<()> {
    let leader = load::leader(&cluster.bootstrap(), 0)?;
    cluster.node(leader).signal(libc::SIGSTOP)?;
    // Longer than broker.session.timeout.ms (9 s), so that the controller fences the hung node.
    std::thread::sleep(Duration::from_secs(12));
    let next = load::leader(&other_nodes(cluster, leader), 0)?;
    cluster.node(leader).signal(libc::SIGCONT)?;
    ensure!(next != leader, "the hung node {leader} still leads");
    cluster.wait_ready()
}

fn rolling_restart(cluster: &mut Cluster) -> Result<()> {
    for id in 1..=3 {
        cluster.node(id).terminate()?;
        cluster.node(id).start()?;
        cluster.wait_ready()?;
        std::thread::sleep(CALM);
    }
    Ok(())
}

fn emptied_disk(cluster: &mut Cluster) -> Result<()> {
    let data = cluster.data_directory(3);
    cluster.node(3).kill();
    let saved = data.with_file_name("saved");
    std::fs::rename(&data, &saved)?;
    std::fs::create_dir_all(&data)?;
    cluster.node(3).start()?;
    let mut waited = 0;
    while cluster.node(3).is_running() && waited < 200 {
        std::thread::sleep(Duration::from_millis(50));
        waited += 1;
    }
    if cluster.node(3).is_running() {
        bail!("a node with an emptied disk runs on: {}", cluster.node(3).log_tail());
    }
    let log = cluster.node(3).log_tail();
    ensure!(log.contains("directory"), "the refusal does not say why: {log}");
    cluster.node(3).kill();
    std::fs::remove_dir_all(&data)?;
    std::fs::rename(&saved, &data)?;
    cluster.node(3).start()?;
    cluster.wait_ready()
}

fn other_nodes(cluster: &Cluster, without: usize) -> String {
    let others: Vec<&str> =
        cluster.nodes().iter().filter(|node| node.id() != without).map(|node| node.address()).collect();
    others.join(",")
}

fn active_controller(cluster: &mut Cluster) -> Result<usize> {
    for _ in 0..100 {
        for node in cluster.nodes() {
            if node.pid().is_some()
                && node.metric("kafka_controller_kafkacontroller_activecontrollercount").ok().flatten() == Some(1.0)
            {
                return Ok(node.id());
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None.context("no node says that it is the active controller")
}
