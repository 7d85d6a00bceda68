//! What this node is and knows, without its replicas.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use highwater_env::Env;
use highwater_metadata::MetadataImage;

use crate::throttles::Throttles;
use crate::{Lease, ReplicationConfig};

/// Shared by everything in this crate.
pub(crate) struct Node {
    pub env: Env,
    pub config: ReplicationConfig,
    pub lease: Arc<dyn Lease>,
    /// The metadata last applied.
    pub image: ArcSwap<MetadataImage>,
    pub counters: Arc<Counters>,
    pub throttles: Throttles,
}

/// Events since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub isr_shrinks: AtomicU64,
    pub isr_expands: AtomicU64,
    pub failed_isr_updates: AtomicU64,
    /// Bytes of records from leaders.
    pub replication_bytes_in: AtomicU64,
    /// Bytes of records to followers.
    pub replication_bytes_out: AtomicU64,
    /// Bytes of records from leaders for throttled replicas.
    pub throttled_bytes_in: AtomicU64,
    /// Bytes of records to throttled followers.
    pub throttled_bytes_out: AtomicU64,
}

impl Node {
    pub fn new(env: Env, config: ReplicationConfig, lease: Arc<dyn Lease>) -> Self {
        let image = ArcSwap::from_pointee(MetadataImage::empty());
        Self { env, config, lease, image, counters: Arc::default(), throttles: Throttles::default() }
    }
}
