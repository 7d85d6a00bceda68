//! Reading: what a fetch may ask of one partition and what it gets.

use bytes::Bytes;
use highwater_log::AbortedTransaction;
use highwater_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicIdPartition};

/// Which records a client may see (`isolation.level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// All below the high watermark.
    ReadUncommitted,
    /// All below the last stable offset.
    ReadCommitted,
}

/// A read of one partition.
#[derive(Debug, Clone, Copy)]
pub struct FetchRead {
    /// The partition.
    pub partition: TopicIdPartition,
    /// Where to start. The batch that holds it is returned whole.
    pub offset: Offset,
    /// The epoch in which the client believes this broker leads; [`LeaderEpoch::NONE`] to skip the check (KIP-320).
    pub current_leader_epoch: LeaderEpoch,
    /// Epoch of the last record the client has; [`LeaderEpoch::NONE`] to skip the divergence check (KIP-595).
    pub last_fetched_epoch: LeaderEpoch,
    /// Most bytes to return.
    pub max_bytes: usize,
    /// Return the first batch even if it is larger than `max_bytes` (KIP-74).
    pub min_one_batch: bool,
    /// Which records may be seen.
    pub isolation: Isolation,
    /// Whether an in-sync follower may answer as well, up to the high watermark that it knows (KIP-392).
    pub from_follower: bool,
}

/// The client's log ends, in that epoch, beyond the leader's: it must go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DivergingEpoch {
    /// The largest epoch not above the client's that the leader has.
    pub epoch: LeaderEpoch,
    /// End offset of that epoch.
    pub end_offset: Offset,
}

/// What a read found.
#[derive(Debug, Clone)]
pub struct FetchResult {
    /// High watermark.
    pub high_watermark: Offset,
    /// Last stable offset.
    pub last_stable_offset: Offset,
    /// First offset of the log.
    pub log_start: Offset,
    /// Whole batches, exactly as stored; empty when there is nothing to see yet.
    pub records: Vec<Bytes>,
    /// The aborted transactions that may have records among these, by their first offsets; `None` for read_uncommitted.
    pub aborted: Option<Vec<AbortedTransaction>>,
    /// Bytes in `records`.
    pub size_bytes: usize,
    /// Set when the client's log diverges; then there are no records.
    pub diverging: Option<DivergingEpoch>,
    /// Where the client should read instead (KIP-392), and then there are no records; else [`BrokerId::NONE`].
    pub preferred_read_replica: BrokerId,
}

/// The leader and its epoch, for errors that should teach the client (KIP-951).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderHint {
    /// The leader; [`BrokerId::NONE`] when there is none.
    pub leader: BrokerId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
}

/// Why a read, or a question about offsets, got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", code.name())]
pub struct FetchError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// Who leads, if that is what is wrong.
    pub leader: Option<LeaderHint>,
    /// First offset of the log, with OFFSET_OUT_OF_RANGE.
    pub log_start: Offset,
    /// High watermark, with OFFSET_OUT_OF_RANGE.
    pub high_watermark: Offset,
}

impl FetchError {
    /// An error without hints.
    pub(crate) fn new(code: ErrorCode) -> Self {
        Self { code, leader: None, log_start: Offset::NONE, high_watermark: Offset::NONE }
    }
}
