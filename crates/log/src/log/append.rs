//! Appending, as leader and as follower.

use std::io::IoSlice;

use bytes::Bytes;
use highwater_records::{
    BatchHeader, EndTransactionMarker, HEADER_LENGTH, RecordBatch, ValidatedBatch, patched_header, split_batches,
};
use highwater_types::{LeaderEpoch, Offset, Timestamp};

use super::Log;
use crate::error::{AppendError, LogError, is_disk_full};
use crate::file_names::FileKind;
use crate::producers::Verdict;
use crate::room::MAX_BATCH_BYTES;
use crate::segment::indexed;
use crate::segment_index::IndexedBatch;

/// Answer to a leader's append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderAppend {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// When the log took it, if the topic's timestamps are `LogAppendTime`; else -1.
    pub append_time: Timestamp,
    /// The log start offset.
    pub log_start: Offset,
    /// True if nothing was written, because the batch is in the log already: the offsets are the original's.
    pub duplicate: bool,
    /// Whether a segment was completed. It waits for a flush, also where none is asked for otherwise.
    pub rolled: bool,
}

/// Answer to a follower's append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerAppend {
    /// The log end offset.
    pub log_end: Offset,
    /// Whether a segment was completed. It waits for a flush, also where none is asked for otherwise.
    pub rolled: bool,
}

/// A replicated batch, ready to be written.
struct Replicated {
    header: BatchHeader,
    marker: Option<EndTransactionMarker>,
}

impl Log {
    /// Appends a client's or coordinator's batch with the next offsets, in one write of a new header and the untouched body.
    /// Readers of the log end see it on return; it is not durable before a flush.
    ///
    /// # Errors
    /// Nothing was appended.
    ///
    /// # Panics
    /// If a newer leader epoch is in the log: only a replica that was told to lead may call this.
    pub fn append_leader(
        &mut self,
        batch: &ValidatedBatch,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<LeaderAppend, AppendError> {
        self.health.check()?;
        if let Verdict::Duplicate(original) = self.check_sequence(batch.header(), epoch, now)? {
            let append_time = if self.config.log_append_time { original.timestamp } else { Timestamp::NONE };
            return Ok(LeaderAppend {
                base_offset: original.base_offset(),
                last_offset: original.last_offset,
                append_time,
                log_start: self.log_start(),
                duplicate: true,
                rolled: false,
            });
        }
        let size = batch.size_in_bytes() as u64;
        if size > self.config.segment_bytes {
            return Err(AppendError::BatchTooLarge { size, limit: self.config.segment_bytes });
        }
        let marker = match batch.header().is_control() {
            true => read_marker(&RecordBatch::parse_without_crc(batch.bytes()).map_err(corrupt)?)?,
            false => None,
        };
        self.epochs.assign(epoch, self.log_end());
        self.persist_epochs()?;

        let append_time = self.config.log_append_time.then_some(now);
        let patched = patched_header(batch, self.log_end(), epoch, append_time);
        let header = BatchHeader::parse(&patched).map_err(corrupt)?;
        let rolled = self.maybe_roll(&header, 0, now)?;
        let placed = indexed(&header, self.active.size());
        self.write(&[IoSlice::new(&patched), IoSlice::new(&batch.bytes()[HEADER_LENGTH..])], &[placed])?;
        self.take_in(&header, marker.as_ref(), now);
        let pieces = [&patched[..], &batch.bytes()[HEADER_LENGTH..]];
        self.tails.append(self.reader.tail(), header.base_offset, header.next_offset(), pieces);
        self.reader.publish_log_end(header.next_offset());
        Ok(LeaderAppend {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            append_time: append_time.unwrap_or(Timestamp::NONE),
            log_start: self.log_start(),
            duplicate: false,
            rolled,
        })
    }

    /// Batches were refused that are to come again. What their producers sent after them may come first.
    pub fn on_refusal(&mut self) {
        self.producers.on_refusal();
    }

    /// Judges a client's batch. A gap is not told from a disorder that refusals made before time has shown which it is.
    fn check_sequence(
        &mut self,
        header: &BatchHeader,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Verdict, AppendError> {
        let verdict = self.producers.check(header);
        let Err(AppendError::OutOfOrderSequence { producer_id, epoch: producer_epoch, last, found }) = verdict else {
            return verdict;
        };
        let is_former = |offset| self.epochs.epoch_of(offset) < epoch;
        match self.producers.may_precede(header, epoch, is_former, now) {
            true => Err(AppendError::PrecedingBatchMissing { producer_id, epoch: producer_epoch, last, found }),
            false => verdict,
        }
    }

    /// Appends batches as the leader's log has them: with offsets and epochs. Their CRCs are checked; offsets must go on
    /// from the log end or leave a gap, as compaction does. The first batch of an empty log may begin before it: the records
    /// below the log start are deleted, but batches are never split.
    ///
    /// # Errors
    /// Nothing was appended, but for [`AppendError::Log`] and [`AppendError::DiskFull`], where a prefix may have been.
    pub fn append_follower(&mut self, batches: &Bytes, now: Timestamp) -> Result<FollowerAppend, AppendError> {
        self.health.check()?;
        if let Some(base) = self.begins_before_start(batches) {
            return self.append_across_start(base, batches, now);
        }
        let replicated = self.check_replicated(batches)?;
        if !replicated.is_empty() {
            // An epoch in which this replica led and wrote nothing gives way to those of the batches.
            self.epochs.truncate_from_end(self.log_end());
        }
        for batch in &replicated {
            self.epochs.assign(batch.header.partition_leader_epoch, batch.header.base_offset);
        }
        let appended = self.persist_epochs().and_then(|()| self.append_replicated(batches, &replicated, now));
        if appended.is_err() {
            // Epochs of batches that did not make it.
            self.epochs.truncate_from_end(self.log_end());
        }
        Ok(FollowerAppend { log_end: self.log_end(), rolled: appended? })
    }

    /// Where the first batch begins, if the log is empty and starts within it.
    fn begins_before_start(&self, batches: &Bytes) -> Option<Offset> {
        let start = self.log_start();
        if start != self.log_end() {
            return None;
        }
        let first = split_batches(batches).next()?.ok()?;
        let header = first.header();
        (header.base_offset < start && start < header.next_offset()).then_some(header.base_offset)
    }

    /// Begins anew at `base`, so that the file names tell where the batches are, and keeps the log start: durable on return,
    /// because no file name tells it any more. Blocks for the disk.
    fn append_across_start(
        &mut self,
        base: Offset,
        batches: &Bytes,
        now: Timestamp,
    ) -> Result<FollowerAppend, AppendError> {
        let start = self.log_start();
        self.truncate_fully_and_start_at(base, now)?;
        let appended = self.append_follower(batches, now);
        if appended.is_err() {
            self.truncate_fully_and_start_at(start, now)?;
            return appended;
        }
        self.set_log_start(start)?;
        self.flush.flush()?;
        self.persist_durable_mark()?;
        appended
    }

    /// Splits and checks everything before anything is written.
    fn check_replicated(&self, batches: &Bytes) -> Result<Vec<Replicated>, AppendError> {
        let mut end = self.log_end();
        let mut latest = self.epochs.epoch_of(end.plus(-1));
        let mut replicated = Vec::new();
        for batch in split_batches(batches) {
            let batch = batch.map_err(corrupt)?;
            let header = *batch.header();
            if header.base_offset < end {
                return Err(AppendError::UnexpectedOffset { found: header.base_offset, log_end: end });
            }
            if header.partition_leader_epoch < latest {
                return Err(AppendError::EpochGoesBack { found: header.partition_leader_epoch, latest });
            }
            (end, latest) = (header.next_offset(), header.partition_leader_epoch);
            replicated.push(Replicated { header, marker: read_marker(&batch)? });
        }
        Ok(replicated)
    }

    /// Writes the batches, in one write per segment. Returns whether a segment was rolled.
    fn append_replicated(
        &mut self,
        batches: &Bytes,
        replicated: &[Replicated],
        now: Timestamp,
    ) -> Result<bool, AppendError> {
        let mut rolled = false;
        let (mut first, mut start, mut end) = (0, 0, 0);
        for (number, batch) in replicated.iter().enumerate() {
            if self.must_roll(&batch.header, (end - start) as u64, now) {
                self.append_group(&batches[start..end], &replicated[first..number], now)?;
                (first, start) = (number, end);
                rolled |= self.roll_for(&batch.header, now)?;
            }
            end += batch.header.size_in_bytes();
        }
        self.append_group(&batches[start..end], &replicated[first..], now)?;
        Ok(rolled)
    }

    /// Writes neighbouring batches into the active segment.
    fn append_group(&mut self, bytes: &[u8], group: &[Replicated], now: Timestamp) -> Result<(), AppendError> {
        let Some(last) = group.last() else { return Ok(()) };
        let mut position = self.active.size();
        let mut placed = Vec::with_capacity(group.len());
        for batch in group {
            placed.push(indexed(&batch.header, position));
            position += batch.header.size_in_bytes() as u64;
        }
        // Followers are read from by nobody, and what was cached before would leave a gap.
        self.reader.tail().clear();
        self.write(&[IoSlice::new(bytes)], &placed)?;
        for batch in group {
            self.take_in(&batch.header, batch.marker.as_ref(), now);
        }
        self.reader.publish_log_end(last.header.next_offset());
        Ok(())
    }

    fn persist_epochs(&mut self) -> Result<(), AppendError> {
        if !self.epochs.is_dirty() {
            return Ok(());
        }
        match self.write_epochs() {
            Err(LogError::Io { source, .. }) if is_disk_full(&source) => Err(AppendError::DiskFull),
            result => Ok(self.health.watch(result)?),
        }
    }

    /// Writes behind the last batch and shows the bytes to readers of the segment. A write that the full disk cut short is
    /// taken back; any other failure takes the directory out of service.
    fn write(&mut self, buffers: &[IoSlice<'_>], batches: &[IndexedBatch]) -> Result<(), AppendError> {
        let path = || self.active.path(FileKind::Log);
        let flushed_one_by_one = self.flush.is_flushed_one_by_one();
        let written = self.active.write(buffers).and_then(|()| match batches {
            [batch] if flushed_one_by_one && batch.size <= MAX_BATCH_BYTES => {
                self.active.write_room(batch.position + batch.size)
            }
            _ => Ok(()),
        });
        let Err(source) = written else {
            self.active.publish(batches, self.config.index_interval_bytes);
            return Ok(());
        };
        // What was written of the batch must go: left behind a shorter one, it could be taken for a batch after a crash.
        let taken_back = self.active.cut_file(self.active.size());
        if is_disk_full(&source) && taken_back.is_ok() {
            return Err(AppendError::DiskFull);
        }
        Ok(self.health.watch(Err(LogError::Io { path: path(), source }))?)
    }

    /// What a batch in the log changes besides the file.
    fn take_in(&mut self, header: &BatchHeader, marker: Option<&EndTransactionMarker>, now: Timestamp) {
        if self.first_timestamp == Timestamp::NONE {
            self.first_timestamp = header.max_timestamp;
        }
        if let Some(ended) = self.producers.apply(header, marker, now) {
            self.active.on_transaction_ended(&ended);
        }
    }
}

fn read_marker(batch: &RecordBatch) -> Result<Option<EndTransactionMarker>, AppendError> {
    EndTransactionMarker::from_batch(batch).map_err(corrupt)
}

fn corrupt(error: highwater_records::BatchError) -> AppendError {
    AppendError::Corrupt(error.to_string())
}
