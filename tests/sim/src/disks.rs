//! Disks that give trouble: full ones, directories that fail, slow ones; and their repair.

use std::time::Duration;

use highwater_env::{CrashMode, DiskFault, FlushLatency, install_flush_latency};
use rand::Rng as _;
use rand::rngs::SmallRng;
use turmoil::Sim;

use crate::cluster::SimCluster;
use crate::plan::NODES;

/// `log.dirs` of every node. Without the first one, a node that is a controller stops.
pub const LOG_DIRS: [&str; 2] = ["/data", "/more"];

/// What is wrong with the disks of a node.
#[derive(Debug, Clone, Copy)]
pub enum DiskTrouble {
    /// Only so many bytes may still be written.
    Full { left_bytes: u64 },
    /// Operations on one of [`LOG_DIRS`] fail, until somebody repairs it and starts the node anew.
    Broken { directory: usize, fault: DiskFault },
    /// What waits for a disk, on any node, takes up to this long.
    Slow { max_ms: u64 },
}

impl DiskTrouble {
    /// Any.
    pub fn draw(rng: &mut SmallRng) -> Self {
        match rng.random_range(0..8) {
            // Within the reserve, nearly nothing, nothing.
            0 => Self::Full { left_bytes: rng.random_range(1_000_000..50_000_000) },
            1 => Self::Full { left_bytes: rng.random_range(1..20_000) },
            2 => Self::Full { left_bytes: 0 },
            3..=6 => {
                let fault =
                    [DiskFault::Read, DiskFault::Write, DiskFault::Sync, DiskFault::Any][rng.random_range(0..4)];
                Self::Broken { directory: usize::from(rng.random_bool(0.7)), fault }
            }
            _ => Self::Slow { max_ms: rng.random_range(20..400) },
        }
    }

    /// It begins.
    pub fn begin(self, cluster: &mut SimCluster, node: usize, seed: u64) {
        let disk = cluster.disk(node);
        match self {
            Self::Full { left_bytes } => disk.set_capacity(Some(disk.used_bytes() + left_bytes)),
            Self::Broken { directory, fault } => {
                disk.inject(LOG_DIRS[directory], fault);
                cluster.set_broken(node, true);
            }
            Self::Slow { max_ms } => {
                let (min, max) = (Duration::from_millis(1), Duration::from_millis(max_ms));
                install_flush_latency(seed, FlushLatency { min, max });
            }
        }
    }

    /// It ends.
    pub fn end(self, sim: &mut Sim<'_>, cluster: &mut SimCluster, node: usize, seed: u64) {
        match self {
            Self::Full { .. } => cluster.disk(node).set_capacity(None),
            Self::Broken { .. } => repair(sim, cluster, node, seed),
            Self::Slow { .. } => install_flush_latency(seed, FlushLatency::default()),
        }
    }
}

/// Ends all trouble.
pub fn repair_all(sim: &mut Sim<'_>, cluster: &mut SimCluster, seed: u64) {
    for node in 0..NODES {
        cluster.disk(node).set_capacity(None);
        if cluster.is_broken(node) {
            repair(sim, cluster, node, seed);
        }
    }
    install_flush_latency(seed, FlushLatency::default());
}

/// Repairs the disk of a node, and starts the node anew.
fn repair(sim: &mut Sim<'_>, cluster: &mut SimCluster, node: usize, seed: u64) {
    cluster.crash(sim, node, if seed.is_multiple_of(2) { CrashMode::Keep } else { CrashMode::Drop }, seed);
    cluster.disk(node).heal();
    cluster.set_broken(node, false);
    cluster.restart(sim, node);
}
