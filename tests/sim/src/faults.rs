//! How each fault begins and ends.

use std::time::Duration;

use turmoil::Sim;

use crate::cluster::{SimCluster, host};
use crate::disks;
use crate::plan::{Fault, NODES};

/// Slowest message while nothing slows the network.
pub const LATENCY: Duration = Duration::from_millis(4);

/// Begins or ends a fault. `seed` decides what a crashed disk keeps.
pub fn apply(sim: &mut Sim<'_>, cluster: &mut SimCluster, fault: Fault, starts: bool, seed: u64) {
    let all = 0..cluster.nodes();
    let cut = |sim: &Sim<'_>, a: usize, b: usize| match starts {
        _ if a == b => {}
        true => sim.partition(host(a), host(b)),
        false => sim.repair(host(a), host(b)),
    };
    let cut_one_way = |sim: &Sim<'_>, from: usize, to: usize| match starts {
        _ if from == to => {}
        true => sim.partition_oneway(host(from), host(to)),
        false => sim.repair_oneway(host(from), host(to)),
    };
    match fault {
        Fault::Crash { node, mode } if starts => cluster.crash(sim, node, mode, seed),
        Fault::Crash { node, .. } => cluster.restart(sim, node),
        Fault::LostDisk { controller } if starts => cluster.lose_disk(sim, controller),
        Fault::LostDisk { controller } => cluster.restart(sim, controller),
        Fault::PowerLoss { mode } if starts => {
            all.for_each(|node| cluster.crash(sim, node, mode, seed.wrapping_add(node as u64)));
        }
        Fault::PowerLoss { .. } => all.for_each(|node| cluster.restart(sim, node)),
        Fault::Cut { a, b } => cut(sim, a, b),
        Fault::OneWayCut { from, to } => cut_one_way(sim, from, to),
        Fault::Isolate { node } => all.for_each(|other| cut(sim, node, other)),
        Fault::Mute { node } => all.for_each(|other| cut_one_way(sim, node, other)),
        Fault::CutControllers { broker } => cluster.controllers().for_each(|controller| cut(sim, broker, controller)),
        Fault::CutBrokers => (0..NODES).for_each(|a| (0..a).for_each(|b| cut(sim, a, b))),
        Fault::Slow { latency_ms } => sim.set_max_message_latency(latency(starts, latency_ms)),
        Fault::SlowLink { a, b, latency_ms } => {
            sim.set_link_max_message_latency(host(a), host(b), latency(starts, latency_ms));
        }
        Fault::Lossy { per_mille } => sim.set_fail_rate(if starts { f64::from(per_mille) / 1000.0 } else { 0.0 }),
        Fault::Disk { node, trouble } if starts => disks::begin(trouble, cluster, node, seed),
        Fault::Disk { node, trouble } => disks::end(trouble, sim, cluster, node, seed),
        Fault::Skew { node, ms } => cluster.skew_clock(node, if starts { ms } else { 0 }),
    }
}

fn latency(starts: bool, ms: u64) -> Duration {
    if starts { Duration::from_millis(ms) } else { LATENCY }
}

/// Ends every fault, whatever overlapped. `seed` decides what the disks of repaired nodes keep.
pub fn end_all(sim: &mut Sim<'_>, cluster: &mut SimCluster, seed: u64) {
    for a in 0..cluster.nodes() {
        for b in 0..a {
            sim.repair(host(a), host(b));
            sim.set_link_max_message_latency(host(a), host(b), LATENCY);
        }
        cluster.skew_clock(a, 0);
        cluster.restart(sim, a);
    }
    disks::repair_all(sim, cluster, seed);
    sim.set_max_message_latency(LATENCY);
    sim.set_fail_rate(0.0);
}
