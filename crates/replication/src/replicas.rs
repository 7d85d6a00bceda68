//! The registry of this broker's replicas, and the entry to everything in this crate.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use highwater_env::lock::Mutex;
use highwater_env::{Env, clock, run_blocking};
use highwater_log::ActiveProducer;
use highwater_metadata::{MetadataDelta, MetadataImage};
use highwater_records::{AppendOrigin, ValidatedBatch, ValidationLimits, validate_produce};
use highwater_rpc::replication::ReplicationServer;
use highwater_types::{
    BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicIdPartition, TopicPartition,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::context::Context;
use crate::leader_service::LeaderService;
use crate::metadata::MetadataFollower;
use crate::metrics::ReplicaMetrics;
use crate::node::Node;
use crate::partition::Partition;
use crate::window::MAX_FRAME_BYTES;
use crate::{
    Acks, AlterPartitionSender, AppendOutcome, DirectoryReporter, FetchError, FetchRead, FetchResult, FetchWaiter,
    Isolation, LeaderHint, Lease, ListedOffset, LogDirectories, LogDirectoryStatus, OffsetSpec, PartitionFigures,
    PartitionStatus, ProduceError, ReplicationConfig, WaiterRegistration, background, cleaner, directory_reports,
    isr_proposals, log_directories, log_worker, relocator,
};

/// Why the layer did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No log directory is usable.
    #[error("no usable log directory")]
    NoLogDirectory,
}

/// Logs closed at the same time: each waits for a few flushes, which a journal commits together.
const CONCURRENT_CLOSES: usize = 8;

/// All replicas of this broker.
pub struct Replicas {
    context: Arc<Context>,
    directories: LogDirectories,
    metadata: Arc<Mutex<MetadataFollower>>,
    /// Those that may be aborted at any point.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Those that end when `stop` says so.
    disk_tasks: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
}

impl Replicas {
    /// Starts the background tasks; needs a tokio runtime. No partition is open until the first metadata arrives.
    pub fn start(
        env: Env,
        config: ReplicationConfig,
        directories: LogDirectories,
        alter: Arc<dyn AlterPartitionSender>,
        reporter: Arc<dyn DirectoryReporter>,
        lease: Arc<dyn Lease>,
    ) -> Result<Arc<Self>, StartError> {
        let opened = directories.opened.clone();
        if opened.is_empty() {
            return Err(StartError::NoLogDirectory);
        }
        let context = Arc::new(Context::new(Arc::new(Node::new(env, config, lease))));
        context.failures.watch(&opened);
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(isr_proposals::send_proposals(context.proposals.clone(), context.node.clone(), alter)),
            tokio::spawn(background::tick(context.clone())),
            tokio::spawn(background::handle_failures(context.clone(), opened.clone(), reporter.clone())),
            tokio::spawn(directory_reports::send_reports(context.reports.clone(), reporter)),
        ];
        let metadata = Arc::new(Mutex::new(MetadataFollower::new(context.clone(), &directories)));
        let mut disk_tasks = vec![
            tokio::spawn(background::checkpoint(context.clone(), opened.clone(), stopped.clone())),
            tokio::spawn(background::apply_retention(context.clone(), stopped.clone())),
            tokio::spawn(cleaner::compact(context.clone(), stopped.clone())),
            tokio::spawn(background::remove_deleted(opened.clone())),
            tokio::spawn(relocator::relocate(
                context.clone(),
                Arc::downgrade(&metadata),
                opened.len(),
                stopped.clone(),
            )),
        ];
        for _ in 0..context.node.config.recovery_threads_per_data_dir * opened.len() {
            disk_tasks.push(tokio::spawn(log_worker::work(
                context.clone(),
                Arc::downgrade(&metadata),
                stopped.clone(),
            )));
        }
        let (tasks, disk_tasks) = (Mutex::new(tasks), Mutex::new(disk_tasks));
        Ok(Arc::new(Self { context, directories, metadata, tasks, disk_tasks, stop }))
    }

    /// Follows the metadata. Called in order, by one task. When it returns, [`Self::partition_status`] tells the new roles, but
    /// of replicas whose logs a crash left to be recovered: they appear one by one.
    /// Nothing is obeyed until the image holds this broker's own registration, in the epoch that the lease tells.
    pub fn apply_metadata(self: &Arc<Self>, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        self.metadata.lock().apply(image, delta);
    }

    /// Appends as leader. Never blocks on anything but the partition's short lock and the write to the page cache.
    ///
    /// # Errors
    /// Nothing was appended: NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR, UNKNOWN_TOPIC_OR_PARTITION, or
    /// what the producer's state says about its sequence.
    pub fn append(
        &self,
        partition: TopicIdPartition,
        batch: &ValidatedBatch,
        acks: Acks,
    ) -> Result<AppendOutcome, ProduceError> {
        self.led(partition)?.append(batch, acks, None)
    }

    /// Appends a batch built by this broker itself (coordinators) as leader of exactly `leader_epoch`, with [`Acks::All`].
    ///
    /// # Errors
    /// As [`Self::append`]; FENCED_LEADER_EPOCH when this broker leads in another epoch; MESSAGE_TOO_LARGE.
    pub fn append_internal(
        &self,
        partition: TopicIdPartition,
        leader_epoch: LeaderEpoch,
        batch: Bytes,
    ) -> Result<AppendOutcome, ProduceError> {
        let partition = self.led(partition)?;
        let image = self.context.node.image.load();
        let config = image.topic_config(partition.name.topic.as_str(), &self.context.node.config.static_config);
        let limits = ValidationLimits {
            origin: AppendOrigin::Coordinator,
            max_message_bytes: usize::try_from(config.max_message_bytes).unwrap_or(0),
            ..ValidationLimits::new(clock::wall_ms())
        };
        let batch = validate_produce(batch, &partition.name, &limits)
            .map_err(|rejection| ProduceError::new(rejection.code, rejection.message))?;
        partition.append(&batch, Acks::All, Some(leader_epoch))
    }

    /// Reads as leader, or as in-sync follower if the read may come to one.
    pub fn read(&self, read: &FetchRead) -> Result<FetchResult, FetchError> {
        self.readable(read.partition)?.read(read)
    }

    /// As leader: which of `candidates` the client should read from instead (KIP-392): an in-sync follower that holds what it
    /// asks for. `None` if there is none. What is found then has the positions and no records.
    pub fn redirect(&self, read: &FetchRead, candidates: &[BrokerId]) -> Result<Option<FetchResult>, FetchError> {
        self.readable(read.partition)?.redirect(read, candidates)
    }

    /// Registers `waiter` with all of `partitions`; position i in the slice is what [`FetchWaiter::ready`] reports.
    /// Partitions that are not here are left out.
    pub fn register_waiter(&self, partitions: &[TopicIdPartition], waiter: Arc<FetchWaiter>) -> WaiterRegistration {
        let mut registered = Vec::with_capacity(partitions.len());
        for (position, &id) in partitions.iter().enumerate() {
            if let Some(partition) = self.context.partition(id) {
                partition.waiters().add(&waiter, position);
                registered.push(partition);
            }
        }
        WaiterRegistration { partitions: registered, waiter }
    }

    /// Answers ListOffsets for one partition. OFFSET_NOT_AVAILABLE while a new leader cannot tell yet (KIP-207).
    pub fn list_offset(
        &self,
        partition: TopicIdPartition,
        spec: OffsetSpec,
        current_leader_epoch: LeaderEpoch,
        isolation: Isolation,
    ) -> Result<ListedOffset, FetchError> {
        self.readable(partition)?.list_offset(spec, current_leader_epoch, isolation)
    }

    /// Answers OffsetForLeaderEpoch for one partition (KIP-101, KIP-279): the largest epoch not above `epoch` and its end
    /// offset, both -1 when there is none.
    pub fn offset_for_leader_epoch(
        &self,
        partition: TopicIdPartition,
        current_leader_epoch: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<(LeaderEpoch, Offset), FetchError> {
        self.readable(partition)?.offset_for_leader_epoch(current_leader_epoch, epoch)
    }

    /// Deletes the records below `offset` as leader (DeleteRecords, KIP-107); `None` stands for all that are committed.
    /// Resolves once that is durable on every replica that may lead next without an unclean election, and returns the least
    /// log start of those: the low watermark.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE for an offset that is negative or beyond the high watermark; POLICY_VIOLATION if the topic is
    /// compacted and nothing else; NOT_LEADER_OR_FOLLOWER and the like. REQUEST_TIMED_OUT at `deadline`: the records are gone
    /// here and will go elsewhere.
    pub async fn delete_records(
        &self,
        partition: TopicIdPartition,
        offset: Option<Offset>,
        deadline: Instant,
    ) -> Result<Offset, ErrorCode> {
        let partition = self.led(partition).map_err(|error| error.code)?;
        partition.delete_records(offset, deadline).await
    }

    /// The idempotent producers that a replica here remembers (DescribeProducers, KIP-664), as leader or follower.
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR, UNKNOWN_TOPIC_OR_PARTITION.
    pub fn active_producers(&self, partition: TopicIdPartition) -> Result<Vec<ActiveProducer>, ErrorCode> {
        let partition = self.readable(partition).map_err(|error| error.code)?;
        partition.with_log(|log, _| log.active_producers()).ok_or(ErrorCode::KafkaStorageError)
    }

    /// The figures of one replica, or `None` if this broker has none of that partition.
    pub fn partition_status(&self, partition: TopicIdPartition) -> Option<PartitionStatus> {
        self.context.partition(partition).map(|partition| partition.status())
    }

    /// Logs that a crash left and that wait for recovery: their replicas are not there yet.
    pub fn recovering_logs(&self) -> usize {
        self.context.log_work.recovering()
    }

    /// The figures of all replicas, in ascending order of key.
    pub fn statuses(&self) -> Vec<PartitionStatus> {
        let partitions: Vec<_> = self.context.partitions.read().values().cloned().collect();
        partitions.iter().map(|partition| partition.status()).collect()
    }

    /// What the log directories hold. Asks their volumes for their sizes: call it where blocking is fine.
    pub fn log_directories(&self) -> Vec<LogDirectoryStatus> {
        log_directories::statuses(&self.context, &self.directories)
    }

    /// Moves replicas to other log directories of this broker, given by their paths (AlterReplicaLogDirs, KIP-113). Answers in
    /// their order, before the moves are through: [`Self::log_directories`] tells how far they are. A replica that is not here
    /// yet will begin there. Waits for the disk: call it where blocking is fine.
    ///
    /// # Errors
    /// LOG_DIR_NOT_FOUND, KAFKA_STORAGE_ERROR, UNKNOWN_TOPIC_OR_PARTITION, REPLICA_NOT_AVAILABLE.
    pub fn alter_log_dirs(&self, wanted: &[(TopicPartition, PathBuf)]) -> Vec<Result<(), ErrorCode>> {
        wanted.iter().map(|(name, path)| self.metadata.lock().alter_log_dir(name, path)).collect()
    }

    /// The gRPC service that followers on other brokers connect to; add it to the internal listener's routes.
    pub fn add_routes(self: &Arc<Self>, routes: &mut tonic::service::RoutesBuilder) {
        let service = Arc::new(LeaderService::new(self.context.clone(), self.stop.subscribe()));
        routes.add_service(ReplicationServer::new(service, MAX_FRAME_BYTES));
    }

    /// Figures of all replicas together and of the log directories, read when the registry is scraped.
    pub fn collector(self: &Arc<Self>) -> Box<dyn prometheus::core::Collector> {
        Box::new(ReplicaMetrics::new(self.context.clone(), self.directories.clone()))
    }

    /// Figures of each replica, in ascending order of key.
    pub fn figures(&self) -> Vec<PartitionFigures> {
        let partitions: Vec<_> = self.context.partitions.read().values().cloned().collect();
        partitions.iter().map(|partition| partition.figures()).collect()
    }

    /// How many records a reader at `offset` is behind the high watermark, as the replica here knows it. `None` if there is
    /// none, or it is out of service.
    pub fn records_behind(&self, topic: &str, index: PartitionIndex, offset: Offset) -> Option<u64> {
        let snapshot = self.named(topic, index)?.snapshot();
        let behind = (snapshot.high_watermark.get() - offset.get()).max(0);
        (!snapshot.failed).then_some(behind.unsigned_abs())
    }

    /// The largest timestamp of the batch that holds `offset`; `None` if that is not known. May read the disk.
    pub fn timestamp_near(&self, topic: &str, index: PartitionIndex, offset: Offset) -> Option<Timestamp> {
        let partition = self.named(topic, index)?;
        if offset >= partition.snapshot().log_end {
            // The log need not be opened to tell.
            return None;
        }
        partition.reader().ok()?.timestamp_near(offset).ok().flatten()
    }

    /// Stops all tasks, writes the high watermark checkpoints and closes the logs, which marks the directories clean.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let tasks: Vec<_> = self.tasks.lock().drain(..).chain(self.context.links.stop()).collect();
        tasks.iter().for_each(JoinHandle::abort);
        let disk_tasks = std::mem::take(&mut *self.disk_tasks.lock());
        for task in tasks.into_iter().chain(disk_tasks) {
            // Aborted or told to stop, and gone when this returns.
            let _ = task.await;
        }
        let online = || self.directories.opened.iter().filter(|directory| directory.is_online());
        for directory in online() {
            let (context, directory) = (self.context.clone(), directory.clone());
            run_blocking(move || background::write_checkpoint(&context, &directory)).await;
        }
        let partitions = std::mem::take(&mut *self.context.partitions.write());
        let closing = partitions.into_values().map(|partition| run_blocking(move || close(&partition)));
        futures::stream::iter(closing).buffer_unordered(CONCURRENT_CLOSES).collect::<()>().await;
        let epoch = Some(self.context.node.lease.broker_epoch());
        for directory in online().cloned() {
            match run_blocking(move || (directory.close(epoch), directory)).await {
                (Ok(_), _) => {}
                (Err(error), directory) => {
                    tracing::error!(directory = %directory.path().display(), %error, "not marked clean");
                }
            }
        }
        self.context.proposals.clear();
        self.context.relocations.clear();
        self.context.reports.clear();
        self.context.attention.take();
    }

    /// Whether this broker may serve now (M9).
    pub fn has_lease(&self) -> bool {
        self.context.node.lease.is_valid()
    }

    /// Leaders that are followed here and whose replication stream broke less than half a second ago, and is not back: they may
    /// have died, and the metadata may be about to say so. Mostly none. With how long ago the stream broke.
    pub fn suspected_leaders(&self) -> BTreeMap<BrokerId, Duration> {
        self.context.links.suspects()
    }

    fn named(&self, topic: &str, partition: PartitionIndex) -> Option<Arc<Partition>> {
        let topic_id = self.context.node.image.load().topic_by_name(topic)?.id;
        self.context.partition(TopicIdPartition { topic_id, partition })
    }

    fn led(&self, id: TopicIdPartition) -> Result<Arc<Partition>, ProduceError> {
        self.context.partition(id).ok_or_else(|| {
            let (code, leader) = self.absent(id);
            ProduceError { leader, ..ProduceError::new(code, "this broker has no replica of the partition") }
        })
    }

    fn readable(&self, id: TopicIdPartition) -> Result<Arc<Partition>, FetchError> {
        self.context.partition(id).ok_or_else(|| {
            let (code, leader) = self.absent(id);
            FetchError { leader, ..FetchError::new(code) }
        })
    }

    /// What to tell about a partition that is not here.
    fn absent(&self, id: TopicIdPartition) -> (ErrorCode, Option<LeaderHint>) {
        match self.context.node.image.load().topic_partition(id) {
            None => (ErrorCode::UnknownTopicOrPartition, None),
            Some(_) if self.context.unavailable.read().contains(&id) => (ErrorCode::KafkaStorageError, None),
            Some(image) => {
                let hint = LeaderHint { leader: image.leader, epoch: image.leader_epoch };
                (ErrorCode::NotLeaderOrFollower, image.has_leader().then_some(hint))
            }
        }
    }
}

impl Drop for Replicas {
    /// A node that is dropped without a shutdown: nothing of it may go on.
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().drain(..).chain(self.disk_tasks.get_mut().drain(..));
        tasks.chain(self.context.links.stop()).for_each(|task| task.abort());
        self.context.proposals.clear();
        self.context.relocations.clear();
        self.context.reports.clear();
        self.context.attention.take();
    }
}

/// Closes one log. Blocks for the disk.
fn close(partition: &Arc<Partition>) {
    let log = partition.stop();
    if let Some(directory) = partition.directory().filter(|directory| directory.is_online())
        && let Err(error) = log.close(&directory, &partition.name, partition.id)
    {
        tracing::error!(partition = %partition.name, %error, "log not closed cleanly");
    }
}
