//! What all partitions of a broker share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use highwater_env::Env;
use highwater_metadata::MetadataImage;
use highwater_partition::SessionId;
use highwater_types::{BrokerEpoch, BrokerId, TopicIdPartition};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::isr_proposals::IsrProposals;
use crate::link::Links;
use crate::partition::Partition;
use crate::{Lease, ReplicationConfig};

/// Shared by the partitions, the streams and the background tasks.
pub(crate) struct Context {
    pub env: Env,
    pub config: ReplicationConfig,
    pub lease: Arc<dyn Lease>,
    /// The metadata last applied.
    pub image: ArcSwap<MetadataImage>,
    /// Brokers that may join an ISR, as of that metadata.
    pub active_brokers: ArcSwap<Vec<(BrokerId, BrokerEpoch)>>,
    /// Every replica of this broker.
    pub partitions: RwLock<BTreeMap<TopicIdPartition, Arc<Partition>>>,
    /// Replicas that could not be opened.
    pub unavailable: RwLock<BTreeSet<TopicIdPartition>>,
    /// Partitions where time alone changes something.
    pub attention: Attention,
    /// Changes to ask the controller for.
    pub proposals: IsrProposals,
    /// Streams to the leaders of partitions that this broker follows.
    pub links: Links,
    pub counters: Counters,
    next_session: AtomicU64,
}

/// Events since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub isr_shrinks: AtomicU64,
    pub isr_expands: AtomicU64,
    pub failed_isr_updates: AtomicU64,
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
    pub fn new(env: Env, config: ReplicationConfig, lease: Arc<dyn Lease>) -> Self {
        Self {
            env,
            config,
            lease,
            image: ArcSwap::from_pointee(MetadataImage::empty()),
            active_brokers: ArcSwap::from_pointee(Vec::new()),
            partitions: RwLock::default(),
            unavailable: RwLock::default(),
            attention: Attention::default(),
            proposals: IsrProposals::default(),
            links: Links::default(),
            counters: Counters::default(),
            next_session: AtomicU64::new(1),
        }
    }

    /// The replica of that partition here.
    pub fn partition(&self, id: TopicIdPartition) -> Option<Arc<Partition>> {
        self.partitions.read().get(&id).cloned()
    }

    /// A session that is later than all before.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }
}
