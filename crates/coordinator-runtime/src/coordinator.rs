//! The broker's group coordinator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_group::{
    CommittedOffset, DeletedGroup, DescribedGroup, GroupConfig, GroupFigures, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsFilter, ListedGroup, OffsetCommitRequest,
    OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, Request,
    Response, SyncGroupRequest, SyncGroupResponse, offset_fetch_error,
};
use highwater_types::{ErrorCode, LeaderEpoch, PartitionIndex, TopicName};
use tracing::{debug, error, info};

use crate::active_shard::{ActiveShard, Submission};
use crate::loader::{LoadError, Loader};
use crate::partitioning::partition_for;
use crate::slots::{LoadId, ShardCounts, Slots};
use crate::writer::PartitionWriter;

/// Settings of the runtime and of its shards.
#[derive(Debug, Clone)]
pub struct CoordinatorConfig {
    /// Settings of groups and offsets.
    pub group: GroupConfig,
    /// `offsets.commit.timeout.ms`: how long an answer may wait for the high watermark.
    pub offsets_commit_timeout_ms: u64,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self { group: GroupConfig::default(), offsets_commit_timeout_ms: 5_000 }
    }
}

/// All groups whose partition of `__consumer_offsets` this broker leads.
///
/// Errors common to all requests: `COORDINATOR_NOT_AVAILABLE` while the topic does not exist or after shutdown,
/// `COORDINATOR_LOAD_IN_PROGRESS`, `NOT_COORDINATOR` (also while the broker has no lease). A request whose future is dropped still
/// takes effect.
pub struct GroupCoordinator {
    config: CoordinatorConfig,
    writer: Arc<dyn PartitionWriter>,
    /// Partitions of `__consumer_offsets`; 0 while the topic is not known to exist.
    partition_count: AtomicI32,
    is_shut_down: AtomicBool,
    rebalances: Arc<AtomicU64>,
    slots: Mutex<Slots>,
}

impl GroupCoordinator {
    /// A coordinator that leads nothing yet.
    pub fn new(config: CoordinatorConfig, writer: Arc<dyn PartitionWriter>) -> Arc<Self> {
        Arc::new(Self {
            config,
            writer,
            partition_count: AtomicI32::new(0),
            is_shut_down: AtomicBool::new(false),
            rebalances: Arc::default(),
            slots: Mutex::default(),
        })
    }

    /// Number of partitions of `__consumer_offsets`, as soon as metadata knows it.
    pub fn set_partition_count(&self, count: i32) {
        self.partition_count.store(count, Ordering::Release);
    }

    /// The partition of a group, `None` while the topic does not exist.
    pub fn partition_for(&self, group_id: &str) -> Option<PartitionIndex> {
        let count = self.partition_count.load(Ordering::Acquire);
        (count > 0).then(|| partition_for(group_id, count))
    }

    /// This broker became leader of `partition` in `epoch`: reads its shard back in the background. An epoch that is not
    /// newer than the one known is ignored. Call it after the log has taken up leadership in that epoch: a load that
    /// finds no leader here ends without a shard.
    pub fn on_leader(self: &Arc<Self>, partition: PartitionIndex, epoch: LeaderEpoch) {
        if self.is_shut_down.load(Ordering::Acquire) {
            return;
        }
        if let Some(load) = self.slots.lock().begin_load(partition, epoch) {
            tokio::spawn(self.clone().load(partition, epoch, load));
        }
    }

    /// This broker is not the leader of `partition` any more (or the partition is gone).
    pub fn on_resign(&self, partition: PartitionIndex) {
        if self.slots.lock().remove(partition) {
            debug!(%partition, "unloaded groups");
        }
    }

    /// Offsets of these topics are forgotten in all groups.
    pub fn on_topics_deleted(&self, topics: &[TopicName]) {
        if topics.is_empty() {
            return;
        }
        let active = {
            let mut slots = self.slots.lock();
            slots.note_deleted_topics(topics);
            slots.all_active()
        };
        active.iter().for_each(|shard| shard.on_topics_deleted(topics));
    }

    /// Unloads everything; all later requests get `COORDINATOR_NOT_AVAILABLE`.
    pub fn shutdown(&self) {
        self.is_shut_down.store(true, Ordering::Release);
        self.slots.lock().clear();
    }

    /// API 11. Waits until the rebalance is over, which may take as long as the members' rebalance time-out.
    pub async fn join_group(&self, request: JoinGroupRequest) -> JoinGroupResponse {
        let refuse = |request: JoinGroupRequest, error| JoinGroupResponse::error(error, request.member_id);
        if request.group_id.is_empty() {
            return refuse(request, ErrorCode::InvalidGroupId);
        }
        match self.ask(Request::JoinGroup(request)).await {
            Ok(Response::JoinGroup(response)) => response,
            Err((error, Request::JoinGroup(request))) => refuse(request, error),
            other => mismatched(&other),
        }
    }

    /// API 14. Waits for the leader's assignment. While the coordinator loads, the answer is `REBALANCE_IN_PROGRESS`: the
    /// rebalance that the member is in the middle of is lost, and consumers take `COORDINATOR_LOAD_IN_PROGRESS` for fatal here.
    pub async fn sync_group(&self, request: SyncGroupRequest) -> SyncGroupResponse {
        if request.group_id.is_empty() {
            return SyncGroupResponse::error(ErrorCode::InvalidGroupId);
        }
        match self.ask(Request::SyncGroup(request)).await {
            Ok(Response::SyncGroup(response)) => response,
            Err((ErrorCode::CoordinatorLoadInProgress, _)) => SyncGroupResponse::error(ErrorCode::RebalanceInProgress),
            Err((error, _)) => SyncGroupResponse::error(error),
            other => mismatched(&other),
        }
    }

    /// API 12. While the coordinator loads, a member is told that all is well: it can do nothing else than wait, and must
    /// not take the load for a failure.
    pub async fn heartbeat(&self, request: HeartbeatRequest) -> ErrorCode {
        if request.group_id.is_empty() {
            return ErrorCode::InvalidGroupId;
        }
        match self.ask(Request::Heartbeat(request)).await {
            Ok(Response::Heartbeat(error)) => error,
            Err((ErrorCode::CoordinatorLoadInProgress, _)) => ErrorCode::None,
            Err((error, _)) => error,
            other => mismatched(&other),
        }
    }

    /// API 13.
    pub async fn leave_group(&self, request: LeaveGroupRequest) -> LeaveGroupResponse {
        if request.group_id.is_empty() {
            return LeaveGroupResponse::error(ErrorCode::InvalidGroupId);
        }
        match self.ask(Request::LeaveGroup(request)).await {
            Ok(Response::LeaveGroup(response)) => response,
            Err((error, _)) => LeaveGroupResponse::error(error),
            other => mismatched(&other),
        }
    }

    /// API 8. Answers when the offsets are committed to the log.
    pub async fn offset_commit(&self, request: OffsetCommitRequest) -> OffsetCommitResponse {
        match self.ask(Request::OffsetCommit(request)).await {
            Ok(Response::OffsetCommit(response)) => response,
            Err((error, Request::OffsetCommit(request))) => OffsetCommitResponse::error(&request, error),
            other => mismatched(&other),
        }
    }

    /// API 9, one group. Shows every commit answered before, and waits for those on their way.
    pub async fn offset_fetch(&self, request: OffsetFetchRequest) -> OffsetFetchResponse {
        match self.ask(Request::OffsetFetch(request)).await {
            Ok(Response::OffsetFetch(response)) => response,
            Err((error, _)) => OffsetFetchResponse::error(offset_fetch_error(error)),
            other => mismatched(&other),
        }
    }

    /// API 47.
    pub async fn offset_delete(&self, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
        match self.ask(Request::OffsetDelete(request)).await {
            Ok(Response::OffsetDelete(response)) => response,
            Err((error, _)) => OffsetDeleteResponse::error(error),
            other => mismatched(&other),
        }
    }

    /// API 16: the groups of the partitions this broker leads. Refused as a whole while one of them loads.
    pub async fn list_groups(&self, filter: ListGroupsFilter) -> Result<Vec<ListedGroup>, ErrorCode> {
        if self.is_shut_down.load(Ordering::Acquire) {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let active = {
            let slots = self.slots.lock();
            if slots.any_loading() {
                return Err(ErrorCode::CoordinatorLoadInProgress);
            }
            slots.all_active()
        };
        Ok(active.iter().flat_map(|shard| shard.list_groups(&filter)).collect())
    }

    /// API 15, answers in the order of `group_ids`.
    pub async fn describe_groups(&self, group_ids: Vec<String>) -> Vec<DescribedGroup> {
        let describe = |group_id: String| match self.shard_of(&group_id) {
            Ok(shard) => shard.describe_group(&group_id),
            Err(error) => DescribedGroup::error(group_id, error),
        };
        group_ids.into_iter().map(describe).collect()
    }

    /// API 42, answers in the order of `group_ids`.
    pub async fn delete_groups(&self, group_ids: Vec<String>) -> Vec<DeletedGroup> {
        let delete = async |group_id: String| {
            let error = match self.ask(Request::DeleteGroup(group_id.clone())).await {
                Ok(Response::DeleteGroup(error)) | Err((error, _)) => error,
                other => mismatched(&other),
            };
            DeletedGroup { group_id, error }
        };
        futures::future::join_all(group_ids.into_iter().map(delete)).await
    }

    /// Every committed offset of the loaded partitions, for lag metrics.
    pub fn committed_offsets(&self) -> Vec<CommittedOffset> {
        let mut offsets = Vec::new();
        let active = self.slots.lock().all_active();
        active.iter().for_each(|shard| shard.collect_committed_offsets(&mut offsets));
        offsets
    }

    /// The groups of the loaded partitions, for metrics.
    pub fn group_figures(&self) -> Vec<GroupFigures> {
        let mut figures = Vec::new();
        let active = self.slots.lock().all_active();
        active.iter().for_each(|shard| shard.collect_group_figures(&mut figures));
        figures
    }

    /// How many partitions of `__consumer_offsets` led here are loading, active, and failed.
    pub fn shard_counts(&self) -> ShardCounts {
        self.slots.lock().counts()
    }

    /// Rebalances completed here since the start of the process.
    pub fn completed_rebalances(&self) -> u64 {
        self.rebalances.load(Ordering::Relaxed)
    }

    /// The error to put into a FindCoordinator answer or a refusal if this broker cannot serve the group now.
    fn shard_of(&self, group_id: &str) -> Result<Arc<ActiveShard>, ErrorCode> {
        if self.is_shut_down.load(Ordering::Acquire) {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let partition = self.partition_for(group_id).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        // Without a lease this broker cannot know that it still coordinates the group. A member that it went on answering would
        // not look for its successor, which gives the member's partitions to others (P15).
        if !self.writer.has_lease() {
            return Err(ErrorCode::NotCoordinator);
        }
        self.slots.lock().active(partition)
    }

    async fn ask(&self, request: Request) -> Result<Response, (ErrorCode, Request)> {
        let shard = match self.shard_of(request.group_id()) {
            Ok(shard) => shard,
            Err(error) => return Err((error, request)),
        };
        let pending = match shard.submit(request) {
            Submission::Accepted(pending) => pending,
            Submission::Closed(request) => return Err((ErrorCode::NotCoordinator, request)),
        };
        // The shard may be dropped while its answer is awaited.
        drop(shard);
        Ok(pending.resolve(Duration::from_millis(self.config.offsets_commit_timeout_ms)).await)
    }

    async fn load(self: Arc<Self>, partition: PartitionIndex, epoch: LeaderEpoch, load: LoadId) {
        let started = highwater_env::clock::mono_ms();
        let loader = Loader { writer: self.writer.clone(), partition, epoch };
        let loaded = match loader.load(self.config.group.clone()).await {
            Ok(loaded) => loaded,
            Err(LoadError::NotLeader) => {
                // The resignation, or the next election, is on its way through metadata.
                debug!(%partition, %epoch, "leadership went while groups were loaded");
                return self.slots.lock().fail_load(partition, load);
            }
            Err(reason) => {
                error!(%partition, %epoch, %reason, "__consumer_offsets cannot be read: its groups are not served");
                return self.slots.lock().fail_load(partition, load);
            }
        };
        let (records, end) = (loaded.records, loaded.end);
        let start = || ActiveShard::start(partition, epoch, self.writer.clone(), loaded.shard, self.rebalances.clone());
        let finished = self.slots.lock().finish_load(partition, load, start);
        if let Some((shard, deleted_topics)) = finished {
            if !deleted_topics.is_empty() {
                shard.on_topics_deleted(&deleted_topics);
            }
            let took = highwater_env::clock::mono_ms() - started;
            // Most of the partitions are empty; they are worth no line each.
            if records > 0 {
                info!(%partition, %epoch, records, %end, ?took, "loaded groups");
            } else {
                debug!(%partition, %epoch, %end, "nothing to load");
            }
        }
    }
}

/// Answers have the kind of their requests.
fn mismatched(answer: &Result<Response, (ErrorCode, Request)>) -> ! {
    unreachable!("the shard answered another kind of request: {answer:?}")
}
