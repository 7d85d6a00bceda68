//! What can be wrong with the disks of a node.

use highwater_env::DiskFault;
use rand::Rng as _;
use rand::rngs::SmallRng;

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
}
