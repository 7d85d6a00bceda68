//! What a seed does: which faults, when, for how long. Drawn from a stream of its own, so that a change of the workload
//! does not change the faults.

use std::time::Duration;

use highwater_env::CrashMode;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::disk_trouble::DiskTrouble;

/// Nodes of the simulated cluster.
pub const NODES: usize = 3;
/// Virtual time during which faults are active.
const FAULTY: Duration = Duration::from_secs(25);
/// Virtual time before the first fault: the cluster forms and the topic is made.
const WARM_UP: Duration = Duration::from_secs(4);

/// `highwater.durability` of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    Strict,
    /// Kafka's behaviour. With whole-cluster power loss it must lose acknowledged records: that is how the check shows
    /// that it can fail.
    Relaxed,
}

/// One fault and how long it lasts.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// A node's process dies; `mode` says what its disk keeps.
    Crash { node: usize, mode: CrashMode },
    /// Every node dies at once.
    PowerLoss { mode: CrashMode },
    /// Two nodes do not hear each other.
    Cut { a: usize, b: usize },
    /// `to` does not hear `from`.
    OneWayCut { from: usize, to: usize },
    /// A node hears no other node, but still its clients.
    Isolate { node: usize },
    /// Every message takes up to this long.
    Slow { latency_ms: u64 },
    /// The disks of a node.
    Disk { node: usize, trouble: DiskTrouble },
}

/// All faults of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub durability: Durability,
    /// Crashed disks keep only what was flushed, and lie about flushes: the mutant "no flush".
    pub lying_disk: bool,
    /// Only the clients' history is checked, not the nodes' own figures: shows that the history check bites by itself.
    pub history_only: bool,
    /// `(start, end, fault)`, by start.
    pub faults: Vec<(Duration, Duration, Fault)>,
    /// When the last fault has ended.
    pub faults_end: Duration,
}

impl Plan {
    /// The plan of a seed: faults of every kind, alone and overlapping.
    pub fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x5ced_u64.rotate_left(40));
        let mut faults = Vec::new();
        let mut at = WARM_UP;
        while at < FAULTY {
            let lasts = Duration::from_millis(rng.random_range(200..6000));
            faults.push((at, at + lasts, Fault::draw(&mut rng)));
            at += Duration::from_millis(rng.random_range(500..7000));
        }
        Self::of(seed, faults)
    }

    /// A plan in which all nodes lose power together, again and again, and each time what was not flushed is lost or torn.
    pub fn power_losses(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x0ff0_u64.rotate_left(40));
        let mut faults = Vec::new();
        let mut at = WARM_UP;
        while at < FAULTY {
            let lasts = Duration::from_millis(rng.random_range(50..1500));
            let mode = if rng.random_bool(0.5) { CrashMode::Drop } else { CrashMode::Torn };
            faults.push((at, at + lasts, Fault::PowerLoss { mode }));
            at += lasts + Duration::from_millis(rng.random_range(1500..5000));
        }
        Self::of(seed, faults)
    }

    /// A plan of disks in trouble, up to two nodes' at a time, and of processes that die meanwhile.
    pub fn disks(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0xd15c_u64.rotate_left(40));
        let mut faults = Vec::new();
        let mut at = WARM_UP;
        while at < FAULTY {
            let lasts = Duration::from_millis(rng.random_range(300..5000));
            let node = rng.random_range(0..NODES);
            let fault = match rng.random_bool(0.25) {
                true => {
                    Fault::Crash { node, mode: if rng.random_bool(0.5) { CrashMode::Keep } else { CrashMode::Drop } }
                }
                false => Fault::Disk { node, trouble: DiskTrouble::draw(&mut rng) },
            };
            faults.push((at, at + lasts, fault));
            at += Duration::from_millis(rng.random_range(1000..4000));
        }
        Self::of(seed, faults)
    }

    fn of(seed: u64, faults: Vec<(Duration, Duration, Fault)>) -> Self {
        let faults_end = faults.iter().map(|(_, end, _)| *end).max().unwrap_or(WARM_UP);
        Self { seed, durability: Durability::Strict, lying_disk: false, history_only: false, faults, faults_end }
    }
}

impl Fault {
    fn draw(rng: &mut SmallRng) -> Self {
        let node = rng.random_range(0..NODES);
        let other = (node + rng.random_range(1..NODES)) % NODES;
        let mode = match rng.random_range(0..3) {
            0 => CrashMode::Keep,
            1 => CrashMode::Drop,
            _ => CrashMode::Torn,
        };
        match rng.random_range(0..12) {
            0..=3 => Self::Crash { node, mode },
            4..=5 => Self::PowerLoss { mode },
            6..=7 => Self::Cut { a: node, b: other },
            8 => Self::OneWayCut { from: node, to: other },
            9..=10 => Self::Isolate { node },
            _ => Self::Slow { latency_ms: rng.random_range(20..150) },
        }
    }
}
