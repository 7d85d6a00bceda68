//! One real broker without processes or Raft: the gateway over TCP, real replicas on a disk in memory, a real group
//! coordinator, and the controller's decisions applied on the spot.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod client;
pub mod requests;
pub mod samples;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use highwater_controller::{
    Bootstrap, BrokerSession, Command, CommandError, CommandResponse, ControllerConfig, FenceBroker, QuorumDescription,
    QuorumReplica, RegisterBroker, UnfenceBroker, VoterChange, decide,
};
use highwater_coordinator_runtime::{Committed, CoordinatorConfig, GroupCoordinator, PartitionWriter};
use highwater_env::{Env, SimFs, SimKv, clock, rng};
use highwater_gateway::{Controller, Gateway, GatewayConfig, ListenerConfig, Metadata, Services};
use highwater_log::{Identity, LogDirectory};
use highwater_metadata::{Endpoint, HostPort, MetadataImage, NodeSoftware, SecurityProtocol, StaticBrokerConfig};
use highwater_replication::{
    AlterPartitionOutcome, AlterPartitionSender, DirectoryReporter, FailedLogDirectory, FetchRead, Isolation,
    IsrProposal, Lease, LogDirectories, Replicas, ReplicationConfig,
};
use highwater_types::{
    BrokerEpoch, BrokerId, ControllerEpoch, DirectoryId, ErrorCode, IncarnationId, LeaderEpoch, MetadataOffset, Offset,
    PartitionIndex, Timestamp, TopicIdPartition,
};
use prometheus::Registry;
use tokio::sync::{Mutex, watch};

pub const NODE: BrokerId = BrokerId(1);
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The cluster of one: decides, applies and publishes.
pub struct Cluster {
    image: ArcSwap<MetadataImage>,
    offset: watch::Sender<MetadataOffset>,
    deciding: Mutex<()>,
    config: ControllerConfig,
    services: OnceLock<(Arc<Replicas>, Arc<GroupCoordinator>)>,
}

impl Cluster {
    async fn decide(&self, command: Command) -> Result<CommandResponse, CommandError> {
        let _turn = self.deciding.lock().await;
        let image = self.image.load_full();
        let decision = decide(&image, &self.config, clock::wall_ms(), &mut rng::get(), &command);
        if !decision.records.is_empty() {
            let offset = MetadataOffset(image.offset().get() + decision.records.len() as i64);
            let (next, delta) = image.apply(&decision.records, offset);
            let next = Arc::new(next);
            self.image.store(Arc::clone(&next));
            if let Some((replicas, groups)) = self.services.get() {
                replicas.apply_metadata(&next, &delta);
                follow_offsets_topic(&next, groups);
            }
            self.offset.send_replace(offset);
        }
        decision.response
    }
}

fn follow_offsets_topic(image: &MetadataImage, groups: &Arc<GroupCoordinator>) {
    if let Some(topic) = image.topic_by_name(OFFSETS_TOPIC) {
        groups.set_partition_count(topic.partition_count());
        for (index, partition) in topic.iter() {
            groups.on_leader(index, partition.leader_epoch);
        }
    }
}

/// Shared handle, because the traits want `'static` futures.
#[derive(Clone)]
pub struct ClusterHandle(pub Arc<Cluster>);

impl Controller for ClusterHandle {
    fn submit(&self, command: Command) -> BoxFuture<'static, Result<CommandResponse, CommandError>> {
        let cluster = Arc::clone(&self.0);
        async move { cluster.decide(command).await }.boxed()
    }

    fn describe_quorum(&self) -> BoxFuture<'static, Result<QuorumDescription, CommandError>> {
        let end = self.0.image.load().offset();
        let voter = QuorumReplica {
            id: BrokerId(1),
            directory: Some(DirectoryId::from_random(1)),
            endpoint: Some(HostPort { host: "one".to_owned(), port: 9093 }),
            log_end: Some(end),
            last_heard: Some(Timestamp(7)),
            last_caught_up: None,
        };
        let observer =
            QuorumReplica { id: BrokerId(2), directory: None, endpoint: None, log_end: None, ..voter.clone() };
        let description = QuorumDescription {
            leader: BrokerId(1),
            epoch: ControllerEpoch(3),
            high_watermark: end,
            voters: vec![voter],
            observers: vec![observer],
        };
        async move { Ok(description) }.boxed()
    }

    fn change_voters(&self, change: VoterChange, _: Duration) -> BoxFuture<'static, Result<(), CommandError>> {
        let outcome = match change {
            VoterChange::Add(key) if key.id == BrokerId(1) => {
                Err(CommandError::new(ErrorCode::DuplicateVoter, "Controller 1 is a voter already."))
            }
            VoterChange::Remove(key) if key.id != BrokerId(1) => {
                Err(CommandError::new(ErrorCode::VoterNotFound, "There is no such voter."))
            }
            _ => Ok(()),
        };
        async move { outcome }.boxed()
    }
}

impl Metadata for ClusterHandle {
    fn image(&self) -> Arc<MetadataImage> {
        self.0.image.load_full()
    }

    fn beyond(&self, offset: MetadataOffset) -> BoxFuture<'static, ()> {
        let mut changes = self.0.offset.subscribe();
        async move {
            let _ = changes.wait_for(|&newest| newest > offset).await;
        }
        .boxed()
    }
}

/// The broker's lease, which it has until the test takes it away.
#[derive(Default)]
pub struct TestLease {
    pub lapsed: AtomicBool,
}

impl Lease for TestLease {
    fn is_valid(&self) -> bool {
        !self.lapsed.load(Ordering::SeqCst)
    }

    fn broker_epoch(&self) -> BrokerEpoch {
        BrokerEpoch(1)
    }
}

struct NoFollowers;

impl AlterPartitionSender for NoFollowers {
    fn alter_partition(
        &self,
        proposals: Vec<IsrProposal>,
    ) -> BoxFuture<'static, Result<Vec<Result<AlterPartitionOutcome, ErrorCode>>, ErrorCode>> {
        async move { Ok(proposals.iter().map(|_| Err(ErrorCode::InvalidRequest)).collect()) }.boxed()
    }
}

impl DirectoryReporter for NoFollowers {
    fn assign_replicas_to_dirs(
        &self,
        assignments: Vec<(TopicIdPartition, DirectoryId)>,
    ) -> BoxFuture<'static, Result<Vec<Result<(), ErrorCode>>, ErrorCode>> {
        async move { Ok(vec![Ok(()); assignments.len()]) }.boxed()
    }

    fn offline_log_dirs(&self, _: Vec<DirectoryId>) -> BoxFuture<'static, Result<(), ErrorCode>> {
        async { Ok(()) }.boxed()
    }

    fn on_log_dir_failed(&self, _: &FailedLogDirectory) {}
}

/// `__consumer_offsets` over the replicas.
struct OffsetsWriter {
    cluster: ClusterHandle,
    replicas: Arc<Replicas>,
}

impl OffsetsWriter {
    fn key(&self, partition: PartitionIndex) -> Result<TopicIdPartition, ErrorCode> {
        let topic_id = self.cluster.image().topic_id(OFFSETS_TOPIC).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok(TopicIdPartition { topic_id, partition })
    }
}

impl PartitionWriter for OffsetsWriter {
    fn append(&self, partition: PartitionIndex, epoch: LeaderEpoch, batch: Bytes) -> Result<Committed, ErrorCode> {
        let outcome = self.replicas.append_internal(self.key(partition)?, epoch, batch).map_err(|error| error.code)?;
        Ok(match outcome.wait {
            Some(wait) => wait.boxed(),
            None => futures::future::ready(Ok(())).boxed(),
        })
    }

    fn has_lease(&self) -> bool {
        self.replicas.has_lease()
    }

    fn is_committed(&self, partition: PartitionIndex, _epoch: LeaderEpoch) -> Result<bool, ErrorCode> {
        let status = self.replicas.partition_status(self.key(partition)?).filter(|_| self.replicas.has_lease());
        status.map(|status| status.high_watermark >= status.log_end).ok_or(ErrorCode::NotLeaderOrFollower)
    }

    fn read(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        from: Offset,
        max_bytes: usize,
    ) -> Result<(Vec<Bytes>, Offset), ErrorCode> {
        let read = FetchRead {
            partition: self.key(partition)?,
            offset: from,
            current_leader_epoch: epoch,
            last_fetched_epoch: LeaderEpoch::NONE,
            max_bytes,
            min_one_batch: true,
            isolation: Isolation::ReadUncommitted,
            from_follower: false,
        };
        self.replicas.read(&read).map(|found| (found.records, found.high_watermark)).map_err(|error| error.code)
    }

    fn log_range(&self, partition: PartitionIndex, _epoch: LeaderEpoch) -> Option<(Offset, Offset)> {
        let status = self.replicas.partition_status(self.key(partition).ok()?)?;
        Some((status.log_start, status.log_end))
    }
}

/// A broker that serves clients on a port of its own.
pub struct TestBroker {
    pub address: SocketAddr,
    pub registry: Registry,
    pub cluster: ClusterHandle,
    pub gateway: Gateway,
    pub replicas: Arc<Replicas>,
    pub lease: Arc<TestLease>,
}

impl TestBroker {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(adjust: impl FnOnce(&mut GatewayConfig)) -> Self {
        let env = Env::in_memory(SimFs::new(), SimKv::new());
        let static_config = StaticBrokerConfig::new(NODE, [].into()).unwrap();
        let listener = ListenerConfig { name: "PLAINTEXT".to_owned(), bind: "127.0.0.1:0".to_owned() };
        let mut config = GatewayConfig::new(NODE, vec![listener], static_config.clone());
        config.offsets_topic_replication_factor = 1;
        config.offsets_topic_num_partitions = 3;
        adjust(&mut config);
        let bound = Gateway::bind(&env, config).await.unwrap();
        let address = bound.addresses().unwrap()[0].1;

        let cluster = ClusterHandle(Arc::new(Cluster {
            image: ArcSwap::from_pointee(MetadataImage::empty()),
            offset: watch::Sender::new(MetadataOffset(0)),
            deciding: Mutex::new(()),
            config: ControllerConfig { static_config: static_config.clone(), ..ControllerConfig::default() },
            services: OnceLock::new(),
        }));
        let directory = log_directory(&env);
        let directory_id = directory.id();
        let replication = ReplicationConfig::new(NODE, static_config);
        let directories = LogDirectories { opened: vec![directory], unreadable: Vec::new() };
        let alone = Arc::new(NoFollowers);
        let lease = Arc::new(TestLease::default());
        let replicas = Replicas::start(env, replication, directories, alone.clone(), alone, lease.clone()).unwrap();
        let writer = OffsetsWriter { cluster: cluster.clone(), replicas: Arc::clone(&replicas) };
        let mut coordinator = CoordinatorConfig::default();
        coordinator.group.initial_rebalance_delay_ms = 0;
        let groups = GroupCoordinator::new(coordinator, Arc::new(writer));
        assert!(cluster.0.services.set((Arc::clone(&replicas), Arc::clone(&groups))).is_ok());
        register(&cluster, address, directory_id).await;

        let registry = Registry::new();
        let services = Services {
            metadata: Arc::new(cluster.clone()),
            replicas: Arc::clone(&replicas),
            groups,
            controller: Arc::new(cluster.clone()),
        };
        let gateway = bound.serve(services, &registry).unwrap();
        Self { address, registry, cluster, gateway, replicas, lease }
    }

    /// Registers a broker that does nothing.
    pub async fn register_absent(&self, id: i32) {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let registration = registration(BrokerId(id), address, DirectoryId::from_random(100));
        self.cluster.submit(Command::RegisterBroker(registration)).await.unwrap();
    }

    /// An absent broker comes to life, or dies.
    pub async fn set_fenced(&self, id: i32, fenced: bool) {
        let image = self.cluster.image();
        let session = BrokerSession { id: BrokerId(id), epoch: image.broker(BrokerId(id)).unwrap().epoch };
        let command = match fenced {
            true => Command::FenceBroker(FenceBroker { session, reason: "it died".to_owned() }),
            false => Command::UnfenceBroker(UnfenceBroker { session, metadata_offset: image.offset() }),
        };
        self.cluster.submit(command).await.unwrap();
    }

    /// Value of a metric, summed over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family.map_or(0.0, |family| {
            family.get_metric().iter().map(|m| m.get_counter().get_value() + m.get_gauge().get_value()).sum()
        })
    }
}

fn log_directory(env: &Env) -> Arc<LogDirectory> {
    let identity = Identity { node_id: NODE, cluster_id: None, new_directory_id: DirectoryId::from_random(7) };
    LogDirectory::open(env.fs.clone(), Path::new("/data"), &identity).unwrap()
}

async fn register(cluster: &ClusterHandle, address: SocketAddr, directory: DirectoryId) {
    let bootstrap = Bootstrap { cluster_id: "hostile-frames-cluster".to_owned(), features: [].into() };
    cluster.submit(Command::Bootstrap(bootstrap)).await.unwrap();
    let response = cluster.submit(Command::RegisterBroker(registration(NODE, address, directory))).await.unwrap();
    let CommandResponse::RegisterBroker { epoch } = response else { panic!("{response:?}") };
    let unfence =
        UnfenceBroker { session: BrokerSession { id: NODE, epoch }, metadata_offset: cluster.image().offset() };
    cluster.submit(Command::UnfenceBroker(unfence)).await.unwrap();
}

fn registration(id: BrokerId, address: SocketAddr, directory: DirectoryId) -> RegisterBroker {
    RegisterBroker {
        id,
        incarnation: IncarnationId::from_random(1),
        cluster_id: None,
        listeners: vec![Endpoint {
            name: "PLAINTEXT".to_owned(),
            host: address.ip().to_string(),
            port: address.port(),
            security_protocol: SecurityProtocol::Plaintext,
        }],
        internal: HostPort { host: "127.0.0.1".to_owned(), port: 1 },
        rack: Some("r1".to_owned()),
        log_dirs: vec![directory],
        has_offline_log_dirs: false,
        clean_shutdown: true,
        previous_session_valid: false,
        software: NodeSoftware::of_this_build(),
    }
}
