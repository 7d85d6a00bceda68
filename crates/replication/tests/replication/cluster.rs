//! The nodes and the controller of a test.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use highwater_controller::{
    AlterPartitionReassignments, AssignReplicasToDirs, BrokerSession, Command, CommandResponse, ControllerConfig,
    DirectoryAssignment, OfflineLogDirs, Reassignment, decide,
};
use highwater_env::lock::Mutex;
use highwater_env::{CrashMode, Env, SimFs, SimKv, grpc_serve};
use highwater_log::inspection::BatchFile;
use highwater_log::{Identity, LogDirectory};
use highwater_metadata::{
    BrokerRegistration, ConfigResource, HostPort, LeaderRecoveryState, MetadataDelta, MetadataImage, MetadataRecord,
    NodeSoftware, PartitionChange, PartitionImage, StaticBrokerConfig,
};
use highwater_records::{
    BatchBuilder, Compression, RecordBatch, ValidatedBatch, ValidationLimits, split_batches, validate_produce,
};
use highwater_replication::{
    Acks, AlterPartitionOutcome, AlterPartitionSender, AppendOutcome, DirectoryReporter, FailedLogDirectory, FetchRead,
    Isolation, IsrProposal, Lease, LogDirectories, PartitionStatus, ProduceError, Replicas, ReplicationConfig,
};
use highwater_types::*;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::task::JoinHandle;

/// Nothing in a test takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The lease of one node.
#[derive(Default)]
pub struct TestLease {
    pub valid: AtomicBool,
    epoch: AtomicI64,
}

impl TestLease {
    pub fn set_epoch(&self, epoch: BrokerEpoch) {
        self.epoch.store(epoch.get(), Ordering::SeqCst);
    }
}

impl Lease for TestLease {
    fn is_valid(&self) -> bool {
        self.valid.load(Ordering::SeqCst)
    }

    fn broker_epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.epoch.load(Ordering::SeqCst))
    }
}

/// Decides what the test says.
#[derive(Default)]
pub struct Controller {
    state: Mutex<ControllerState>,
}

#[derive(Default)]
struct ControllerState {
    image: Arc<MetadataImage>,
    nodes: BTreeMap<BrokerId, Weak<Replicas>>,
    next_epoch: i64,
    /// Log directories that failed: of which node, and how many are left there.
    failures: Vec<(BrokerId, usize)>,
    /// Hears nothing about log directories.
    deaf: bool,
}

impl Controller {
    pub fn image(&self) -> Arc<MetadataImage> {
        self.state.lock().image.clone()
    }

    /// Commits records and publishes them to all running nodes.
    pub fn commit(&self, records: &[MetadataRecord]) {
        self.state.lock().commit(records);
    }

    pub fn partition(&self, id: TopicIdPartition) -> PartitionImage {
        self.image().topic_partition(id).expect("it exists").as_ref().clone()
    }

    /// Whether it does not hear what is said about log directories.
    pub fn deaf(&self, deaf: bool) {
        self.state.lock().deaf = deaf;
    }

    /// Log directories that failed: of which node, and how many are left there.
    pub fn failures(&self) -> Vec<(BrokerId, usize)> {
        self.state.lock().failures.clone()
    }

    /// Changes one partition; the epochs grow as they must.
    pub fn change(&self, id: TopicIdPartition, change: impl FnOnce(&mut PartitionImage)) {
        let mut state = self.state.lock();
        let before = state.image.topic_partition(id).expect("it exists").as_ref().clone();
        let mut after = before.clone();
        change(&mut after);
        let leader_epoch = LeaderEpoch(before.leader_epoch.get() + i32::from(after.leader != before.leader));
        let partition_epoch = PartitionEpoch(before.partition_epoch.get() + 1);
        state.commit(&[MetadataRecord::PartitionChange(PartitionChange {
            isr: Some(after.isr),
            leader: Some(after.leader),
            leader_recovery: Some(LeaderRecoveryState::Recovered),
            ..PartitionChange::nothing(id, leader_epoch, partition_epoch)
        })]);
    }

    /// The partition has these replicas from now on, and nobody but the leader is in sync.
    pub fn change_replicas(&self, id: TopicIdPartition, replicas: &[BrokerId]) {
        let mut state = self.state.lock();
        let before = state.image.topic_partition(id).expect("it exists").as_ref().clone();
        let partition_epoch = PartitionEpoch(before.partition_epoch.get() + 1);
        state.commit(&[MetadataRecord::PartitionChange(PartitionChange {
            replicas: Some(replicas.to_vec()),
            directories: Some(vec![DirectoryId::UNASSIGNED; replicas.len()]),
            isr: Some(vec![before.leader]),
            ..PartitionChange::nothing(id, before.leader_epoch, partition_epoch)
        })]);
    }

    /// Begins a reassignment of partition 0 as the real controller would, or cancels it.
    pub fn reassign(&self, topic: &str, replicas: Option<&[i32]>) {
        let replicas = replicas.map(|ids| ids.iter().copied().map(BrokerId).collect());
        let reassignment = Reassignment { topic: topic.to_owned(), partition: PartitionIndex(0), replicas };
        let (reassignments, allow_replication_factor_change) = (vec![reassignment], true);
        let command = AlterPartitionReassignments { reassignments, allow_replication_factor_change, rate: None };
        self.decide(&Command::AlterPartitionReassignments(command)).expect("accepted");
    }

    /// Sets a key for all brokers.
    pub fn set_broker_config(&self, name: &str, value: &str) {
        let (resource, value) = (ConfigResource::DefaultBroker, Some(value.to_owned()));
        self.commit(&[MetadataRecord::Config { resource, name: name.to_owned(), value }]);
    }

    /// Sets a key of a topic.
    pub fn set_topic_config(&self, topic: &str, name: &str, value: &str) {
        let resource = ConfigResource::Topic(TopicName::new(topic).expect("legal"));
        self.commit(&[MetadataRecord::Config { resource, name: name.to_owned(), value: Some(value.to_owned()) }]);
    }

    /// The metadata say that a replica is in that directory.
    pub fn assign(&self, id: TopicIdPartition, replica: usize, directory: DirectoryId) {
        let session = self.session(BrokerId(replica as i32));
        let assignments = vec![DirectoryAssignment { target: id, directory }];
        self.decide(&Command::AssignReplicasToDirs(AssignReplicasToDirs { session, assignments })).expect("accepted");
    }

    /// The broker is gone: out of every ISR that has another member, and no leader any more.
    pub fn fence(&self, broker: BrokerId, ids: &[TopicIdPartition]) {
        for &id in ids {
            self.change(id, |partition| {
                if partition.isr.len() > 1 {
                    partition.isr.retain(|&member| member != broker);
                }
                if partition.leader == broker {
                    let others = partition.isr.iter().copied().find(|&member| member != broker);
                    partition.leader = others.unwrap_or(BrokerId::NONE);
                }
            });
        }
    }
}

impl ControllerState {
    fn commit(&mut self, records: &[MetadataRecord]) {
        let offset = MetadataOffset(self.image.offset().get() + records.len() as i64);
        let (image, delta) = self.image.apply(records, offset);
        self.image = Arc::new(image);
        for replicas in self.nodes.values().filter_map(Weak::upgrade) {
            replicas.apply_metadata(&self.image, &delta);
        }
    }

    fn alter(&mut self, node: BrokerId, proposal: &IsrProposal) -> Result<AlterPartitionOutcome, ErrorCode> {
        let partition =
            self.image.topic_partition(proposal.partition).ok_or(ErrorCode::UnknownTopicId)?.as_ref().clone();
        if partition.leader != node || partition.leader_epoch != proposal.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if partition.partition_epoch != proposal.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let eligible = |&(id, epoch): &(BrokerId, BrokerEpoch)| {
            self.image.is_replica_active(&partition, id)
                && (epoch == BrokerEpoch::NONE || self.image.broker_epoch(id) == epoch)
        };
        if !proposal.new_isr.iter().all(eligible) {
            return Err(ErrorCode::IneligibleReplica);
        }
        let isr: Vec<BrokerId> = proposal.new_isr.iter().map(|&(id, _)| id).collect();
        let partition_epoch = PartitionEpoch(partition.partition_epoch.get() + 1);
        self.commit(&[MetadataRecord::PartitionChange(PartitionChange {
            isr: Some(isr.clone()),
            ..PartitionChange::nothing(proposal.partition, partition.leader_epoch, partition_epoch)
        })]);
        Ok(AlterPartitionOutcome {
            leader: node,
            leader_epoch: partition.leader_epoch,
            isr,
            elr: Vec::new(),
            partition_epoch,
        })
    }
}

impl Controller {
    /// Has the real controller decide, and commits.
    fn decide(&self, command: &Command) -> Result<CommandResponse, ErrorCode> {
        let mut state = self.state.lock();
        if state.deaf {
            return Err(ErrorCode::RequestTimedOut);
        }
        let mut rng = SmallRng::seed_from_u64(1);
        let decision = decide(&state.image, &ControllerConfig::default(), Timestamp(0), &mut rng, command);
        let response = decision.response.map_err(|error| error.code)?;
        if !decision.records.is_empty() {
            state.commit(&decision.records);
        }
        Ok(response)
    }

    fn session(&self, id: BrokerId) -> BrokerSession {
        BrokerSession { id, epoch: self.image().broker_epoch(id) }
    }
}

impl DirectoryReporter for Sender {
    fn assign_replicas_to_dirs(
        &self,
        assignments: Vec<(TopicIdPartition, DirectoryId)>,
    ) -> BoxFuture<'static, Result<Vec<Result<(), ErrorCode>>, ErrorCode>> {
        let (node, controller) = (self.node, self.controller.clone());
        async move {
            tokio::task::yield_now().await;
            let assignments = assignments.into_iter();
            let assignments = assignments.map(|(target, directory)| DirectoryAssignment { target, directory });
            let session = controller.session(node);
            let command = AssignReplicasToDirs { session, assignments: assignments.collect() };
            match controller.decide(&Command::AssignReplicasToDirs(command))? {
                CommandResponse::AssignReplicasToDirs(results) => {
                    Ok(results.into_iter().map(|one| one.result.map_err(|error| error.code)).collect())
                }
                other => panic!("{other:?}"),
            }
        }
        .boxed()
    }

    fn offline_log_dirs(&self, directories: Vec<DirectoryId>) -> BoxFuture<'static, Result<(), ErrorCode>> {
        let (node, controller) = (self.node, self.controller.clone());
        async move {
            tokio::task::yield_now().await;
            let session = controller.session(node);
            controller.decide(&Command::OfflineLogDirs(OfflineLogDirs { session, directories })).map(drop)
        }
        .boxed()
    }

    fn on_log_dir_failed(&self, failed: &FailedLogDirectory) {
        self.controller.state.lock().failures.push((self.node, failed.remaining));
    }
}

/// One node's way to the controller.
struct Sender {
    node: BrokerId,
    controller: Arc<Controller>,
}

impl AlterPartitionSender for Sender {
    fn alter_partition(
        &self,
        proposals: Vec<IsrProposal>,
    ) -> BoxFuture<'static, Result<Vec<Result<AlterPartitionOutcome, ErrorCode>>, ErrorCode>> {
        let (node, controller) = (self.node, self.controller.clone());
        async move {
            tokio::task::yield_now().await;
            Ok(proposals.iter().map(|proposal| controller.state.lock().alter(node, proposal)).collect())
        }
        .boxed()
    }
}

/// A running node.
pub struct Node {
    pub replicas: Arc<Replicas>,
    pub lease: Arc<TestLease>,
    server: JoinHandle<()>,
}

pub struct Cluster {
    pub controller: Arc<Controller>,
    pub disks: Vec<SimFs>,
    pub nodes: Vec<Option<Node>>,
    /// Of every node.
    pub log_dirs: Vec<&'static str>,
    /// Those of them that the disk does not let open.
    pub unreadable: Vec<&'static str>,
    /// `highwater.disk.reserve.bytes`.
    pub reserve_bytes: u64,
    lag_max: Duration,
    next_value: u64,
}

impl Cluster {
    /// `count` running nodes.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, Duration::from_secs(30)).await
    }

    /// The same, with that `replica.lag.time.max.ms`.
    pub async fn start_with(count: usize, lag_max: Duration) -> Self {
        Self::start_in(count, lag_max, &["data"]).await
    }

    /// The same, with those log directories.
    pub async fn start_in(count: usize, lag_max: Duration, log_dirs: &[&'static str]) -> Self {
        let mut cluster = Self {
            controller: Arc::default(),
            disks: (0..count).map(|_| SimFs::new()).collect(),
            nodes: (0..count).map(|_| None).collect(),
            log_dirs: log_dirs.to_vec(),
            unreadable: Vec::new(),
            reserve_bytes: 0,
            lag_max,
            next_value: 0,
        };
        cluster.controller.commit(&[MetadataRecord::ClusterId("test-cluster".to_owned())]);
        for node in 0..count {
            cluster.run(node).await;
        }
        cluster
    }

    /// Starts a node: it registers, unfenced, and takes over the metadata.
    pub async fn run(&mut self, node: usize) {
        let id = BrokerId(node as i32);
        let env = Env::in_memory(self.disks[node].clone(), SimKv::new());
        let mut directories = LogDirectories::default();
        for (number, &path) in self.log_dirs.iter().enumerate() {
            if self.unreadable.contains(&path) {
                directories.unreadable.push(path.into());
                continue;
            }
            let identity = Identity {
                node_id: id,
                cluster_id: Some("test-cluster".to_owned()),
                new_directory_id: directory_id(node, number),
            };
            let directory = LogDirectory::open(env.fs.clone(), Path::new(path), &identity);
            let directory = directory.expect("a disk in memory");
            directory.space().set_reserve(self.reserve_bytes);
            directories.opened.push(directory);
        }
        let log_dirs: Vec<DirectoryId> = directories.opened.iter().map(|directory| directory.id()).collect();
        let lease = Arc::new(TestLease::default());
        let properties = BTreeMap::from([("log.cleaner.backoff.ms".to_owned(), "100".to_owned())]);
        let config = ReplicationConfig {
            replica_lag_time_max: self.lag_max,
            high_watermark_checkpoint_interval: Duration::from_millis(100),
            retention_check_interval: Duration::from_millis(100),
            ..ReplicationConfig::new(id, StaticBrokerConfig::new(id, properties).expect("legal"))
        };
        let sender = Arc::new(Sender { node: id, controller: self.controller.clone() });
        let listener = env.net.bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let replicas = Replicas::start(env, config, directories, sender.clone(), sender, lease.clone());
        let replicas = replicas.expect("a directory");
        let mut routes = tonic::service::Routes::builder();
        replicas.add_routes(&mut routes);
        let server = tokio::spawn(async move {
            grpc_serve(listener, routes.routes()).await;
        });
        {
            let mut state = self.controller.state.lock();
            state.next_epoch += 1;
            let epoch = BrokerEpoch(state.next_epoch);
            lease.set_epoch(epoch);
            lease.valid.store(true, Ordering::SeqCst);
            state.commit(&[registration(id, epoch, port, log_dirs)]);
            replicas.apply_metadata(&state.image, &MetadataDelta::default());
            state.nodes.insert(id, Arc::downgrade(&replicas));
        }
        self.nodes[node] = Some(Node { replicas, lease, server });
        self.until("recovered", |cluster| cluster.node(node).replicas.recovering_logs() == 0).await;
    }

    /// The process dies; its machine loses what was not flushed if `power_loss`.
    pub async fn kill(&mut self, node: usize, power_loss: bool) {
        let Node { replicas, lease, server } = self.nodes[node].take().expect("it runs");
        lease.valid.store(false, Ordering::SeqCst);
        self.controller.state.lock().nodes.remove(&BrokerId(node as i32));
        server.abort();
        let _ = server.await;
        drop(replicas);
        // Tasks that were aborted are dropped when their turn comes.
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.disks[node].crash(if power_loss { CrashMode::Drop } else { CrashMode::Keep }, 1);
    }

    /// A controlled stop.
    pub async fn stop(&mut self, node: usize) {
        let Node { replicas, server, .. } = self.nodes[node].take().expect("it runs");
        self.controller.state.lock().nodes.remove(&BrokerId(node as i32));
        replicas.shutdown().await;
        server.abort();
        let _ = server.await;
    }

    /// The controller takes note of a new registration of a running node.
    pub fn register(&self, node: usize, epoch: BrokerEpoch) {
        let log_dirs = (0..self.log_dirs.len()).map(|number| directory_id(node, number)).collect();
        self.controller.commit(&[registration(BrokerId(node as i32), epoch, 1, log_dirs)]);
    }

    pub fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().expect("it runs")
    }

    /// A topic with one partition on all nodes, led by node 0.
    pub fn create_topic(&self, name: &str, configs: &[(&str, &str)]) -> TopicIdPartition {
        self.create_topic_led_by(0, name, configs)
    }

    /// The same, led by another node.
    pub fn create_topic_led_by(&self, leader: i32, name: &str, configs: &[(&str, &str)]) -> TopicIdPartition {
        let replicas: Vec<BrokerId> = (0..self.nodes.len() as i32).map(BrokerId).collect();
        let topic_id = TopicId::from_random(u128::from(self.controller.image().offset().get().unsigned_abs()) + 77);
        let topic = TopicName::new(name).expect("legal");
        let mut records = vec![MetadataRecord::Topic { name: topic.clone(), id: topic_id }];
        records.extend(configs.iter().map(|&(name, value)| MetadataRecord::Config {
            resource: ConfigResource::Topic(topic.clone()),
            name: name.to_owned(),
            value: Some(value.to_owned()),
        }));
        let directories = vec![DirectoryId::ZERO; replicas.len()];
        let state = PartitionImage::new(replicas.clone(), directories, replicas, BrokerId(leader));
        records.push(MetadataRecord::Partition { topic_id, partition: PartitionIndex(0), state });
        self.controller.commit(&records);
        TopicIdPartition { topic_id, partition: PartitionIndex(0) }
    }

    pub fn status(&self, node: usize, id: TopicIdPartition) -> PartitionStatus {
        self.node(node).replicas.partition_status(id).expect("a replica")
    }

    /// Appends one record at `node`.
    pub fn append(&mut self, node: usize, id: TopicIdPartition, acks: Acks) -> Result<AppendOutcome, ProduceError> {
        self.append_of_size(node, id, acks, 0)
    }

    /// Appends one record of about `size` bytes at `node`.
    pub fn append_of_size(
        &mut self,
        node: usize,
        id: TopicIdPartition,
        acks: Acks,
        size: usize,
    ) -> Result<AppendOutcome, ProduceError> {
        self.next_value += 1;
        let batch = batch(&format!("value-{}{}", self.next_value, ".".repeat(size)));
        self.node(node).replicas.append(id, &batch, acks)
    }

    /// Appends one record with acks=all and waits for the acknowledgement.
    pub async fn produce(&mut self, node: usize, id: TopicIdPartition) -> Offset {
        let outcome = self.append(node, id, Acks::All).expect("appended");
        let acked = tokio::time::timeout(PATIENCE, outcome.wait.expect("acks=all waits")).await;
        acked.expect("acknowledged in time").expect("acknowledged");
        outcome.base_offset
    }

    /// Waits until `done` holds.
    pub async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !done(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        if waited.await.is_err() {
            let statuses: Vec<_> = self.nodes.iter().flatten().flat_map(|node| node.replicas.statuses()).collect();
            panic!("waited in vain for: {what}\n{statuses:#?}");
        }
    }

    /// Waits until all running replicas are in sync with the same log and high watermark.
    pub async fn until_in_sync(&self, id: TopicIdPartition) {
        self.until("all in sync", |cluster| {
            let running: Vec<usize> = (0..cluster.nodes.len()).filter(|&node| cluster.nodes[node].is_some()).collect();
            let status = |&node: &usize| cluster.node(node).replicas.partition_status(id);
            let statuses: Vec<_> = running.iter().filter_map(status).collect();
            cluster.controller.partition(id).isr.len() == running.len()
                && statuses.len() == running.len()
                && statuses.iter().all(|status| {
                    status.log_end == statuses[0].log_end
                        && status.high_watermark == status.log_end
                        && status.flushed == status.log_end
                })
        })
        .await;
    }

    /// The first value of a figure of a node.
    pub fn metric(&self, node: usize, name: &str) -> f64 {
        let registry = prometheus::Registry::new();
        registry.register(self.node(node).replicas.collector()).expect("the names differ");
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap_or_else(|| panic!("no {name}"));
        let metric = &family.get_metric()[0];
        metric.get_gauge().get_value() + metric.get_counter().get_value()
    }

    /// The values of the log on a node's disk, below the log end, by offset.
    pub fn values(&self, node: usize, id: TopicIdPartition) -> Vec<(i64, String)> {
        let status = self.status(node, id);
        let fs = highwater_env::Fs::Sim(self.disks[node].clone());
        let path = |log_dir: &&str| format!("{log_dir}/{}-{}", status.topic, status.partition);
        let all = self.log_dirs.iter().chain(&["data", "other"]);
        let path = all.map(path).find(|path| fs.exists(Path::new(path)).is_ok_and(|exists| exists));
        let path = path.expect("in one of the directories");
        let entries = fs.read_dir(Path::new(&path)).expect("the partition's directory");
        let logs = entries.iter().filter(|entry| entry.name.ends_with(".log"));
        let mut values = Vec::new();
        for log in logs {
            let mut batches = BatchFile::open(&fs, &Path::new(&path).join(&log.name)).expect("readable");
            while let Some(found) = batches.next_batch().expect("whole batches") {
                values.extend(records_of(&found.batch));
            }
        }
        values
    }

    /// Reads at a leader from `offset` on.
    pub fn fetch(&self, node: usize, id: TopicIdPartition, offset: i64) -> Vec<(i64, String)> {
        self.try_fetch(node, id, offset).expect("readable")
    }

    /// The same, where it may be refused.
    pub fn try_fetch(&self, node: usize, id: TopicIdPartition, offset: i64) -> Result<Vec<(i64, String)>, ErrorCode> {
        let result = self.node(node).replicas.read(&read_at(id, offset)).map_err(|error| error.code)?;
        let batches = result.records.iter().flat_map(split_batches);
        Ok(batches.flat_map(|batch| records_of(&batch.expect("whole batches"))).collect())
    }
}

/// Id of a log directory of a node.
pub fn directory_id(node: usize, number: usize) -> DirectoryId {
    DirectoryId::from_random((node + 100 * number) as u128 + 1)
}

fn registration(id: BrokerId, epoch: BrokerEpoch, port: u16, log_dirs: Vec<DirectoryId>) -> MetadataRecord {
    MetadataRecord::RegisterBroker(BrokerRegistration {
        id,
        epoch,
        incarnation: IncarnationId::from_random(u128::from(epoch.get().unsigned_abs())),
        listeners: Vec::new(),
        internal: HostPort { host: "127.0.0.1".to_owned(), port },
        rack: None,
        log_dirs,
        fenced: false,
        in_controlled_shutdown: false,
        software: NodeSoftware::default(),
    })
}

/// A batch of one record without a key, as a client sends it.
pub fn batch(value: &str) -> ValidatedBatch {
    keyed_batch(None, value)
}

/// A batch of one record, as a client sends it.
pub fn keyed_batch(key: Option<&str>, value: &str) -> ValidatedBatch {
    validated(&[(key, value)])
}

/// A batch of several records.
pub fn batch_of(count: usize) -> ValidatedBatch {
    validated(&vec![(None, "value"); count])
}

fn validated(records: &[(Option<&str>, &str)]) -> ValidatedBatch {
    let now = highwater_env::clock::wall_ms();
    let mut builder = BatchBuilder::new(Compression::None);
    for (key, value) in records {
        builder.append(now, key.map(str::as_bytes), Some(value.as_bytes()), &[]);
    }
    let name = TopicPartition { topic: TopicName::new("test").expect("legal"), partition: PartitionIndex(0) };
    let limits = ValidationLimits { max_message_bytes: i32::MAX as usize, ..ValidationLimits::new(now) };
    validate_produce(builder.build(), &name, &limits).expect("a good batch")
}

fn records_of(batch: &RecordBatch) -> Vec<(i64, String)> {
    let records = batch.records().expect("readable records");
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    records
        .iter()
        .map(|record| record.expect("a good record"))
        .map(|record| (record.offset.get(), text(record.value)))
        .collect()
}

/// What a consumer asks a leader that wants uncommitted records too.
pub fn read_at(partition: TopicIdPartition, offset: i64) -> FetchRead {
    FetchRead {
        partition,
        offset: Offset(offset),
        current_leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        max_bytes: 1 << 20,
        min_one_batch: true,
        isolation: Isolation::ReadUncommitted,
        from_follower: false,
    }
}
