//! Faults of the network between nodes, and between nodes and clients.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use highwater_test_cluster::Cluster;

use crate::cells::{Fault, active_controller, other_nodes};
use crate::disks::until;
use crate::load;
use crate::network::{Cut, Machine};

/// Each node is on a machine of its own.
pub const CELLS: &[(&str, Fault)] = &[
    ("leader not heard by one follower", deaf_follower),
    ("leader does not hear one follower", deaf_leader),
    ("leader cut from all", isolate_leader),
    ("leader cut from nodes, not from clients", cut_leader_from_nodes),
    ("leader cut from clients, not from nodes", cut_leader_from_clients),
    ("active controller cut from nodes", cut_controller),
    ("two nodes cut from each other", cut_two),
    ("slow cable of a leader", slow_leader),
];

/// Longer than broker.session.timeout.ms (9 s), so that the controller fences a node that it does not hear.
const CUT: Duration = Duration::from_secs(12);

fn hold(cuts: Vec<Cut>, during: impl FnOnce() -> Result<()>) -> Result<()> {
    std::thread::sleep(CUT);
    let outcome = during();
    let mut dropped = 0;
    for cut in cuts {
        dropped += cut.heal()?;
    }
    println!("  {dropped} packets were dropped");
    outcome
}

/// A leader that is not the active controller, and the third node.
fn passive_leader(cluster: &mut Cluster) -> Result<(usize, usize)> {
    let active = active_controller(cluster)?;
    let leaders = load::leaders(&cluster.bootstrap())?;
    let leader = leaders.into_iter().flatten().find(|leader| *leader != active);
    let leader = leader.context("only the active controller leads")?;
    let other = (1..=3).find(|node| ![leader, active].contains(node));
    Ok((leader, other.context("there is no third node")?))
}

fn deaf_follower(cluster: &mut Cluster) -> Result<()> {
    let (leader, other) = passive_leader(cluster)?;
    hold(vec![Machine(other).deafen_to(Machine(leader))?], || Ok(()))?;
    cluster.wait_ready()
}

fn deaf_leader(cluster: &mut Cluster) -> Result<()> {
    let (leader, other) = passive_leader(cluster)?;
    hold(vec![Machine(leader).deafen_to(Machine(other))?], || Ok(()))?;
    cluster.wait_ready()
}

fn cut_from_nodes(node: usize) -> Result<Vec<Cut>> {
    let others = (1..=3).filter(|other| *other != node);
    let cuts: Vec<Vec<Cut>> = others.map(|other| Machine(node).cut_from(Machine(other))).collect::<Result<_>>()?;
    Ok(cuts.into_iter().flatten().collect())
}

/// A new controller gives every broker its whole session once more.
const FENCED_WITHIN: Duration = Duration::from_secs(10);

fn leads_no_more(cluster: &Cluster, node: usize) -> Result<()> {
    let others = other_nodes(cluster, &[node]);
    until("other nodes lead what the node led that was cut off", FENCED_WITHIN, || {
        Ok(load::leaders(&others)?.iter().all(|leader| leader.is_some_and(|leader| leader != node)))
    })
}

fn isolate_leader(cluster: &mut Cluster) -> Result<()> {
    let (leader, _) = passive_leader(cluster)?;
    let mut cuts = cut_from_nodes(leader)?;
    cuts.push(Machine(leader).deafen_to_clients()?);
    hold(cuts, || leads_no_more(cluster, leader))?;
    cluster.wait_ready()
}

fn cut_leader_from_nodes(cluster: &mut Cluster) -> Result<()> {
    let (leader, _) = passive_leader(cluster)?;
    hold(cut_from_nodes(leader)?, || leads_no_more(cluster, leader))?;
    cluster.wait_ready()
}

/// Nobody else notices: the node stays leader, and its clients wait.
fn cut_leader_from_clients(cluster: &mut Cluster) -> Result<()> {
    let (leader, _) = passive_leader(cluster)?;
    hold(vec![Machine(leader).deafen_to_clients()?], || {
        let leaders = load::leaders(&other_nodes(cluster, &[leader]))?;
        ensure!(leaders.contains(&Some(leader)), "node {leader} lost its leaderships: {leaders:?}");
        Ok(())
    })?;
    cluster.wait_ready()
}

fn cut_controller(cluster: &mut Cluster) -> Result<()> {
    let active = active_controller(cluster)?;
    hold(cut_from_nodes(active)?, || leads_no_more(cluster, active))?;
    cluster.wait_ready()?;
    let next = active_controller(cluster)?;
    ensure!(next != active, "node {active} is the active controller again");
    Ok(())
}

fn cut_two(cluster: &mut Cluster) -> Result<()> {
    let (leader, other) = passive_leader(cluster)?;
    hold(Machine(leader).cut_from(Machine(other))?, || Ok(()))?;
    cluster.wait_ready()
}

/// About a tenth of what the load needs.
fn slow_leader(cluster: &mut Cluster) -> Result<()> {
    let (leader, _) = passive_leader(cluster)?;
    let cable = Machine(leader).slow_down(256)?;
    std::thread::sleep(CUT);
    let waited = cable.heal()?;
    println!("  packets had to wait {waited} times");
    cluster.wait_ready()
}
