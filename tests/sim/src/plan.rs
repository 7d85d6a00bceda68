//! What a seed does: which faults, when, for how long. Drawn from a stream of its own, so that a change of the workload
//! does not change the faults.

use std::ops::Range;
use std::time::Duration;

use highwater_env::{CrashMode, FlushLatency};
use highwater_partition::Mutation;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::disk_trouble::DiskTrouble;

/// Brokers of the simulated cluster.
pub const NODES: usize = 3;
/// Controllers that form the quorum.
const FOUNDERS: usize = 3;
/// Virtual time during which faults are active.
const FAULTY: Duration = Duration::from_secs(25);
/// Virtual time before the first fault: the cluster forms and the topic is made.
const WARM_UP: Duration = Duration::from_secs(4);
/// The last step of a change in doubt ends at most so long after the first one began.
const DOUBT_LASTS: Duration = Duration::from_secs(23);
/// `broker.session.timeout.ms` by default.
const SESSION: Duration = Duration::from_secs(9);
/// Farthest that a node's clock is set wrong, in milliseconds.
const SKEW_MS: i64 = 20 * 60 * 1000;

/// `highwater.durability` of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    #[default]
    Strict,
    /// Kafka's behaviour. With whole-cluster power loss it must lose acknowledged records: that is how the check shows
    /// that it can fail.
    Relaxed,
}

/// Which roles the nodes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Each of three nodes is broker and controller.
    Combined,
    /// Three brokers, then three controllers.
    Separate,
    /// As [`Self::Combined`], then a controller that joins. An administrator gives votes and takes them, and the disk of the
    /// one that joined may be lost.
    Joining,
}

impl Layout {
    /// How many nodes there are.
    pub fn nodes(self) -> usize {
        match self {
            Self::Combined => NODES,
            Self::Separate => NODES + FOUNDERS,
            Self::Joining => NODES + 1,
        }
    }

    /// The controllers that form the quorum.
    pub fn founders(self) -> Range<usize> {
        let first = if self == Self::Separate { NODES } else { 0 };
        first..first + FOUNDERS
    }

    /// The nodes that are controllers: the founders, and who joins them.
    pub fn controllers(self) -> Range<usize> {
        self.founders().start..self.nodes()
    }
}

/// One fault and how long it lasts. Nodes by number, from 0; brokers first.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// A node's process dies; `mode` says what its disk keeps.
    Crash { node: usize, mode: CrashMode },
    /// A controller that is no broker dies, and starts again with an empty disk.
    LostDisk { controller: usize },
    /// Every node dies at once.
    PowerLoss { mode: CrashMode },
    /// Two nodes do not hear each other.
    Cut { a: usize, b: usize },
    /// `to` does not hear `from`.
    OneWayCut { from: usize, to: usize },
    /// A node hears no other node, but still its clients.
    Isolate { node: usize },
    /// The other nodes do not hear a node, which hears them.
    Mute { node: usize },
    /// A broker and the controllers do not hear each other; brokers do.
    CutControllers { broker: usize },
    /// Brokers do not hear each other; controllers and clients hear all.
    CutBrokers,
    /// Every message takes up to this long.
    Slow { latency_ms: u64 },
    /// The disks of a node.
    Disk { node: usize, trouble: DiskTrouble },
    /// Every message between two nodes takes up to this long.
    SlowLink { a: usize, b: usize, latency_ms: u64 },
    /// Of a thousand messages, so many lose all that is under way on their link. Nothing is sent again, so a stream that lost
    /// something stands still, as with a connection that a firewall forgot.
    Lossy { per_mille: u32 },
    /// A node's wall clock is wrong by so much.
    Skew { node: usize, ms: i64 },
}

/// All faults of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub layout: Layout,
    /// Beside the faults, topics come and go and replicas are moved.
    pub administrator: bool,
    pub durability: Durability,
    /// Crashed disks keep only what was flushed, and lie about flushes: the mutant "no flush".
    pub lying_disk: bool,
    /// A defect of every partition core.
    pub mutation: Option<Mutation>,
    /// Only the clients' history is checked, not the nodes' own figures: shows that the history check bites by itself.
    pub history_only: bool,
    /// How long flushes take, where no disk is in trouble.
    pub flush: FlushLatency,
    /// `broker.session.timeout.ms`.
    pub session: Duration,
    /// Until when a change of the ISR is brought in doubt, before the other faults.
    pub doubt_ends: Option<Duration>,
    /// `(start, end, fault)`, by start.
    pub faults: Vec<(Duration, Duration, Fault)>,
    /// When the last fault has ended.
    pub faults_end: Duration,
}

impl Plan {
    /// The plan of a seed: faults of every kind, alone and overlapping.
    pub fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x5ced_u64.rotate_left(40));
        let layout = match rng.random_bool(0.25) {
            true => Layout::Separate,
            false if draw_joining(seed) => Layout::Joining,
            false => Layout::Combined,
        };
        let doubt_ends = draw_doubt(seed, layout);
        // Changes of other partitions that the same leader asks for would go first.
        let administrator = rng.random_bool(0.5) && doubt_ends.is_none();
        let mut faults = Vec::new();
        let mut at = doubt_ends.unwrap_or(WARM_UP);
        while at < FAULTY {
            if rng.random_bool(0.1) {
                faults.extend(succession(&mut rng, at));
            } else {
                let lasts = Duration::from_millis(rng.random_range(200..6000));
                faults.push((at, at + lasts, Fault::draw(&mut rng, layout)));
            }
            at += Duration::from_millis(rng.random_range(500..7000));
        }
        faults.sort_by_key(|(start, ..)| *start);
        let plan = Self::of(seed, faults);
        let faults_end = plan.faults_end.max(doubt_ends.unwrap_or_default());
        let session = if doubt_ends.is_some() { SESSION } else { draw_session(seed) };
        Self { layout, administrator, session, doubt_ends, faults_end, ..plan }
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

    /// A plan in which nothing happens by itself.
    pub fn without_faults(seed: u64, layout: Layout) -> Self {
        Self { layout, ..Self::of(seed, Vec::new()) }
    }

    fn of(seed: u64, faults: Vec<(Duration, Duration, Fault)>) -> Self {
        let faults_end = faults.iter().map(|(_, end, _)| *end).max().unwrap_or(WARM_UP);
        Self {
            seed,
            layout: Layout::Combined,
            administrator: false,
            durability: Durability::Strict,
            lying_disk: false,
            mutation: None,
            history_only: false,
            flush: draw_flush(seed),
            session: SESSION,
            doubt_ends: None,
            faults,
            faults_end,
        }
    }
}

/// How long flushes take: in half of the runs as on a fast disk, in the others longer than a round trip.
fn draw_flush(seed: u64) -> FlushLatency {
    let mut rng = SmallRng::seed_from_u64(seed ^ 0xf1u64.rotate_left(40));
    let fast = FlushLatency::default();
    match rng.random_bool(0.5) {
        true => fast,
        false => FlushLatency { max: Duration::from_millis(rng.random_range(10..60)), ..fast },
    }
}

/// In half of the runs sessions and leases are shorter than most faults.
fn draw_session(seed: u64) -> Duration {
    let mut rng = SmallRng::seed_from_u64(seed ^ 0x5e55_u64.rotate_left(40));
    if rng.random_bool(0.5) { SESSION } else { Duration::from_millis(rng.random_range(1500..4000)) }
}

/// In a third of the runs in which nodes are both brokers and controllers.
fn draw_joining(seed: u64) -> bool {
    SmallRng::seed_from_u64(seed ^ 0x0853_u64.rotate_left(32)).random_ratio(1, 3)
}

/// In half of the runs in which a broker can be without controllers that all hear each other.
fn draw_doubt(seed: u64, layout: Layout) -> Option<Duration> {
    let mut rng = SmallRng::seed_from_u64(seed ^ 0xd0b7_u64.rotate_left(40));
    (layout == Layout::Separate && rng.random_bool(0.5)).then_some(WARM_UP + DOUBT_LASTS)
}

/// A leader dies while one follower hears everything late, and the other one was away and comes back: who is next knows little
/// of what was committed, and is asked by somebody who does not have it all.
fn succession(rng: &mut SmallRng, at: Duration) -> [(Duration, Duration, Fault); 4] {
    let leader = rng.random_range(0..NODES);
    let late = (leader + rng.random_range(1..NODES)) % NODES;
    let away = NODES - leader - late;
    let latency_ms = rng.random_range(200..800);
    let latencies = |count: f64| Duration::from_millis(latency_ms).mul_f64(count);
    let leaves = at + latencies(4.0);
    // The late one has what the other does not have, and knows that of it only which the other has as well.
    let dies = leaves + latencies(rng.random_range(2.0..3.2));
    let (back, ends) = (dies + latencies(rng.random_range(0.5..3.0)), dies + latencies(8.0));
    [
        (at, ends, Fault::SlowLink { a: late, b: leader, latency_ms }),
        (at, ends, Fault::SlowLink { a: late, b: away, latency_ms }),
        (leaves, back, Fault::Crash { node: away, mode: CrashMode::Keep }),
        (dies, ends, Fault::Crash { node: leader, mode: CrashMode::Keep }),
    ]
}

impl Fault {
    fn draw(rng: &mut SmallRng, layout: Layout) -> Self {
        if layout == Layout::Joining && rng.random_bool(0.2) {
            return Self::LostDisk { controller: NODES };
        }
        let nodes = layout.nodes();
        let node = rng.random_range(0..nodes);
        let other = (node + rng.random_range(1..nodes)) % nodes;
        let mode = match rng.random_range(0..3) {
            0 => CrashMode::Keep,
            1 => CrashMode::Drop,
            _ => CrashMode::Torn,
        };
        match rng.random_range(0..22) {
            0..=3 => Self::Crash { node, mode },
            4..=5 => Self::PowerLoss { mode },
            6..=7 => Self::Cut { a: node, b: other },
            8..=9 => Self::OneWayCut { from: node, to: other },
            10..=11 => Self::Isolate { node },
            12 => Self::Mute { node },
            13..=14 if layout == Layout::Separate => Self::CutControllers { broker: node % NODES },
            13..=14 => Self::CutBrokers,
            15 => Self::Slow { latency_ms: rng.random_range(20..150) },
            16 => Self::SlowLink { a: node, b: other, latency_ms: rng.random_range(20..1500) },
            17..=18 => Self::Lossy { per_mille: rng.random_range(1..20) },
            19..=20 => Self::Disk { node, trouble: DiskTrouble::draw(rng) },
            _ => Self::Skew { node, ms: rng.random_range(-SKEW_MS..SKEW_MS) },
        }
    }
}
