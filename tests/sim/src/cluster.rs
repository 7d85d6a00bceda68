//! Three nodes as turmoil hosts, each with a disk and a key-value store that outlive its crashes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use highwater_broker::{Broker, BrokerConfig, Inspector, NodeInspection};
use highwater_env::{CrashMode, Env, SimFs, SimKv};
use turmoil::Sim;

use crate::disk_trouble::LOG_DIRS;
use crate::plan::{Durability, NODES, Plan};

/// Host name of a node (0-based).
pub fn host(node: usize) -> String {
    format!("n{}", node + 1)
}

/// Where a node serves clients.
pub fn address(node: usize) -> String {
    format!("{}:9092", host(node))
}

/// The rack of a node, which it has for itself.
pub fn rack(node: usize) -> String {
    format!("r{}", node + 1)
}

/// One node's belongings.
#[derive(Clone)]
struct Machine {
    disk: SimFs,
    store: SimKv,
    inspector: Arc<Mutex<Option<Inspector>>>,
    /// Whether one of its log directories fails: then the node may stop by itself.
    broken: Arc<AtomicBool>,
}

/// The simulated cluster, seen from outside.
pub struct SimCluster {
    machines: Vec<Machine>,
    running: Vec<bool>,
}

impl SimCluster {
    /// Adds the nodes to the simulation.
    pub fn new(sim: &mut Sim<'_>, plan: &Plan) -> Self {
        let machines: Vec<Machine> = (0..NODES)
            .map(|_| Machine {
                disk: SimFs::new(),
                store: SimKv::new(),
                inspector: Arc::default(),
                broken: Arc::default(),
            })
            .collect();
        for (node, machine) in machines.iter().enumerate() {
            let (machine, durability) = (machine.clone(), plan.durability);
            machine.disk.lie_about_syncs(plan.lying_disk.then_some(".log"));
            sim.host(host(node), move || start(node, durability, machine.clone()));
        }
        Self { machines, running: vec![true; NODES] }
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

    /// Starts a dead node again.
    pub fn restart(&mut self, sim: &mut Sim<'_>, node: usize) {
        if !std::mem::replace(&mut self.running[node], true) {
            sim.bounce(host(node));
        }
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

async fn start(node: usize, durability: Durability, machine: Machine) -> turmoil::Result {
    let voters: Vec<String> = (0..NODES).map(|index| format!("{}@{}:9093", index + 1, host(index))).collect();
    let durability = match durability {
        Durability::Strict => "strict",
        Durability::Relaxed => "relaxed",
    };
    let properties = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", (node + 1).to_string()),
        ("controller.quorum.voters", voters.join(",")),
        ("listeners", format!("PLAINTEXT://{0}:9092,CONTROLLER://{0}:9093", host(node))),
        ("advertised.listeners", format!("PLAINTEXT://{}", address(node))),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("log.dirs", LOG_DIRS.join(",")),
        ("highwater.durability", durability.to_owned()),
        ("highwater.http.listener", String::new()),
        ("broker.rack", rack(node)),
        ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector".to_owned()),
        ("log.roll.ms", "4000".to_owned()),
        ("replica.lag.time.max.ms", "5000".to_owned()),
    ];
    let properties = properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let config = BrokerConfig::from_properties(&properties)?;
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
