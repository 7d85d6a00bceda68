//! The nodes as turmoil hosts, each with a disk, a key-value store and a clock that outlive its crashes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_broker::{Broker, BrokerConfig, Inspector, NodeInspection};
use highwater_env::clock::WallClockSkew;
use highwater_env::{CrashMode, Env, FlushLatency, SimFs, SimKv};
use turmoil::Sim;

use crate::disk_trouble::LOG_DIRS;
use crate::plan::{Durability, Layout, NODES, Plan};

/// `node.id` of the first node that is only a controller.
const FIRST_CONTROLLER_ID: usize = 11;

/// Host name of a node (0-based; brokers first).
pub fn host(node: usize) -> String {
    if node < NODES { format!("n{}", node + 1) } else { format!("c{}", node - NODES + 1) }
}

/// Where a broker serves clients.
pub fn address(node: usize) -> String {
    format!("{}:9092", host(node))
}

/// The rack of a node, which it has for itself.
pub fn rack(node: usize) -> String {
    format!("r{}", node + 1)
}

/// `node.id`.
pub fn id(node: usize) -> usize {
    if node < NODES { node + 1 } else { node - NODES + FIRST_CONTROLLER_ID }
}

/// One node's belongings.
#[derive(Clone)]
struct Machine {
    disk: SimFs,
    store: SimKv,
    clock: WallClockSkew,
    inspector: Arc<Mutex<Option<Inspector>>>,
    /// Whether one of its log directories fails: then the node may stop by itself.
    broken: Arc<AtomicBool>,
}

/// The simulated cluster, seen from outside.
pub struct SimCluster {
    layout: Layout,
    machines: Vec<Machine>,
    running: Vec<bool>,
    /// How long flushes take where no disk is in trouble.
    pub flush: FlushLatency,
}

impl SimCluster {
    /// Adds the nodes to the simulation.
    pub fn new(sim: &mut Sim<'_>, plan: &Plan) -> Self {
        let layout = plan.layout;
        let fresh = |_| Machine {
            disk: SimFs::new(),
            store: SimKv::new(),
            clock: WallClockSkew::default(),
            inspector: Arc::default(),
            broken: Arc::default(),
        };
        let machines: Vec<Machine> = (0..layout.nodes()).map(fresh).collect();
        for (node, machine) in machines.iter().enumerate() {
            let (machine, durability, session) = (machine.clone(), plan.durability, plan.session);
            machine.disk.lie_about_syncs(plan.lying_disk.then_some(".log"));
            sim.host(host(node), move || start(node, layout, (durability, session), machine.clone()));
        }
        Self { layout, running: vec![true; machines.len()], machines, flush: plan.flush }
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.machines.len()
    }

    /// The nodes that are controllers.
    pub fn controllers(&self) -> std::ops::Range<usize> {
        self.layout.controllers()
    }

    /// Kills a node; its disk keeps what `mode` says.
    pub fn crash(&mut self, sim: &mut Sim<'_>, node: usize, mode: CrashMode, seed: u64) {
        if !std::mem::replace(&mut self.running[node], false) {
            return;
        }
        sim.crash(host(node));
        let machine = &self.machines[node];
        *machine.inspector.lock().unwrap_or_else(PoisonError::into_inner) = None;
        machine.disk.crash(mode, seed);
        machine.store.crash(mode, seed);
    }

    /// Kills a node, which starts again with an empty disk.
    pub fn lose_disk(&mut self, sim: &mut Sim<'_>, node: usize) {
        self.crash(sim, node, CrashMode::Drop, 0);
        let machine = &self.machines[node];
        machine.disk.wipe();
        machine.store.wipe(Path::new("/"));
    }

    /// Starts a dead node again.
    pub fn restart(&mut self, sim: &mut Sim<'_>, node: usize) {
        if !std::mem::replace(&mut self.running[node], true) {
            sim.bounce(host(node));
        }
    }

    /// Sets a node's wall clock wrong by so many milliseconds.
    pub fn skew_clock(&self, node: usize, ms: i64) {
        self.machines[node].clock.set(ms);
    }

    /// What each running node shows of itself.
    pub fn inspect(&self) -> Vec<NodeInspection> {
        let inspectors = self
            .machines
            .iter()
            .filter_map(|machine| machine.inspector.lock().unwrap_or_else(PoisonError::into_inner).clone());
        inspectors.map(|inspector| inspector()).collect()
    }

    /// Whether a log directory of a node fails.
    pub fn is_broken(&self, node: usize) -> bool {
        self.machines[node].broken.load(Ordering::Relaxed)
    }

    /// Notes that.
    pub fn set_broken(&self, node: usize, broken: bool) {
        self.machines[node].broken.store(broken, Ordering::Relaxed);
    }

    /// The disk of a node.
    pub fn disk(&self, node: usize) -> &SimFs {
        &self.machines[node].disk
    }

    /// Whether every node runs.
    pub fn all_running(&self) -> bool {
        self.running.iter().all(|running| *running)
    }
}

async fn start(node: usize, layout: Layout, settings: (Durability, Duration), machine: Machine) -> turmoil::Result {
    machine.clock.install();
    let config = BrokerConfig::from_properties(&properties(node, layout, settings).into_iter().collect())?;
    let started = Broker::start(config, Env::simulated(machine.disk.clone(), machine.store.clone())).await;
    let running = match started {
        Err(_) if machine.broken.load(Ordering::Relaxed) => return Ok(()),
        started => started?,
    };
    *machine.inspector.lock().unwrap_or_else(PoisonError::into_inner) = Some(running.inspector());
    let closed = running.closed().await;
    *machine.inspector.lock().unwrap_or_else(PoisonError::into_inner) = None;
    match closed {
        Err(_) if machine.broken.load(Ordering::Relaxed) => Ok(()),
        closed => Ok(closed?),
    }
}

fn properties(node: usize, layout: Layout, (durability, session): (Durability, Duration)) -> Vec<(String, String)> {
    let voters: Vec<String> = layout.founders().map(|index| format!("{}@{}:9093", id(index), host(index))).collect();
    let durability = match durability {
        Durability::Strict => "strict",
        Durability::Relaxed => "relaxed",
    };
    let name = host(node);
    let client = format!("PLAINTEXT://{name}:9092");
    let mut properties = vec![
        ("node.id", id(node).to_string()),
        ("controller.quorum.voters", voters.join(",")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("log.dirs", LOG_DIRS.join(",")),
        ("highwater.durability", durability.to_owned()),
        ("highwater.http.listener", String::new()),
        ("broker.session.timeout.ms", session.as_millis().to_string()),
        ("broker.rack", rack(node)),
        ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector".to_owned()),
        ("log.roll.ms", "4000".to_owned()),
        // Also how often idle logs are closed.
        ("log.retention.check.interval.ms", "1000".to_owned()),
        ("replica.lag.time.max.ms", "5000".to_owned()),
    ];
    match layout {
        Layout::Combined | Layout::Joining if node < NODES => properties.extend([
            ("process.roles", "broker,controller".to_owned()),
            ("listeners", format!("{client},CONTROLLER://{name}:9093")),
            ("advertised.listeners", client),
        ]),
        Layout::Separate if node < NODES => properties.extend([
            ("process.roles", "broker".to_owned()),
            ("listeners", client.clone()),
            ("advertised.listeners", client),
            ("highwater.internal.listener", format!("{name}:9093")),
        ]),
        _ => properties
            .extend([("process.roles", "controller".to_owned()), ("listeners", format!("CONTROLLER://{name}:9093"))]),
    }
    properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
