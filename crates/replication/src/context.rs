//! All replicas of this broker, and the queues between them and the tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use highwater_env::lock::{Mutex, RwLock};
use highwater_partition::{IsrChange, SessionId};
use highwater_types::{DirectoryId, TopicIdPartition};
use tokio::sync::Notify;

use crate::cleaner_progress::CleanerProgress;
use crate::directory_failures::DirectoryFailures;
use crate::directory_reports::DirectoryReports;
use crate::isr_proposals::IsrProposals;
use crate::link::Links;
use crate::link_task::run_link;
use crate::log_work::LogWork;
use crate::node::Node;
use crate::partition::{Partition, Surroundings};
use crate::registry::PartitionRegistry;
use crate::relocation::Relocations;

/// Shared by the streams and the background tasks. Partitions see it as [`Surroundings`].
pub(crate) struct Context {
    pub node: Arc<Node>,
    /// Every replica of this broker.
    pub partitions: RwLock<PartitionRegistry>,
    /// Replicas that could not be opened.
    pub unavailable: RwLock<BTreeSet<TopicIdPartition>>,
    /// Partitions where time alone changes something.
    pub attention: Attention,
    /// What is done to logs on the disk before they can be used, or after.
    pub log_work: LogWork,
    /// Moves between log directories.
    pub relocations: Relocations,
    /// What compaction did.
    pub cleaner: CleanerProgress,
    /// Changes to ask the controller for.
    pub proposals: Arc<IsrProposals>,
    /// What the controller is to hear about log directories.
    pub reports: Arc<DirectoryReports>,
    /// Log directories that failed.
    pub failures: Arc<DirectoryFailures>,
    /// Streams to the leaders of partitions that this broker follows.
    pub links: Links,
    next_session: AtomicU64,
}

/// A set that a task goes through from time to time.
#[derive(Default)]
pub(crate) struct Attention {
    partitions: Mutex<BTreeMap<TopicIdPartition, Arc<Partition>>>,
    notify: Notify,
}

impl Attention {
    /// Adds a partition.
    pub fn add(&self, partition: Arc<Partition>) {
        let mut partitions = self.partitions.lock();
        partitions.insert(partition.id, partition);
        if partitions.len() == 1 {
            self.notify.notify_one();
        }
    }

    /// Waits until there is one.
    pub async fn wait(&self) {
        while self.partitions.lock().is_empty() {
            self.notify.notified().await;
        }
    }

    /// Takes all out.
    pub fn take(&self) -> BTreeMap<TopicIdPartition, Arc<Partition>> {
        std::mem::take(&mut *self.partitions.lock())
    }
}

impl Context {
    pub fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            partitions: RwLock::default(),
            unavailable: RwLock::default(),
            attention: Attention::default(),
            log_work: LogWork::default(),
            relocations: Relocations::default(),
            cleaner: CleanerProgress::default(),
            proposals: Arc::default(),
            reports: Arc::default(),
            failures: Arc::default(),
            links: Links::default(),
            next_session: AtomicU64::new(1),
        }
    }

    /// The replica of that partition here.
    pub fn partition(&self, id: TopicIdPartition) -> Option<Arc<Partition>> {
        self.partitions.read().get(id).cloned()
    }

    /// A session that is later than all before.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }
}

impl Surroundings for Context {
    fn propose(&self, partition: &Arc<Partition>, change: IsrChange) {
        self.proposals.add(partition.clone(), change);
    }

    fn follow(&self, partition: &Arc<Partition>) {
        self.links.follow(partition, |link| tokio::spawn(run_link(self.node.clone(), link)));
    }

    fn attend(&self, partition: &Arc<Partition>) {
        self.attention.add(partition.clone());
    }

    fn on_damaged(&self, partition: TopicIdPartition) {
        self.reports.assign(partition, DirectoryId::LOST);
    }

    fn on_isr_changed(&self, grown: bool, shrunk: bool) {
        self.node.counters.isr_expands.fetch_add(grown.into(), Ordering::Relaxed);
        self.node.counters.isr_shrinks.fetch_add(shrunk.into(), Ordering::Relaxed);
    }
}
