//! Whole quorums in one process: each node on a runtime of its own, over real TCP and disks in memory. Killing a node drops
//! its runtime: its sockets close as those of a killed process do.

mod bootstrap;
mod brokers;
mod commands;
mod cut_off;
mod elections;
mod strangers;
mod voters;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{
    Command, CommandError, CommandResponse, ConfigOperation, ConfigOperationKind, ControllerConfig,
    IncrementalAlterConfigs, RegisterBroker, ResourceConfigOperations,
};
use highwater_env::lock::Mutex;
use highwater_env::{CrashMode, Env, Listener, Net, SimFs, SimKv, grpc_serve};
use highwater_metadata::{
    ConfigResource, Endpoint, HostPort, MetadataDelta, MetadataImage, NodeSoftware, SecurityProtocol,
};
use highwater_types::{BrokerId, DirectoryId, IncarnationId, MetadataOffset};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tonic::service::RoutesBuilder;

use self::cut_off::Door;
use crate::{
    BrokerLink, ControllerClient, ControllerNode, FatalHandler, MetadataPublisher, QuorumConfig, QuorumError, Voter,
};

const METADATA_DIR: &str = "metadata";
const SESSION: Duration = Duration::from_secs(2);
const HEARTBEAT: Duration = Duration::from_millis(200);
/// Longer than anything should take; what is measured has its own limits.
const PATIENCE: Duration = Duration::from_secs(20);

/// What outlives a process: its disk and its address.
struct Machine {
    voter: Voter,
    kv: SimKv,
    fs: SimFs,
    /// Taken by the first process, so that the port is known before.
    listener: Option<Listener>,
    /// It is in nobody's `controller.quorum.voters`.
    joins: bool,
    /// In front of its address, where it can be cut off.
    door: Option<Door>,
}

/// A running process.
struct Process {
    runtime: Runtime,
    controller: ControllerNode,
    fatal: Arc<Mutex<Option<String>>>,
}

struct Cluster {
    /// Where the test itself waits.
    runtime: Runtime,
    machines: BTreeMap<BrokerId, Machine>,
    processes: BTreeMap<BrokerId, Process>,
    cluster_id: Option<String>,
    software: NodeSoftware,
}

fn new_runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

impl Machine {
    fn new(id: i32, runtime: &Runtime) -> Self {
        let listener = runtime.block_on(bind("127.0.0.3:0"));
        let port = listener.local_addr().unwrap().port();
        let endpoint = HostPort { host: "127.0.0.3".to_owned(), port };
        let voter = Voter { id: BrokerId(id), endpoint };
        Self { voter, kv: SimKv::new(), fs: SimFs::new(), listener: Some(listener), joins: false, door: None }
    }

    fn env(&self) -> Env {
        Env::in_memory(self.fs.clone(), self.kv.clone())
    }

    /// The disk is exchanged for an empty one.
    fn empty_disk(&mut self) {
        self.kv = SimKv::new();
        self.fs = SimFs::new();
    }
}

impl Cluster {
    /// Machines with these ids; nothing runs.
    fn new(ids: impl IntoIterator<Item = i32>) -> Self {
        // With RUST_LOG set, a failing test shows what its nodes did.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let runtime = new_runtime();
        let machines = ids.into_iter().map(|id| (BrokerId(id), Machine::new(id, &runtime))).collect();
        Self {
            runtime,
            machines,
            processes: BTreeMap::new(),
            cluster_id: None,
            software: NodeSoftware::of_this_build(),
        }
    }

    /// All machines run, and one is the active controller.
    fn started(ids: impl IntoIterator<Item = i32>) -> Self {
        let mut cluster = Self::new(ids);
        for id in cluster.ids() {
            cluster.start(id.0).unwrap();
        }
        cluster.active();
        cluster
    }

    fn ids(&self) -> Vec<BrokerId> {
        self.machines.keys().copied().collect()
    }

    /// `controller.quorum.voters`.
    fn voters(&self) -> Vec<Voter> {
        self.machines.values().filter(|machine| !machine.joins).map(|machine| machine.voter.clone()).collect()
    }

    fn start(&mut self, id: i32) -> Result<(), QuorumError> {
        let voters = self.voters();
        let cluster_id = self.cluster_id.clone();
        let machine = self.machines.get_mut(&BrokerId(id)).unwrap();
        drop(machine.listener.take());
        let address = machine.door.as_ref().map_or(machine.voter.endpoint.to_string(), |door| door.inside.clone());
        let fatal = Arc::new(Mutex::new(None));
        let noted = fatal.clone();
        let config = QuorumConfig {
            node_id: BrokerId(id),
            voters,
            endpoint: machine.voter.endpoint.clone(),
            metadata_dir: PathBuf::from(METADATA_DIR),
            cluster_id,
            session_timeout: SESSION,
            controller: ControllerConfig::default(),
            software: self.software.clone(),
            on_fatal: FatalHandler(Arc::new(move |error| *noted.lock() = Some(error.to_string()))),
        };
        let runtime = new_runtime();
        let env = machine.env();
        let controller = runtime.block_on(async {
            let controller = ControllerNode::start(&env, config).await?;
            let listener = bind(&address).await;
            let mut routes = RoutesBuilder::default();
            controller.add_services(&mut routes);
            tokio::spawn(grpc_serve(listener, routes.routes()));
            Ok::<_, QuorumError>(controller)
        });
        match controller {
            Ok(controller) => {
                self.processes.insert(BrokerId(id), Process { runtime, controller, fatal });
                Ok(())
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Kills the process with SIGKILL's effects: what was written to the page cache stays.
    fn kill(&mut self, id: BrokerId) {
        let process = self.processes.remove(&id).unwrap();
        process.runtime.shutdown_background();
        drop(process.controller);
        self.machines[&id].kv.crash(CrashMode::Keep, 0);
        self.machines[&id].fs.crash(CrashMode::Keep, 0);
    }

    /// All processes die and everything that was not flushed is lost.
    fn lose_power(&mut self) {
        for id in self.ids() {
            if let Some(process) = self.processes.remove(&id) {
                process.runtime.shutdown_background();
            }
            self.machines[&id].kv.crash(CrashMode::Drop, 0);
            self.machines[&id].fs.crash(CrashMode::Drop, 0);
        }
    }

    fn controller(&self, id: BrokerId) -> &ControllerNode {
        &self.processes[&id].controller
    }

    /// Waits until exactly one process says that it is active, and names it.
    fn active(&self) -> BrokerId {
        self.eventually("an active controller", || {
            let active: Vec<BrokerId> = self
                .processes
                .iter()
                .filter(|(_, process)| process.controller.is_active())
                .map(|(&id, _)| id)
                .collect();
            (active.len() == 1).then(|| active[0])
        })
    }

    fn eventually<T>(&self, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
        self.runtime.block_on(async {
            let deadline = Instant::now() + PATIENCE;
            loop {
                if let Some(found) = check() {
                    return found;
                }
                assert!(Instant::now() < deadline, "{what} did not come about");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    }

    fn sleep(&self, duration: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(duration).await });
    }

    /// What `future` comes to; it must not take for ever.
    fn within_patience<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await }).expect("in time")
    }

    /// A command client outside the nodes.
    fn client(&self) -> ControllerClient {
        let _context = self.runtime.enter();
        let all: Vec<Voter> = self.machines.values().map(|machine| machine.voter.clone()).collect();
        ControllerClient::new(&Env::in_memory(SimFs::new(), SimKv::new()), &all, None)
    }

    fn submit(&self, client: &ControllerClient, command: Command) -> Result<CommandResponse, CommandError> {
        self.runtime.block_on(client.submit(command))
    }

    /// Waits until all running nodes have the same image at `offset` or later, and returns it.
    fn converged(&self, offset: MetadataOffset) -> Arc<MetadataImage> {
        self.eventually("convergence", || {
            let images: Vec<_> = self.processes.values().map(|process| process.controller.image()).collect();
            let same = images.windows(2).all(|pair| pair[0].offset() == pair[1].offset());
            (same && images[0].offset() >= offset).then(|| {
                assert!(images.windows(2).all(|pair| pair[0].hash() == pair[1].hash()), "M2");
                images[0].clone()
            })
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (_, process) in std::mem::take(&mut self.processes) {
            process.runtime.shutdown_background();
        }
    }
}

/// The port may still be held for a moment by the process before.
async fn bind(address: &str) -> Listener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Net::Tcp.bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "cannot bind {address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A harmless command that changes something: the number of it is the value.
fn set_config(value: u32) -> Command {
    Command::IncrementalAlterConfigs(IncrementalAlterConfigs {
        resources: vec![ResourceConfigOperations {
            replaces: false,
            resource: ConfigResource::DefaultBroker,
            operations: vec![ConfigOperation {
                name: "log.retention.ms".to_owned(),
                kind: ConfigOperationKind::Set,
                value: Some((1000 + value).to_string()),
            }],
        }],
        validate_only: false,
    })
}

fn configured(image: &MetadataImage) -> Option<u32> {
    let value = image.configs(&ConfigResource::DefaultBroker)?.get("log.retention.ms")?;
    Some(value.parse::<u32>().unwrap() - 1000)
}

/// What a broker was told, in order.
#[derive(Default)]
struct Published {
    offsets: Mutex<Vec<(MetadataOffset, MetadataOffset)>>,
}

impl MetadataPublisher for Published {
    fn publish(&self, image: Arc<MetadataImage>, delta: &MetadataDelta) {
        assert_eq!(image.offset(), delta.to);
        self.offsets.lock().push((delta.from, delta.to));
    }
}

impl Published {
    /// Every change follows the one before.
    fn assert_no_gap(&self) {
        let offsets = self.offsets.lock();
        assert!(offsets.windows(2).all(|pair| pair[0].1 == pair[1].0), "{offsets:?}");
    }
}

/// A broker process with nothing but its link, on a runtime of its own.
struct BrokerProcess {
    runtime: Runtime,
    link: BrokerLink,
    published: Arc<Published>,
}

impl BrokerProcess {
    fn start(cluster: &Cluster, id: i32, run: u128) -> Self {
        Self::start_with(cluster, |port| registration(id, run, port))
    }

    fn start_with(cluster: &Cluster, registration: impl FnOnce(u16) -> RegisterBroker) -> Self {
        let runtime = new_runtime();
        let published = Arc::new(Published::default());
        let client = cluster.client();
        let link = runtime.block_on(async {
            // Something must accept connections at the broker's address for as long as the process lives.
            let listener = bind("127.0.0.1:0").await;
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(grpc_serve(listener, RoutesBuilder::default().routes()));
            BrokerLink::start(client, HEARTBEAT, registration(port), published.clone())
        });
        Self { runtime, link, published }
    }

    fn serving(&self, cluster: &Cluster) {
        let unfenced = self.link.unfenced();
        cluster.within_patience(unfenced).unwrap();
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

fn registration(id: i32, run: u128, port: u16) -> RegisterBroker {
    let host = "127.0.0.1".to_owned();
    let security_protocol = SecurityProtocol::Plaintext;
    RegisterBroker {
        id: BrokerId(id),
        incarnation: IncarnationId::from_random(run),
        cluster_id: None,
        listeners: vec![Endpoint { name: "PLAINTEXT".to_owned(), host: host.clone(), port, security_protocol }],
        internal: HostPort { host, port },
        rack: None,
        log_dirs: vec![DirectoryId::from_random(7000 + id as u128)],
        has_offline_log_dirs: false,
        clean_shutdown: true,
        previous_session_valid: false,
        software: NodeSoftware::of_this_build(),
    }
}

fn metadata_dir() -> &'static Path {
    Path::new(METADATA_DIR)
}
