//! Faults of a cluster of five nodes, each of them broker and controller, which bears the loss of two.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use highwater_test_cluster::Cluster;

use crate::cells::{Fault, active_controller, await_preferred_leaders, kill_leader_and_controller};
use crate::disks::until;
use crate::load;

pub const CELLS: &[(&str, Fault)] = &[
    ("five nodes: kill -9 active controller", kill_leader_and_controller),
    ("five nodes: kill -9 two at once", kill_two),
];

/// A dead node is given up well before `broker.session.timeout.ms`.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(5);
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
    let alive = cluster.nodes().iter().filter(|node| !dead.contains(&node.id()));
    let alive = alive.map(|node| node.address()).collect::<Vec<_>>().join(",");
    until("the others lead what the dead nodes led", GIVEN_UP_WITHIN, || {
        Ok(load::leaders(&alive)?.iter().all(|leader| leader.is_some_and(|leader| !dead.contains(&leader))))
    })?;
    std::thread::sleep(AWAY);
    for node in dead {
        cluster.node(node).start()?;
    }
    cluster.wait_ready()?;
    await_preferred_leaders(cluster)
}
