//! Disks that give trouble, and their repair.

use std::time::Duration;

use highwater_env::{CrashMode, FlushLatency, install_flush_latency};
use turmoil::Sim;

use crate::cluster::SimCluster;
use crate::disk_trouble::{DiskTrouble, LOG_DIRS};

/// It begins.
pub fn begin(trouble: DiskTrouble, cluster: &mut SimCluster, node: usize, seed: u64) {
    let disk = cluster.disk(node);
    match trouble {
        DiskTrouble::Full { left_bytes } => disk.set_capacity(Some(disk.used_bytes() + left_bytes)),
        DiskTrouble::Broken { directory, fault } => {
            disk.inject(LOG_DIRS[directory], fault);
            cluster.set_broken(node, true);
        }
        DiskTrouble::Slow { max_ms } => {
            let (min, max) = (Duration::from_millis(1), Duration::from_millis(max_ms));
            install_flush_latency(seed, FlushLatency { min, max });
        }
    }
}

/// It ends.
pub fn end(trouble: DiskTrouble, sim: &mut Sim<'_>, cluster: &mut SimCluster, node: usize, seed: u64) {
    match trouble {
        DiskTrouble::Full { .. } => cluster.disk(node).set_capacity(None),
        DiskTrouble::Broken { .. } => repair(sim, cluster, node, seed),
        DiskTrouble::Slow { .. } => install_flush_latency(seed, cluster.flush),
    }
}

/// Ends all trouble.
pub fn repair_all(sim: &mut Sim<'_>, cluster: &mut SimCluster, seed: u64) {
    for node in 0..cluster.nodes() {
        cluster.disk(node).set_capacity(None);
        if cluster.is_broken(node) {
            repair(sim, cluster, node, seed);
        }
    }
    install_flush_latency(seed, cluster.flush);
}

/// Repairs the disk of a node, and starts the node anew.
fn repair(sim: &mut Sim<'_>, cluster: &mut SimCluster, node: usize, seed: u64) {
    cluster.crash(sim, node, if seed.is_multiple_of(2) { CrashMode::Keep } else { CrashMode::Drop }, seed);
    cluster.disk(node).heal();
    cluster.set_broken(node, false);
    cluster.restart(sim, node);
}
