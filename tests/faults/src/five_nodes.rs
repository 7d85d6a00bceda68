//! Faults of a cluster of five nodes, each of them broker and controller, which bears the loss of two.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use highwater_test_cluster::Cluster;

use crate::cells::{
    Fault, GIVEN_UP_WITHIN, active_controller, await_new_leaders, await_preferred_leaders, kill_leader_and_controller,
};
use crate::load;

pub const CELLS: &[(&str, Fault)] = &[
    ("five nodes: kill -9 active controller", kill_leader_and_controller),
    ("five nodes: kill -9 two at once", kill_two),
];

/// How long the two are away, so that producers feel it where only one replica is left.
const AWAY: Duration = Duration::from_secs(3);

/// The active controller and another node. Partitions with a replica on each of them go on with one replica in sync, below
/// `min.insync.replicas`: their producers wait.
fn kill_two(cluster: &mut Cluster) -> Result<()> {
    let active = active_controller(cluster)?;
    let leaders = load::leaders(&cluster.bootstrap())?;
    let other = leaders.into_iter().flatten().find(|leader| *leader != active);
    let dead = [active, other.context("only the active controller leads")?];
    for node in dead {
        cluster.node(node).kill();
        ensure!(!cluster.node(node).is_running(), "node {node} still runs");
    }
    await_new_leaders(cluster, &dead, GIVEN_UP_WITHIN)?;
    std::thread::sleep(AWAY);
    for node in dead {
        cluster.node(node).start()?;
    }
    cluster.wait_ready()?;
    await_preferred_leaders(cluster)
}
