//! When and how a segment is completed and the next one begun.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_env::OpenMode;
use highwater_records::BatchHeader;
use highwater_types::{Offset, Timestamp};

use super::Log;
use crate::error::{AppendError, LogError, is_disk_full};
use crate::file_names::FileKind;
use crate::segment::Segment;

/// Largest segment file: positions in the index are `i32`.
const MAX_SEGMENT_BYTES: u64 = i32::MAX as u64;

impl Log {
    /// Rolls if the batch, coming after `pending_bytes` not yet written, must not go into the active segment.
    pub(super) fn maybe_roll(
        &mut self,
        next: &BatchHeader,
        pending_bytes: u64,
        now: Timestamp,
    ) -> Result<bool, AppendError> {
        if self.must_roll(next, pending_bytes, now) { self.roll_for(next, now) } else { Ok(false) }
    }

    /// Kafka's rules: size, the span of timestamps, full indexes, offsets too far from the base.
    pub(super) fn must_roll(&self, next: &BatchHeader, pending_bytes: u64, now: Timestamp) -> bool {
        let distance = next.last_offset().get() - self.active.base().get();
        if distance > i64::from(i32::MAX) {
            return true;
        }
        let size = self.active.size() + pending_bytes;
        if size == 0 {
            return false;
        }
        size + next.size_in_bytes() as u64 > self.config.segment_bytes.min(MAX_SEGMENT_BYTES)
            || self.waited_ms(next.max_timestamp, now) > self.longest_wait_ms()
            || self.active.index_is_full(self.config.segment_index_bytes)
    }

    /// Compaction needs complete segments.
    fn longest_wait_ms(&self) -> i64 {
        let segment_ms = self.config.segment_ms - self.config.segment_jitter_ms;
        if self.config.compact_policy { segment_ms.min(self.config.max_compaction_lag_ms) } else { segment_ms }
    }

    /// How long the active segment has been filling until now, by timestamps where there are any.
    pub(crate) fn active_waited_ms(&self, now: Timestamp) -> i64 {
        self.waited_ms(now, now)
    }

    /// Completes the active segment if anything is in it. Returns whether it was. A full disk is no failure.
    pub(crate) fn roll_if_filled(&mut self, now: Timestamp) -> Result<bool, LogError> {
        self.health.check()?;
        if self.active.size() == 0 {
            return Ok(false);
        }
        match self.roll(self.log_end(), now) {
            Ok(()) => Ok(true),
            Err(LogError::Io { source, .. }) if is_disk_full(&source) => Ok(false),
            Err(error) => self.health.clone().watch(Err(error)),
        }
    }

    /// How long the active segment has been filling, by timestamps where there are any.
    fn waited_ms(&self, next: Timestamp, now: Timestamp) -> i64 {
        match self.first_timestamp {
            first if first >= Timestamp(0) => next.0.saturating_sub(first.0),
            _ => now.0.saturating_sub(self.active_since.0),
        }
    }

    /// Rolls for a batch that must not go into the active segment. Returns whether that completed a segment.
    pub(super) fn roll_for(&mut self, next: &BatchHeader, now: Timestamp) -> Result<bool, AppendError> {
        let was_empty = self.active.size() == 0;
        let log_end = self.log_end();
        let rolled = match next.last_offset().get() - log_end.get() > i64::from(i32::MAX) {
            true => self.roll_over_gap(next.base_offset, now),
            false => self.roll(log_end, now),
        };
        match rolled {
            Ok(()) => Ok(!was_empty),
            Err(LogError::Io { source, .. }) if is_disk_full(&source) => Err(AppendError::DiskFull),
            Err(error) => Ok(self.health.watch(Err(error))?),
        }
    }

    /// Begins a segment that does not follow on the one before: compaction left a gap of more than 2^31 offsets. Recovery
    /// takes a gap between segments for a loss unless it is below the durable mark, so the mark is moved over it first.
    fn roll_over_gap(&mut self, base: Offset, now: Timestamp) -> Result<(), LogError> {
        self.flush.flush()?;
        self.roll(base, now)?;
        self.reader.publish_log_end(base);
        self.flush.flush()?;
        self.checkpoints.write(Vec::new)
    }

    /// Completes the active segment and begins one at `base`. An empty active segment is replaced.
    pub(super) fn roll(&mut self, base: Offset, now: Timestamp) -> Result<(), LogError> {
        debug_assert!(base > self.active.base());
        let snapshot = self.producers.encode();
        self.write_snapshot(base, &snapshot)?;
        let old = self.active.clone();
        let index_path = old.path(FileKind::OffsetIndex);
        old.give_room_back().map_err(LogError::io(&old.path(FileKind::Log)))?;
        old.write_index_files().map_err(LogError::io(&index_path))?;
        let new = Segment::create(&self.fs, self.reader.dir(), base)
            .map_err(LogError::io(&FileKind::Log.path(self.reader.dir(), base)))?;
        let new = Arc::new(new);
        old.set_rolled();
        old.set_complete_since(now);

        let mut segments = self.reader.view().segments.clone();
        if old.size() == 0 {
            segments.pop();
            self.flush.on_removed(base);
            self.health.watch_half_done(old.remove_files().map_err(LogError::io(&index_path)))?;
        }
        segments.push(new.clone());
        self.flush.on_rolled(new.clone());
        self.reader.publish_segments(segments);
        if old.size() > 0 {
            self.reader.on_index_loaded(&old);
        }
        self.active = new;
        self.first_timestamp = Timestamp::NONE;
        self.active_since = now;
        Ok(())
    }

    /// Writes the file with the producer state as of `offset`. It is durable once the segment is flushed; a torn one is
    /// recognised by its CRC and does no harm.
    pub(super) fn write_snapshot(&mut self, offset: Offset, content: &[u8]) -> Result<PathBuf, LogError> {
        let path = FileKind::ProducerSnapshot.path(self.reader.dir(), offset);
        let write = || self.fs.open(&path, OpenMode::Truncate)?.write_all_at(content, 0);
        write().map_err(LogError::io(&path))?;
        self.snapshots.insert(offset);
        Ok(path)
    }
}
