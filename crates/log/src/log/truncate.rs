//! Cutting off the end of a log, or all of it.
//!
//! The order of steps, each of which a crash may follow:
//! 1. readers and the flusher are told, and the durable mark on disk is lowered: bytes above it may be torn from now on;
//! 2. whole segments are removed, newest first, and that is made durable: a crash leaves no hole;
//! 3. the segment that remains is cut, and that is made durable: otherwise old batches could come back behind new ones;
//! 4. the epoch cache and the producer state are cut in memory. Their files may be behind: snapshots beyond the end are
//!    removed in step 2, epochs beyond it are ignored when the log is opened and rewritten before the next append.

use std::sync::Arc;

use highwater_types::{Offset, Timestamp, TopicPartition};

use super::Log;
use crate::checkpoints::Checkpoints;
use crate::error::LogError;
use crate::file_names::FileKind;
use crate::recovery::{load_producers, remove_snapshots, replay_producers};
use crate::segment::{Segment, indexed};
use crate::segment_index::SegmentIndex;
use crate::transaction_index::TransactionIndex;
use crate::transaction_scan::with_transactions;

/// Where to cut.
struct Cut {
    /// Bytes of the segment that remain.
    size: u64,
    /// The offset behind the last remaining batch.
    end: Offset,
    /// The index of what remains.
    index: SegmentIndex,
    transactions: TransactionIndex,
}

impl Log {
    /// Cuts off everything from `offset` on; a batch that holds it goes as a whole, so that the log end can be lower than
    /// `offset` afterwards. Beyond the log end, only epochs without records are forgotten. Blocks for the disk.
    pub fn truncate_to(&mut self, offset: Offset, now: Timestamp) -> Result<(), LogError> {
        self.health.check()?;
        if offset >= self.log_end() {
            self.epochs.truncate_from_end(offset);
            return Ok(());
        }
        if offset < self.reader.view().segments[0].base() {
            return self.truncate_fully_and_start_at(offset, now);
        }
        let health = self.health.clone();
        health.watch(self.cut_at(offset, now))
    }

    fn cut_at(&mut self, offset: Offset, now: Timestamp) -> Result<(), LogError> {
        let mut segments = self.reader.view().segments.clone();
        let floor = self.reader.view().floor(offset);
        let removed = segments.split_off(floor + 1);
        let active = segments[floor].clone();
        let cut = self.find_cut(&segments, offset)?;

        // Around it the list is published twice. Whoever has the old list and finds the segment shorter would go on in a
        // removed one, and skip what is between: so the new list comes first. Whoever has that one and found the segment as
        // long as it was would read on amid the cut: so it is counted as another truncation.
        self.begin_truncation(segments.clone(), cut.end, |checkpoints, name| checkpoints.lower_marks(name, cut.end))?;
        let done = self.carry_out((segments, removed), active, cut, now);
        self.health.watch_half_done(done)
    }

    fn carry_out(
        &mut self,
        (segments, removed): (Vec<Arc<Segment>>, Vec<Arc<Segment>>),
        active: Arc<Segment>,
        cut: Cut,
        now: Timestamp,
    ) -> Result<(), LogError> {
        active.reactivate(cut.size, cut.index, cut.transactions);
        self.reader.publish_truncation(segments, cut.end);
        self.remove_newest_first(&removed)?;
        remove_snapshots(&self.fs, self.reader.dir(), &mut self.snapshots, |snapshot| snapshot > cut.end)?;
        self.fs.sync_dir(self.reader.dir()).map_err(LogError::io(self.reader.dir()))?;
        let path = active.path(FileKind::Log);
        let cut_file = || {
            active.cut_file(cut.size)?;
            active.file()?.sync_all()
        };
        cut_file().map_err(LogError::io(&path))?;

        self.active = active.clone();
        self.flush.end_truncation(active);
        self.active_since = now;
        self.first_timestamp = self.read_first_timestamp()?;
        self.epochs.truncate_from_end(cut.end);
        self.reader.publish_log_start(self.log_start().min(cut.end));
        self.reload_producers(cut.end, now)
    }

    /// Forgets everything and goes on with an empty log at `offset`: what is here has nothing to do with the leader's log.
    /// Blocks for the disk.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset, now: Timestamp) -> Result<(), LogError> {
        self.health.check()?;
        let health = self.health.clone();
        health.watch(self.start_anew(offset, now))
    }

    fn start_anew(&mut self, offset: Offset, now: Timestamp) -> Result<(), LogError> {
        let segments = self.reader.view().segments.clone();
        let end = self.log_start().min(offset);
        self.begin_truncation(segments.clone(), end, Checkpoints::forget_durable_marks)?;
        let done = self.replace_all(&segments, offset, now);
        self.health.watch_half_done(done)
    }

    fn replace_all(&mut self, segments: &[Arc<Segment>], offset: Offset, now: Timestamp) -> Result<(), LogError> {
        self.remove_newest_first(segments)?;
        remove_snapshots(&self.fs, self.reader.dir(), &mut self.snapshots, |_| true)?;
        // Before the new segment, which may have the name of an old one.
        self.fs.sync_dir(self.reader.dir()).map_err(LogError::io(self.reader.dir()))?;
        let path = FileKind::Log.path(self.reader.dir(), offset);
        let active = Arc::new(Segment::create(&self.fs, self.reader.dir(), offset).map_err(LogError::io(&path))?);
        self.fs.sync_dir(self.reader.dir()).map_err(LogError::io(self.reader.dir()))?;
        active.set_entry_durable();
        self.flush.make_home_durable()?;

        self.reader.publish_log_start(offset);
        self.reader.publish_truncation(vec![active.clone()], offset);
        self.flush.restart_at(active.clone());
        self.active = active;
        self.active_since = now;
        self.first_timestamp = Timestamp::NONE;
        self.epochs.clear();
        self.producers.clear();
        Ok(())
    }

    /// Step 1. What a concurrent checkpoint could still write afterwards is at most `end`. Without room for the marks, the log is
    /// as before, but that it has to be flushed once more.
    fn begin_truncation(
        &self,
        segments: Vec<Arc<Segment>>,
        end: Offset,
        lower_marks: impl FnOnce(&Checkpoints, &TopicPartition) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let (before, log_end) = (self.reader.view().segments.clone(), self.log_end());
        self.reader.publish_truncation(segments, end);
        self.flush.begin_truncation(end);
        let lowered = lower_marks(&self.checkpoints, &self.partition);
        if lowered.is_err() {
            self.reader.publish_truncation(before, log_end);
        }
        lowered
    }

    fn remove_newest_first(&self, segments: &[Arc<Segment>]) -> Result<(), LogError> {
        for segment in segments.iter().rev() {
            segment.remove_files().map_err(LogError::io(self.reader.dir()))?;
        }
        Ok(())
    }

    /// Where the last of these segments is to be cut.
    fn find_cut(&self, segments: &[Arc<Segment>], offset: Offset) -> Result<Cut, LogError> {
        let interval_bytes = self.config.index_interval_bytes;
        let last = segments.len() - 1;
        let segment = &segments[last];
        let mut transactions = with_transactions(segments, last, TransactionIndex::clone)?;
        let mut index = segment.with_index(interval_bytes, SegmentIndex::clone)?;
        // The last batch that has an entry and remains, if there is one.
        let start = index.rewind(offset);
        let (mut size, mut end) = (start, segment.base());
        let mut walk = segment.walk(start)?;
        while let Some((position, header)) = walk.next_header()? {
            if header.last_offset() >= offset {
                break;
            }
            let batch = indexed(&header, position);
            index.replay(batch, interval_bytes);
            (size, end) = (position + batch.size, header.next_offset());
        }
        transactions.truncate(end);
        Ok(Cut { size, end, index, transactions })
    }

    /// Producer state as of `end`: from the newest snapshot not above it and the batches since.
    fn reload_producers(&mut self, end: Offset, now: Timestamp) -> Result<(), LogError> {
        if self.producers.is_empty() {
            // Whatever is in the log, no producer in it is remembered.
            let before = std::mem::take(&mut self.producers);
            self.producers.inherit_undecided(before, end);
            return Ok(());
        }
        let (mut producers, from) = load_producers(&self.fs, self.reader.dir(), &mut self.snapshots, end, now)?;
        producers.inherit_undecided(std::mem::take(&mut self.producers), end);
        self.producers = producers;
        let segments = self.reader.view().segments.clone();
        let reading = (self.interval_bytes(), now);
        replay_producers(&segments, from, end, self.flushed(), &mut self.producers, reading)
    }
}
