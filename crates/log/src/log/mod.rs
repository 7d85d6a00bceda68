//! One partition's log: the write side.
//!
//! ```text
//! first base <= log start <= flushed <= log end
//! ```
//! There is one writer, who has the log by `&mut`; readers and the flusher have [`LogReader`] and [`FlushTarget`] and take
//! no lock of the writer.
//!
//! Architecture invariant: how a log was appended (batch by batch, many at once, found by recovery) changes no answer.

mod append;
mod retention;
mod roll;
mod truncate;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use highwater_env::{Fs, OpenMode as FileMode};
use highwater_types::{LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};

use crate::checkpoints::Checkpoints;
use crate::config::LogConfig;
use crate::directory_health::DirectoryHealth;
use crate::doomed_files::DoomedFiles;
use crate::error::{LogError, ReadError};
use crate::file_names::{FileKind, LEADER_EPOCH_CHECKPOINT};
use crate::flush_target::FlushTarget;
use crate::leader_epochs::LeaderEpochs;
use crate::log_reader::LogReader;
use crate::log_summary::LogSummary;
use crate::producers::{ActiveProducer, ProducerStates, RememberedBatches};
use crate::recovery::{OpenMode, recover};
use crate::segment::Segment;
use crate::tail_cache::TailCache;
use crate::time_lookup::TimestampOffset;

pub use append::{FollowerAppend, LeaderAppend};
pub use retention::Retention;

/// One partition's log. Made by [`crate::LogDirectory::open_log`].
///
/// Dropping it is what a crash does: the next opening recovers. [`Log::close`] makes the next opening quick.
#[derive(Debug)]
pub struct Log {
    fs: Fs,
    partition: TopicPartition,
    topic_id: TopicId,
    config: LogConfig,
    reader: Arc<LogReader>,
    flush: Arc<FlushTarget>,
    health: Arc<DirectoryHealth>,
    checkpoints: Arc<Checkpoints>,
    tails: Arc<TailCache>,
    doomed: Arc<DoomedFiles>,
    epochs: LeaderEpochs,
    producers: ProducerStates,
    /// Offsets of the snapshot files.
    snapshots: BTreeSet<Offset>,
    /// The active segment, also the last one of the reader's list.
    active: Arc<Segment>,
    /// Largest timestamp of the active segment's first batch that has one, or NONE; `segment.ms` counts from it.
    first_timestamp: Timestamp,
    /// Wall clock when the active segment was begun or opened: stands in for timestamps where there are none.
    active_since: Timestamp,
}

/// What all logs of a directory share.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryServices {
    pub(crate) fs: Fs,
    pub(crate) health: Arc<DirectoryHealth>,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) tails: Arc<TailCache>,
    pub(crate) doomed: Arc<DoomedFiles>,
}

impl Log {
    /// Recovers the log in `dir`, which exists.
    pub(crate) fn open(
        services: &DirectoryServices,
        dir: &Path,
        partition: TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
        mode: &OpenMode,
    ) -> Result<Self, LogError> {
        let DirectoryServices { fs, health, checkpoints, tails, doomed } = services.clone();
        health.check()?;
        let dir: Arc<Path> = dir.into();
        let mut recovered = health.watch(recover(&fs, &dir, mode))?;
        recovered.producers.on_high_watermark(mode.high_watermark);
        let active = recovered.segments.last().expect("recovery leaves at least one segment").clone();
        let (log_start, log_end) = (recovered.log_start, recovered.log_end);
        let interval_bytes = config.index_interval_bytes;
        let reader = Arc::new(LogReader::new(dir, recovered.segments, log_start, log_end, interval_bytes));
        // Whoever made the directory may have crashed before its first flush.
        let home_durable = !mode.fresh && mode.recovery_point > Offset::ZERO;
        let flush = Arc::new(FlushTarget::new(fs.clone(), reader.clone(), health.clone(), log_end, home_durable));
        let mut log = Self {
            fs,
            partition,
            topic_id,
            config,
            reader,
            flush,
            health,
            checkpoints,
            tails,
            doomed,
            epochs: recovered.epochs,
            producers: recovered.producers,
            snapshots: recovered.snapshots,
            active,
            first_timestamp: Timestamp::NONE,
            active_since: mode.now,
        };
        if !mode.fresh {
            // All that was recovered counts as flushed.
            log.health.watch(log.flush.make_home_durable())?;
        }
        log.first_timestamp = log.read_first_timestamp()?;
        Ok(log)
    }

    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// Id of the topic.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// The first offset that may be read.
    pub fn log_start(&self) -> Offset {
        self.reader.log_start()
    }

    /// The offset the next record will get.
    pub fn log_end(&self) -> Offset {
        self.reader.log_end()
    }

    /// Everything below is durable.
    pub fn flushed(&self) -> Offset {
        self.flush.flushed()
    }

    /// Bytes of batches in all segments.
    pub fn size_bytes(&self) -> u64 {
        self.reader.view().segments.iter().map(|segment| segment.size()).sum()
    }

    /// The read side; usable from any thread, also after this log is gone.
    pub fn reader(&self) -> Arc<LogReader> {
        self.reader.clone()
    }

    /// The flush side, for the sync scheduler.
    pub fn flush_target(&self) -> Arc<FlushTarget> {
        self.flush.clone()
    }

    /// The newest leader epoch that was assigned or found in a batch; `NONE` in a new log.
    pub fn latest_epoch(&self) -> LeaderEpoch {
        self.epochs.latest()
    }

    /// The largest epoch not above `epoch` and the offset where it ends, `(NONE, NONE)` if that is not known here
    /// (OffsetForLeaderEpoch, KIP-101 and KIP-279).
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        self.epochs.end_of(epoch, self.log_end())
    }

    /// The leader epoch in which the record at `offset` was written.
    pub fn epoch_of(&self, offset: Offset) -> LeaderEpoch {
        self.epochs.epoch_of(offset)
    }

    /// The last stable offset: everything below is committed, and belongs to no transaction or to one that was ended by a
    /// marker below `high_watermark`. Never below the log start.
    pub fn last_stable_offset(&mut self, high_watermark: Offset) -> Offset {
        let undecided = self.producers.first_undecided_transaction(high_watermark);
        self.producers.on_high_watermark(high_watermark);
        undecided.map_or(high_watermark, |first| first.max(self.log_start()).min(high_watermark))
    }

    /// The idempotent producers whose retries are recognised, by id.
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        self.producers.active()
    }

    /// How many idempotent producers are remembered.
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// Segments, the active one included.
    pub fn segment_count(&self) -> usize {
        self.reader.view().segments.len()
    }

    /// See [`LogReader::offset_for_timestamp`].
    pub fn offset_for_timestamp(&self, timestamp: Timestamp) -> Result<Option<TimestampOffset>, ReadError> {
        self.reader.offset_for_timestamp(timestamp)
    }

    /// See [`LogReader::max_timestamp`].
    pub fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        self.reader.max_timestamp()
    }

    /// The configuration in force.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Takes a new configuration from here on; what is on disk stays as it is.
    pub fn update_config(&mut self, config: LogConfig) {
        self.reader.set_interval_bytes(config.index_interval_bytes);
        self.config = config;
    }

    /// Notes that this replica leads in `epoch` from the log end on, and returns that offset. The note is made durable
    /// before the first append of the epoch (P7); until then a crash forgets it, as nothing depends on it.
    ///
    /// # Panics
    /// If a newer epoch has records already.
    pub fn assign_epoch_start(&mut self, epoch: LeaderEpoch) -> Offset {
        self.epochs.assign(epoch, self.log_end());
        self.epochs.latest_start().unwrap_or(self.log_end())
    }

    /// Moves the log start up to `offset` (DeleteRecords, or the leader's). A lower one than now changes nothing. Segments
    /// below go at the next [`Log::apply_retention`].
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] if `offset` is beyond the log end.
    pub fn set_log_start(&mut self, offset: Offset) -> Result<(), LogError> {
        let (start, end) = (self.log_start(), self.log_end());
        if offset > end {
            return Err(LogError::OutOfRange { asked: offset, start, end });
        }
        if offset > start {
            self.reader.publish_log_start(offset);
            self.epochs.truncate_from_start(offset);
        }
        Ok(())
    }

    /// Flushes everything and writes what lets the next opening believe it all. Returns the log end.
    pub fn close(mut self) -> Result<Offset, LogError> {
        let log_end = self.log_end();
        self.flush.flush()?;
        let health = self.health.clone();
        health.watch(self.flush.make_home_durable())?;
        // Also if a file cannot be written.
        self.checkpoints.take_over(&self.partition, &self.flush);
        health.watch(self.write_closing_files())?;
        let summary = health.watch(self.summary())?;
        let summary = summary.map(|summary| (self.topic_id, summary));
        self.checkpoints.on_closed(&self.partition, &self.flush, summary);
        Ok(log_end)
    }

    /// Whether nobody used its files of late ([`crate::LogDirectory::release_idle_files`]), and all of it is durable.
    pub fn is_idle(&self) -> bool {
        self.flushed() == self.log_end() && !self.reader.view().segments.iter().any(|segment| segment.is_open())
    }

    /// Whether somebody holds its read side or its flush side, which say nothing of what another [`Log`] does to the files.
    pub fn is_shared(&self) -> bool {
        // The flush side holds the read side.
        Arc::strong_count(&self.reader) > 2 || Arc::strong_count(&self.flush) > 1
    }

    /// What is in it, as it is once it is closed; `None` while a transaction is open, or its end may not be committed: of that only
    /// the producers' state tells.
    pub fn summary(&self) -> Result<Option<LogSummary>, LogError> {
        if self.producers.first_undecided_transaction(Offset::ZERO).is_some() {
            return Ok(None);
        }
        Ok(Some(LogSummary {
            log_start: self.log_start(),
            log_end: self.log_end(),
            // As the next opening finds it: one that was assigned and has no record is forgotten, and so are those of an empty log.
            latest_epoch: match self.log_start() < self.log_end() {
                true => self.epoch_of(self.log_end().plus(-1)),
                false => LeaderEpoch::NONE,
            },
            size_bytes: self.size_bytes(),
            oldest_timestamp: self.reader.view().segments[0].largest_timestamp(self.interval_bytes())?,
        }))
    }

    fn write_closing_files(&mut self) -> Result<(), LogError> {
        let log_end = self.log_end();
        if self.epochs.is_dirty() {
            self.write_epochs()?;
        }
        let written = self.active.give_room_back().and_then(|()| self.active.write_index_files()).and_then(|()| {
            self.active.set_rolled();
            self.active.sync()
        });
        written.map_err(LogError::io(&self.active.path(FileKind::OffsetIndex)))?;
        if !self.snapshots.contains(&log_end) && log_end > self.log_start() {
            let snapshot = self.producers.encode();
            let path = self.write_snapshot(log_end, &snapshot)?;
            crate::segment::sync_if_there(&self.fs, &path).map_err(LogError::io(&path))?;
        }
        self.fs.sync_dir(self.reader.dir()).map_err(LogError::io(self.reader.dir()))
    }

    /// Makes the leader epochs durable. To be called before the first append after they changed.
    fn write_epochs(&mut self) -> Result<(), LogError> {
        let path = self.reader.dir().join(LEADER_EPOCH_CHECKPOINT);
        let content = self.epochs.encode();
        // Of a log that no flush has made durable yet, nothing is believed after a crash that lost this file or a part of it.
        let written = match self.flush.is_home_durable() || self.log_end() > Offset::ZERO {
            true => self.fs.write_atomic(&path, content.as_bytes()),
            false => self.fs.open(&path, FileMode::Truncate).and_then(|file| file.write_all_at(content.as_bytes(), 0)),
        };
        written.map_err(LogError::io(&path))?;
        self.epochs.on_persisted();
        Ok(())
    }

    fn read_first_timestamp(&self) -> Result<Timestamp, LogError> {
        let first = self.active.walk(0)?.next_header()?;
        Ok(first.map_or(Timestamp::NONE, |(_, header)| header.max_timestamp))
    }

    pub(crate) fn fs(&self) -> &Fs {
        &self.fs
    }

    /// Takes away a file of a deleted segment, at once or after `file.delete.delay.ms`.
    pub(crate) fn take_away(&self, path: &Path, now: Timestamp) -> std::io::Result<()> {
        self.doomed.take_away(&self.fs, path, now, self.config.file_delete_delay_ms)
    }

    pub(crate) fn health(&self) -> &Arc<DirectoryHealth> {
        &self.health
    }

    pub(crate) fn reader_ref(&self) -> &Arc<LogReader> {
        &self.reader
    }

    pub(crate) fn snapshots_mut(&mut self) -> &mut BTreeSet<Offset> {
        &mut self.snapshots
    }

    pub(crate) fn remembered_batches(&self) -> RememberedBatches {
        self.producers.remembered_batches()
    }

    /// Writes what is flushed to the checkpoint.
    pub(crate) fn persist_durable_mark(&self) -> Result<(), LogError> {
        self.health.watch(self.checkpoints.persist_marks(&self.partition))
    }

    pub(crate) fn cleaner_offset(&self) -> Option<Offset> {
        self.checkpoints.cleaner_offset(&self.partition)
    }

    pub(crate) fn set_cleaner_offset(&self, offset: Offset) -> Result<(), LogError> {
        self.checkpoints.set_cleaner_offset(&self.partition, offset)
    }

    #[cfg(test)]
    pub(crate) fn producers_for_tests(&self) -> &ProducerStates {
        &self.producers
    }

    /// Producer state made from all batches in the log, without snapshots.
    #[cfg(test)]
    pub(crate) fn producers_from_batches(&self) -> Result<ProducerStates, LogError> {
        let mut producers = ProducerStates::default();
        let (segments, reading) = (&self.reader.view().segments, (self.interval_bytes(), Timestamp::NONE));
        crate::recovery::replay_producers(
            segments,
            Offset::ZERO,
            self.log_end(),
            Offset::ZERO,
            &mut producers,
            reading,
        )?;
        Ok(producers)
    }

    fn interval_bytes(&self) -> u64 {
        self.config.index_interval_bytes
    }
}

#[cfg(test)]
mod tests;
