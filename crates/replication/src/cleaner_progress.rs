//! What compaction did and has to do, for its metrics.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64};

use highwater_env::lock::Mutex;
use highwater_types::TopicIdPartition;

/// A finished pass over one log.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FinishedPass {
    /// Bytes written in a hundred bytes read.
    pub recopy_percent: u64,
    /// Share of the map that its keys took.
    pub map_percent: u64,
    pub seconds: u64,
}

/// What was compacted since the start of the process, and what waits.
#[derive(Debug, Default)]
pub(crate) struct CleanerProgress {
    pub passes: AtomicU64,
    /// Logs in work.
    pub running: AtomicU64,
    pub read_bytes: AtomicU64,
    pub written_bytes: AtomicU64,
    pub reclaimed_bytes: AtomicU64,
    /// Bytes that could be compacted now, in all logs, when it was last looked.
    pub cleanable_bytes: AtomicU64,
    /// Largest share of a log that waits, in percent, when it was last looked.
    pub max_dirty_percent: AtomicU64,
    /// For how long a record has waited longer than `max.compaction.lag.ms`, the longest, when it was last looked.
    pub max_delay_ms: AtomicI64,
    /// Wall clock of that look, in milliseconds; 0 before the first.
    pub looked_at_ms: AtomicI64,
    /// Logs that cannot be compacted because they are damaged.
    pub uncleanable: Mutex<BTreeSet<TopicIdPartition>>,
    /// Their bytes that would otherwise be compacted, when it was last looked.
    pub uncleanable_bytes: AtomicU64,
    /// Of the pass that was finished last.
    pub last_pass: Mutex<FinishedPass>,
}
