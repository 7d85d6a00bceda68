//! What of a log may be compacted, and whether it should be.
//!
//! ```text
//! first base <= ... clean ... <= first dirty <= ... cleanable ... <= limit <= min(stable, flushed, active base)
//! ```

use std::sync::Arc;

use highwater_types::{Offset, Timestamp};

use crate::error::LogError;
use crate::log::Log;
use crate::segment::Segment;

/// How much of a log waits for compaction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dirtiness {
    /// Bytes of segments that are compacted.
    pub clean_bytes: u64,
    /// Bytes of segments that are not and may be.
    pub cleanable_bytes: u64,
    /// For how long a record that waits has been older than `max.compaction.lag.ms`; 0 if none is.
    pub delay_ms: i64,
}

impl Dirtiness {
    /// Whether a record that waits is older than `max.compaction.lag.ms`.
    pub fn is_overdue(&self) -> bool {
        self.delay_ms > 0
    }

    /// Share of what may be compacted that is not.
    pub fn ratio(&self) -> f64 {
        match self.clean_bytes + self.cleanable_bytes {
            0 => 0.0,
            total => self.cleanable_bytes as f64 / total as f64,
        }
    }
}

/// The segments that a compaction works on.
#[derive(Debug)]
pub(crate) struct CleanRange {
    /// Everything below was compacted.
    pub(crate) first_dirty: Offset,
    /// From the first one of the log on.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// How many of them lie below `first_dirty` as a whole.
    pub(crate) clean: usize,
    /// The base of the segment behind them.
    pub(crate) end: Offset,
}

impl Log {
    /// How much waits for compaction, given that everything below `stable` is committed and decided (the last stable
    /// offset). Nothing for logs that are not compacted.
    pub fn dirtiness(&self, now: Timestamp, stable: Offset) -> Result<Dirtiness, LogError> {
        if !self.config().compact_policy {
            return Ok(Dirtiness::default());
        }
        let range = self.clean_range(now, stable)?;
        let bytes = |segments: &[Arc<Segment>]| segments.iter().map(|segment| segment.size()).sum();
        let (clean, dirty) = range.segments.split_at(range.clean);
        let mut dirtiness = Dirtiness { clean_bytes: bytes(clean), cleanable_bytes: bytes(dirty), delay_ms: 0 };
        let max_lag_ms = self.config().max_compaction_lag_ms;
        if max_lag_ms < i64::MAX {
            for segment in dirty {
                let first = segment.walk(0)?.next_header()?.map_or(now, |(_, header)| header.max_timestamp);
                if first >= Timestamp(0) {
                    dirtiness.delay_ms = dirtiness.delay_ms.max(now.0.saturating_sub(first.0) - max_lag_ms);
                }
            }
        }
        Ok(dirtiness)
    }

    /// Whether the log is to be compacted, by `min.cleanable.dirty.ratio` and `max.compaction.lag.ms`.
    pub fn wants_compaction(&self, dirtiness: &Dirtiness) -> bool {
        dirtiness.cleanable_bytes > 0
            && (dirtiness.is_overdue() || dirtiness.ratio() > self.config().min_cleanable_dirty_ratio)
    }

    /// Completes the active segment once its first record is older than `max.compaction.lag.ms`: it cannot be compacted
    /// before. Blocks for the disk.
    pub fn roll_for_compaction(&mut self, now: Timestamp) -> Result<bool, LogError> {
        let is_due = self.config().compact_policy
            && self.config().max_compaction_lag_ms < i64::MAX
            && self.active_waited_ms(now) > self.config().max_compaction_lag_ms;
        if is_due { self.roll_if_filled(now) } else { Ok(false) }
    }

    pub(crate) fn clean_range(&self, now: Timestamp, stable: Offset) -> Result<CleanRange, LogError> {
        let view = self.reader_ref().view();
        let stable = stable.min(self.flushed());
        let checkpoint = self.cleaner_offset().filter(|offset| (self.log_start()..=self.log_end()).contains(offset));
        let first_dirty = checkpoint.unwrap_or(self.log_start());
        let below = |offset: Offset| view.segments.iter().skip(1).take_while(|next| next.base() <= offset).count();
        let (clean, mut count) = (below(first_dirty), below(stable));
        let lag_ms = self.config().min_compaction_lag_ms;
        if lag_ms > 0 {
            for (number, segment) in view.segments[..count].iter().enumerate().skip(clean) {
                if now.0.saturating_sub(segment.largest_timestamp(self.config().index_interval_bytes)?.0) < lag_ms {
                    count = number;
                    break;
                }
            }
        }
        let count = count.max(clean);
        let end = view.segments[count].base();
        Ok(CleanRange { first_dirty, segments: view.segments[..count].to_vec(), clean, end })
    }
}
