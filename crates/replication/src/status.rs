//! A partition's figures, for metrics, tools and tests.

use highwater_types::{BrokerId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicIdPartition, TopicName};

/// What this broker is to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionRole {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// No leader, or the replica's log directory failed.
    Offline,
}

/// The figures of one replica, as many of them are read at once: no list is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionFigures {
    /// Name of the topic.
    pub topic: TopicName,
    /// Index in the topic.
    pub partition: PartitionIndex,
    /// What this broker is to it.
    pub role: PartitionRole,
    /// Whether a leader is known.
    pub has_leader: bool,
    /// How many replicas are assigned.
    pub replicas: usize,
    /// How many are in sync as committed by the controller.
    pub isr: usize,
    /// Effective `min.insync.replicas`.
    pub min_isr: usize,
    /// First offset.
    pub log_start: Offset,
    /// High watermark of this replica.
    pub high_watermark: Offset,
    /// Last stable offset of this replica.
    pub last_stable_offset: Offset,
    /// Log end offset.
    pub log_end: Offset,
    /// Size of all segments in bytes.
    pub size_bytes: u64,
    /// Segments.
    pub segments: usize,
    /// Idempotent producers remembered.
    pub producers: usize,
    /// As leader: records that each follower lacks.
    pub follower_lags: Vec<(BrokerId, i64)>,
}

impl PartitionFigures {
    /// Whether this broker leads it.
    pub fn leads(&self) -> bool {
        self.role == PartitionRole::Leader
    }

    /// Whether this broker leads it and a replica is out of sync.
    pub fn is_under_replicated(&self) -> bool {
        self.leads() && self.isr < self.replicas
    }

    /// Whether this broker leads it and fewer replicas are in sync than the minimum.
    pub fn is_under_min_isr(&self) -> bool {
        self.leads() && self.isr < self.min_isr
    }

    /// Whether this broker leads it and exactly the minimum is in sync.
    pub fn is_at_min_isr(&self) -> bool {
        self.leads() && self.isr == self.min_isr
    }
}

/// One replica on this broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The key.
    pub id: TopicIdPartition,
    /// Name of the topic.
    pub topic: TopicName,
    /// Index in the topic.
    pub partition: PartitionIndex,
    /// What this broker is to it.
    pub role: PartitionRole,
    /// The leader as last told.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// Partition epoch as last told.
    pub partition_epoch: PartitionEpoch,
    /// Assigned replicas.
    pub replicas: Vec<BrokerId>,
    /// In-sync replicas as committed by the controller.
    pub isr: Vec<BrokerId>,
    /// As leader: the in-sync replicas, those whose addition is in flight, and the eligible leader replicas. The high
    /// watermark counts these.
    pub maximal_isr: Vec<BrokerId>,
    /// Effective `min.insync.replicas`.
    pub min_isr: usize,
    /// First offset.
    pub log_start: Offset,
    /// High watermark of this replica.
    pub high_watermark: Offset,
    /// High watermark that clients may be told; `None` while a new leader's own is below its epoch's start (P3).
    pub exposed_high_watermark: Option<Offset>,
    /// Offset below which everything is on disk.
    pub flushed: Offset,
    /// Log end offset.
    pub log_end: Offset,
    /// Size of all segments in bytes.
    pub size_bytes: u64,
}
