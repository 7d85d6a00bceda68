//! Deleting old segments.

use std::sync::Arc;

use highwater_types::{Offset, Timestamp};

use super::Log;
use crate::error::{LogError, is_disk_full};
use crate::file_names::FileKind;
use crate::recovery::{load_producers, remove_snapshots, replay_producers};
use crate::segment::{Segment, sync_if_there};

/// What a retention run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Segments deleted.
    pub deleted_segments: usize,
    /// Bytes of batches in them.
    pub deleted_bytes: u64,
    /// The log start offset afterwards.
    pub log_start: Offset,
}

impl Log {
    /// Deletes whole segments from the start on that are older than `retention.ms`, beyond `retention.bytes`, or below the
    /// log start; never one that reaches above the high watermark. If all are to go, the active one is rolled first. Forgets
    /// expired producers, and closes files that were not used since the last call. To be called from time to time; blocks for
    /// the disk.
    pub fn apply_retention(&mut self, now: Timestamp, high_watermark: Offset) -> Result<Retention, LogError> {
        self.health.check()?;
        self.producers.expire(now, self.config.producer_id_expiration_ms);
        let health = self.health.clone();
        let done = health.watch(self.delete_old_segments(now, high_watermark))?;
        let given_back = self.active.give_room_back();
        health.watch(given_back.map_err(LogError::io(&self.active.path(FileKind::Log))))?;
        self.flush.release_idle_files();
        Ok(done)
    }

    fn delete_old_segments(&mut self, now: Timestamp, high_watermark: Offset) -> Result<Retention, LogError> {
        let segments = self.reader.view().segments.clone();
        let mut count = self.count_deletable(&segments, now, high_watermark)?;
        if count == segments.len() {
            match self.roll(self.log_end(), now) {
                Ok(()) => {}
                // The active segment stays until others have made room.
                Err(LogError::Io { source, .. }) if is_disk_full(&source) => count -= 1,
                Err(error) => return Err(error),
            }
        }
        let deleted = &segments[..count];
        let deleted_bytes = deleted.iter().map(|segment| segment.size()).sum();
        if count > 0 {
            self.remove_oldest(deleted, now)?;
        }
        Ok(Retention { deleted_segments: count, deleted_bytes, log_start: self.log_start() })
    }

    fn count_deletable(&self, segments: &[Arc<Segment>], now: Timestamp, limit: Offset) -> Result<usize, LogError> {
        let config = &self.config;
        let mut excess = match config.retention_bytes {
            bytes if bytes >= 0 && config.delete_policy => self.size_bytes().saturating_sub(bytes as u64),
            _ => 0,
        };
        for (number, segment) in segments.iter().enumerate() {
            let next = segments.get(number + 1).map_or(self.log_end(), |next| next.base());
            let is_active = number + 1 == segments.len();
            if next > limit || (is_active && segment.size() == 0) {
                return Ok(number);
            }
            let oversize = segment.size() > 0 && excess >= segment.size();
            if next > self.log_start() && !oversize && !self.is_expired(segment, now)? {
                return Ok(number);
            }
            excess = excess.saturating_sub(segment.size());
        }
        Ok(segments.len())
    }

    fn is_expired(&self, segment: &Segment, now: Timestamp) -> Result<bool, LogError> {
        if self.config.retention_ms < 0 || !self.config.delete_policy {
            return Ok(false);
        }
        let newest = match segment.largest_timestamp(self.config.index_interval_bytes)? {
            // A timestamp of the future says nothing about when the record came, and would keep the segment until then:
            // what counts is since when nothing came.
            timestamp if timestamp == Timestamp::NONE || timestamp > now => segment.complete_since(self.active_since),
            timestamp => timestamp,
        };
        Ok(now.0.saturating_sub(newest.0) > self.config.retention_ms)
    }

    /// Oldest first, so that a crash in between leaves no hole: a directory's changes become durable in their order.
    fn remove_oldest(&mut self, deleted: &[Arc<Segment>], now: Timestamp) -> Result<(), LogError> {
        let remaining = self.reader.view().segments[deleted.len()..].to_vec();
        let first = remaining[0].base();
        let log_start = self.log_start().max(first);
        match self.secure_snapshot(first, deleted) {
            // To make room counts more: what is forgotten, after a crash, are idle producers that these segments alone know.
            Err(error) if error.is_disk_full() => {
                tracing::warn!(partition = %self.partition, %error, "no room for a producer snapshot");
            }
            secured => secured?,
        }
        let done = self.take_oldest_away((deleted, remaining), (first, log_start), now);
        self.health.watch_half_done(done)
    }

    fn take_oldest_away(
        &mut self,
        (deleted, remaining): (&[Arc<Segment>], Vec<Arc<Segment>>),
        (first, log_start): (Offset, Offset),
        now: Timestamp,
    ) -> Result<(), LogError> {
        self.reader.publish_log_start(log_start);
        self.reader.publish_segments(remaining);
        self.flush.on_removed(first);
        self.epochs.truncate_from_start(log_start);
        // Below `first` there will be nothing else to tell which topic's this is.
        self.flush.make_home_durable()?;
        for segment in deleted {
            for kind in FileKind::OF_SEGMENT {
                self.take_away(&segment.path(kind), now).map_err(LogError::io(self.reader.dir()))?;
            }
        }
        remove_snapshots(&self.fs, self.reader.dir(), &mut self.snapshots, |snapshot| snapshot < first)?;
        self.fs.sync_dir(self.reader.dir()).map_err(LogError::io(self.reader.dir()))
    }

    /// Makes sure that there is a durable snapshot at `first`: what the segments before it say of their producers will live
    /// on in it alone.
    fn secure_snapshot(&mut self, first: Offset, deleted: &[Arc<Segment>]) -> Result<(), LogError> {
        let now = self.active_since;
        let (mut producers, from) = load_producers(&self.fs, self.reader.dir(), &mut self.snapshots, first, now)?;
        if from < first {
            let reading = (self.interval_bytes(), now);
            producers.expect_committed(Offset(i64::MAX));
            replay_producers(deleted, from, first, self.flushed(), &mut producers, reading)?;
            self.write_snapshot(first, &producers.encode())?;
        }
        let path = FileKind::ProducerSnapshot.path(self.reader.dir(), first);
        sync_if_there(&self.fs, &path).map_err(LogError::io(&path))
    }
}
