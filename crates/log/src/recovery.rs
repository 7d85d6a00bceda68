//! Opening a log: what is believed, what is read again, what is cut off.
//!
//! ```text
//! first base <= log start <= durable mark (recovery point) <= log end
//! ```
//! After a clean shutdown everything is believed. After a crash, the segments that end below the durable mark are believed;
//! the one that holds it and all behind it are read in full. What is damaged or missing above the mark was never flushed: it
//! and all behind it is cut off (S2). Below the mark it is [`LogError::Corrupt`], and nothing on disk is changed.
//!
//! A segment is believed only if the next one starts *below* the mark: a flush that ends exactly where a segment ends may
//! have been made before the roll, and says nothing about the index files.
//!
//! Architecture invariant: a second recovery, with no append in between, finds what the first left and changes nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use highwater_env::{Fs, OpenMode as FileMode};
use highwater_records::{BatchHeader, EndTransactionMarker, RecordBatch};
use highwater_types::{LeaderEpoch, Offset, Timestamp};

use crate::batch_scan::{BatchScan, Scanned};
use crate::error::{LogError, ReadError, is_disk_full};
use crate::file_names::{FileKind, LEADER_EPOCH_CHECKPOINT};
use crate::header_walk::HeaderWalk;
use crate::leader_epochs::LeaderEpochs;
use crate::partition_files::PartitionFiles;
use crate::producers::ProducerStates;
use crate::segment::{Segment, indexed, remove_if_there};
use crate::segment_index::SegmentIndex;
use crate::swap::{SWAP_SUFFIX, complete_swap, with_suffix};
use crate::transaction_index::TransactionIndex;
use crate::transaction_scan::with_transactions;

/// How a log is to be opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenMode {
    /// Whether the directory was made just now: it becomes durable with the log's first flush.
    pub(crate) fresh: bool,
    /// Whether the log was closed properly the last time.
    pub(crate) clean: bool,
    /// Everything below had been flushed.
    pub(crate) recovery_point: Offset,
    /// Log start offset as checkpointed.
    pub(crate) log_start: Offset,
    /// High watermark as checkpointed: everything below is committed.
    pub(crate) high_watermark: Offset,
    /// `index.interval.bytes`.
    pub(crate) interval_bytes: u64,
    /// Wall clock.
    pub(crate) now: Timestamp,
}

/// A log's state as found on disk.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Never empty; the last one is active, with its index in memory.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) log_start: Offset,
    pub(crate) log_end: Offset,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: ProducerStates,
    /// Offsets of the snapshot files.
    pub(crate) snapshots: BTreeSet<Offset>,
}

/// Reads the partition directory `dir`. On return everything in the log is durable.
pub(crate) fn recover(fs: &Fs, dir: &Arc<Path>, mode: &OpenMode) -> Result<Recovered, LogError> {
    Recovery::new(fs, dir, mode)?.run()
}

/// A segment read in full.
struct ScannedSegment {
    index: SegmentIndex,
    transactions: TransactionIndex,
    /// Bytes of intact batches at its start.
    size: u64,
    /// The offset behind them.
    end: Offset,
    damage: Option<String>,
    /// Producer state where the segment begins, as in a snapshot file.
    producers_at_base: Vec<u8>,
}

impl ScannedSegment {
    /// Notes why nothing from `position` on is taken in.
    fn stop(&mut self, position: u64, reason: String, segment: &Segment) {
        self.damage = Some(format!("{} at byte {position}: {reason}", segment.path(FileKind::Log).display()));
    }
}

struct Recovery<'a> {
    fs: &'a Fs,
    dir: &'a Arc<Path>,
    mode: &'a OpenMode,
    segments: Vec<Arc<Segment>>,
    indexed: BTreeSet<Offset>,
    snapshots: BTreeSet<Offset>,
    epochs: LeaderEpochs,
    producers: ProducerStates,
    /// Whether directory entries were changed.
    dir_changed: bool,
}

impl<'a> Recovery<'a> {
    fn new(fs: &'a Fs, dir: &'a Arc<Path>, mode: &'a OpenMode) -> Result<Self, LogError> {
        let mut files = PartitionFiles::read(fs, dir)?;
        if !files.swaps.is_empty() {
            for &base in &files.swaps {
                finish_swap(fs, dir, base, &files.segments, mode.recovery_point)?;
            }
            files = PartitionFiles::read(fs, dir)?;
        }
        for path in &files.left_over {
            remove_if_there(fs, path).map_err(LogError::io(path))?;
        }
        let open = |&base: &Offset| {
            Segment::open(fs, dir, base).map(Arc::new).map_err(LogError::io(&FileKind::Log.path(dir, base)))
        };
        let segments = files.segments.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            fs,
            dir,
            mode,
            segments,
            indexed: files.indexed,
            snapshots: files.snapshots,
            epochs: LeaderEpochs::default(),
            producers: ProducerStates::default(),
            dir_changed: !files.left_over.is_empty(),
        })
    }

    fn run(mut self) -> Result<Recovered, LogError> {
        let checkpointed_start = self.mode.log_start;
        let Some(last) = self.segments.len().checked_sub(1) else {
            self.check_against_mark(Offset::ZERO, "no segment is left")?;
            return self.start_anew(checkpointed_start);
        };
        self.load_epochs()?;
        let quick_end = if self.mode.clean { self.believe_last_segment()? } else { None };
        let log_end = match quick_end {
            Some(log_end) => {
                self.load_producers(log_end, log_end)?;
                log_end
            }
            None if self.mode.clean => self.scan_from(last)?,
            None => self.scan_from(self.first_unbelieved())?,
        };
        if log_end < checkpointed_start {
            return self.start_anew(checkpointed_start);
        }
        self.complete_index_files()?;
        self.remove_snapshots_beyond(log_end)?;
        self.sync_dir()?;
        let log_start = checkpointed_start.max(self.segments[0].base());
        self.epochs.truncate_from_start(log_start);
        self.epochs.truncate_from_end(log_end);
        Ok(Recovered {
            segments: self.segments,
            log_start,
            log_end,
            epochs: self.epochs,
            producers: self.producers,
            snapshots: self.snapshots,
        })
    }

    /// The first segment whose successor starts at or above the durable mark.
    fn first_unbelieved(&self) -> usize {
        let successors = self.segments.iter().skip(1);
        successors.take_while(|next| next.base() < self.mode.recovery_point).count()
    }

    /// An empty log from `start` on, in place of whatever is there.
    fn start_anew(mut self, start: Offset) -> Result<Recovered, LogError> {
        for segment in std::mem::take(&mut self.segments).into_iter().rev() {
            segment.remove_files().map_err(LogError::io(self.dir))?;
        }
        self.remove_snapshots_beyond(Offset::NONE)?;
        let active = Segment::create(self.fs, self.dir, start).map_err(LogError::io(self.dir))?;
        if !self.mode.fresh {
            self.dir_changed = true;
            self.sync_dir()?;
            active.set_entry_durable();
        }
        Ok(Recovered {
            segments: vec![Arc::new(active)],
            log_start: start,
            log_end: start,
            epochs: LeaderEpochs::default(),
            producers: ProducerStates::default(),
            snapshots: BTreeSet::new(),
        })
    }

    /// After a clean shutdown: takes the last segment's index from its file and walks from its last entry to the log end.
    /// `None` if the files are not what a clean shutdown leaves.
    fn believe_last_segment(&mut self) -> Result<Option<Offset>, LogError> {
        let segment = self.segments.last().expect("there is a segment");
        let Some(mut index) = segment.load_index()? else { return Ok(None) };
        let start = index.rewind(Offset(i64::MAX));
        let mut walk = segment.walk(start)?;
        let mut end = segment.base();
        loop {
            match walk.next_header() {
                Ok(Some((position, header))) => {
                    index.replay(indexed(&header, position), self.mode.interval_bytes);
                    end = header.next_offset();
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "the last segment is not as a clean shutdown leaves it; reading it in full");
                    return Ok(None);
                }
            }
        }
        if end < self.mode.recovery_point {
            return Ok(None);
        }
        match with_transactions(&self.segments, self.segments.len() - 1, TransactionIndex::clone) {
            Ok(transactions) => segment.reactivate(segment.size(), index, transactions),
            Err(error) => {
                tracing::warn!(%error, "the last segment cannot be read as a clean shutdown leaves it; reading it in full");
                return Ok(None);
            }
        }
        Ok(Some(end))
    }

    /// Reads the segments from number `first` on, cuts off what is damaged above the durable mark, and returns the log end.
    fn scan_from(&mut self, first: usize) -> Result<Offset, LogError> {
        let start = self.segments[first].base();
        self.load_producers(start, start)?;
        let mut end = start;
        let mut scanned = Vec::new();
        let mut damage = None;
        let mut latest_epoch = LeaderEpoch::NONE;
        for number in first..self.segments.len() {
            let segment = self.segments[number].clone();
            // A gap below the durable mark is what compaction took: all that was there had been flushed.
            if segment.base() != end && segment.base() > self.mode.recovery_point {
                damage = Some(format!("the segment before {} ends at {end}", segment.base()));
                break;
            }
            let limit = self.segments.get(number + 1).map_or(Offset(i64::MAX), |next| next.base());
            let result = self.scan_segment(&segment, limit, &mut latest_epoch)?;
            end = result.end;
            damage.clone_from(&result.damage);
            scanned.push(result);
            if damage.is_some() {
                break;
            }
        }
        self.check_against_mark(end, damage.as_deref().unwrap_or("batches are missing at the end"))?;
        if let Some(reason) = damage {
            tracing::warn!(log = %self.dir.display(), log_end = %end, reason, "cut off an unflushed tail");
        }
        self.settle(first, scanned)?;
        Ok(end)
    }

    /// `limit` is where the next segment begins.
    ///
    /// A batch's offset is not in its checksum. So a batch that leaves a gap is not believed if the one behind it has its place in
    /// the gap, and not at all if it jumps over the durable mark: that is where a batch ended, and compaction moves the mark first.
    /// One behind it that has no place at all says nothing: it may be unflushed and torn, and this one flushed.
    fn scan_segment(
        &mut self,
        segment: &Arc<Segment>,
        limit: Offset,
        latest_epoch: &mut LeaderEpoch,
    ) -> Result<ScannedSegment, LogError> {
        let mut scan = BatchScan::new(segment, 0)?;
        let mut scanned = ScannedSegment {
            index: SegmentIndex::new(segment.base()),
            transactions: TransactionIndex::default(),
            size: 0,
            end: segment.base(),
            damage: None,
            producers_at_base: self.producers.encode(),
        };
        let mut held: Option<(u64, RecordBatch)> = None;
        loop {
            let next = scan.next_batch()?;
            if let Some((position, batch)) = held.take() {
                if let Scanned::Batch(_, next) = &next
                    && (scanned.end..batch.header().next_offset()).contains(&next.header().base_offset)
                {
                    let (found, behind) = (batch.header().base_offset, next.header().base_offset);
                    scanned.stop(position, format!("a batch from {found} on, with {behind} behind it"), segment);
                    break;
                }
                self.take_in(&mut scanned, position, &batch);
            }
            let (position, batch) = match next {
                Scanned::Batch(position, batch) => (position, batch),
                Scanned::End => break,
                // Behind the last batch there may be room that was written ahead.
                Scanned::Damaged(_) if limit == Offset(i64::MAX) && scan.rest_is_blank()? => break,
                Scanned::Damaged(reason) => {
                    scanned.stop(scan.position(), reason, segment);
                    break;
                }
            };
            let header = batch.header();
            let checked = check_place(header, segment.base(), (scanned.end, limit), *latest_epoch)
                .and_then(|()| self.check_gap(header, scanned.end))
                .and_then(|()| EndTransactionMarker::from_batch(&batch).map_err(|error| error.to_string()));
            if let Err(reason) = checked {
                scanned.stop(position, reason, segment);
                break;
            }
            *latest_epoch = header.partition_leader_epoch;
            match header.base_offset > scanned.end {
                true => held = Some((position, batch)),
                false => self.take_in(&mut scanned, position, &batch),
            }
        }
        Ok(scanned)
    }

    fn check_gap(&self, header: &BatchHeader, end: Offset) -> Result<(), String> {
        let mark = self.mode.recovery_point;
        match end < mark && mark < header.base_offset {
            true => Err(format!("a batch from {} on, where {end} comes next", header.base_offset)),
            false => Ok(()),
        }
    }

    /// Takes in a batch that is where it belongs.
    fn take_in(&mut self, scanned: &mut ScannedSegment, position: u64, batch: &RecordBatch) {
        let header = batch.header();
        if header.partition_leader_epoch > self.epochs.latest() {
            self.epochs.assign(header.partition_leader_epoch, header.base_offset);
        }
        // It was read when the batch was checked.
        let marker = EndTransactionMarker::from_batch(batch).unwrap_or(None);
        if let Some(ended) = self.producers.apply(header, marker.as_ref(), self.mode.now) {
            scanned.transactions.on_ended(&ended);
        }
        scanned.index.append(indexed(header, position), self.mode.interval_bytes);
        scanned.size = position + header.size_in_bytes() as u64;
        scanned.end = header.next_offset();
    }

    /// Puts on disk what the scan decided: removes the segments behind the cut, cuts the last one, makes all durable.
    fn settle(&mut self, first: usize, scanned: Vec<ScannedSegment>) -> Result<(), LogError> {
        let removed = self.segments.split_off(first + scanned.len());
        for segment in removed.iter().rev() {
            segment.remove_files().map_err(LogError::io(self.dir))?;
            self.dir_changed = true;
        }
        // Unflushed snapshots may be torn, and those behind the cut tell of what is gone.
        let start = self.segments[first].base();
        remove_snapshots(self.fs, self.dir, &mut self.snapshots, |offset| offset > start)?;
        // Before the cut: were the removal lost in another crash, a segment would stand behind a hole.
        self.sync_dir()?;
        let last = self.segments.len() - 1;
        for (number, result) in (first..).zip(scanned) {
            let segment = self.segments[number].clone();
            let path = segment.path(FileKind::Log);
            if result.size < segment.size() {
                segment.cut_file(result.size).map_err(LogError::io(&path))?;
            }
            if number > 0 && !self.snapshots.contains(&segment.base()) {
                self.write_snapshot(segment.base(), &result.producers_at_base)?;
            }
            segment.reactivate(result.size, result.index, result.transactions);
            if number < last {
                if unless_full(segment.write_index_files()).map_err(LogError::io(&path))? {
                    self.indexed.insert(segment.base());
                }
                segment.set_rolled();
            }
            segment.sync().map_err(LogError::io(&path))?;
            if number < last {
                segment.unload_index();
            }
        }
        // Entries of files made before the crash may be pending still: it may have been the process's and not the machine's.
        self.dir_changed = true;
        Ok(())
    }

    /// Makes a segment's snapshot anew, if there is room: it spares reading the batches once more.
    fn write_snapshot(&mut self, offset: Offset, content: &[u8]) -> Result<(), LogError> {
        let path = FileKind::ProducerSnapshot.path(self.dir, offset);
        let write = || {
            let file = self.fs.open(&path, FileMode::Truncate)?;
            file.write_all_at(content, 0)?;
            file.sync_data()
        };
        if unless_full(write()).map_err(LogError::io(&path))? {
            self.snapshots.insert(offset);
        } else {
            crate::segment::remove_if_there(self.fs, &path).map_err(LogError::io(&path))?;
        }
        Ok(())
    }

    /// Makes the index files anew that are missing of believed segments.
    fn complete_index_files(&mut self) -> Result<(), LogError> {
        for number in 0..self.segments.len() - 1 {
            let segment = &self.segments[number];
            if self.indexed.contains(&segment.base()) {
                continue;
            }
            segment.with_index(self.mode.interval_bytes, |_| ())?;
            with_transactions(&self.segments, number, |_| ())?;
            let written = unless_full(segment.replace_index_files());
            self.dir_changed |= written.map_err(LogError::io(&segment.path(FileKind::OffsetIndex)))?;
            segment.unload_index();
        }
        Ok(())
    }

    /// Reads the epoch checkpoint; a missing or broken one is made anew from the batches.
    fn load_epochs(&mut self) -> Result<(), LogError> {
        let path = self.dir.join(LEADER_EPOCH_CHECKPOINT);
        let text = match self.fs.read(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(LogError::Io { path, source }),
        };
        match text.as_deref().map(LeaderEpochs::parse) {
            Some(Ok(epochs)) => self.epochs = epochs,
            broken => {
                if let Some(Err(error)) = broken {
                    tracing::warn!(path = %path.display(), %error, "rebuilding the leader epochs from the log");
                }
                self.rebuild_epochs()?;
            }
        }
        Ok(())
    }

    fn rebuild_epochs(&mut self) -> Result<(), LogError> {
        for segment in &self.segments {
            let mut walk = segment.walk(0)?;
            // Where the headers end early, the scan that follows finds out why.
            while let Ok(Some((_, header))) = walk.next_header() {
                if header.partition_leader_epoch > self.epochs.latest() {
                    self.epochs.assign(header.partition_leader_epoch, header.base_offset);
                }
            }
        }
        Ok(())
    }

    /// Producer state as of `end`: the newest snapshot not above `newest`, and the batches since.
    fn load_producers(&mut self, newest: Offset, end: Offset) -> Result<(), LogError> {
        let loaded = load_producers(self.fs, self.dir, &mut self.snapshots, newest, self.mode.now)?;
        let (producers, from) = loaded;
        self.producers = producers;
        self.producers.expect_committed(self.mode.high_watermark);
        let durable_mark = self.mode.recovery_point;
        let OpenMode { interval_bytes, now, .. } = *self.mode;
        replay_producers(&self.segments, from, end, durable_mark, &mut self.producers, (interval_bytes, now))
    }

    fn remove_snapshots_beyond(&mut self, log_end: Offset) -> Result<(), LogError> {
        self.dir_changed |= remove_snapshots(self.fs, self.dir, &mut self.snapshots, |offset| offset > log_end)?;
        Ok(())
    }

    /// Fails if the log would end below the durable mark, unless what is missing lies below the log start.
    fn check_against_mark(&self, end: Offset, reason: &str) -> Result<(), LogError> {
        let durable_mark = self.mode.recovery_point;
        if end >= durable_mark || self.mode.log_start >= durable_mark {
            return Ok(());
        }
        let reason = format!("the log ends at {end}: {reason}");
        Err(LogError::Corrupt { path: self.dir.to_path_buf(), durable_mark, reason })
    }

    fn sync_dir(&mut self) -> Result<(), LogError> {
        if std::mem::take(&mut self.dir_changed) {
            self.fs.sync_dir(self.dir).map_err(LogError::io(self.dir))?;
        }
        Ok(())
    }
}

/// Puts a compacted segment in place that a crash kept from it. Its content was durable before it got its name.
fn finish_swap(
    fs: &Fs,
    dir: &Path,
    base: Offset,
    segments: &BTreeSet<Offset>,
    durable_mark: Offset,
) -> Result<(), LogError> {
    let path = with_suffix(&FileKind::Log.path(dir, base), SWAP_SUFFIX);
    let file = fs.open(&path, FileMode::ReadWrite).map_err(LogError::io(&path))?;
    let size = file.len().map_err(LogError::io(&path))?;
    let mut walk = HeaderWalk::new(Arc::new(file), path.clone(), base, 0, size);
    let mut end = base;
    loop {
        match walk.next_header() {
            Ok(Some((_, header))) => end = header.next_offset(),
            Ok(None) => break,
            Err(ReadError::Corrupt { position, reason, .. }) => {
                return Err(LogError::Corrupt { path, durable_mark, reason: format!("at byte {position}: {reason}") });
            }
            Err(error) => return Err(error.into()),
        }
    }
    let replaced: Vec<Offset> = segments.iter().copied().filter(|offset| base < *offset && *offset < end).collect();
    complete_swap(fs, dir, base, &replaced, |path| remove_if_there(fs, path)).map_err(LogError::io(dir))
}

/// Fails, with the reason, if an intact batch cannot be at this place of the log.
fn check_place(
    header: &BatchHeader,
    base: Offset,
    (end, limit): (Offset, Offset),
    latest_epoch: LeaderEpoch,
) -> Result<(), String> {
    let epoch = header.partition_leader_epoch;
    if header.base_offset < end {
        Err(format!("a batch from {} on, where {end} comes next", header.base_offset))
    } else if header.next_offset() > limit {
        Err(format!("a batch to {}, where the next segment begins at {limit}", header.last_offset()))
    } else if header.last_offset().get() - base.get() > i64::from(i32::MAX) {
        Err(format!("a batch to {}, too far from the segment's base", header.last_offset()))
    } else if epoch < latest_epoch {
        Err(format!("a batch of epoch {epoch} after one of epoch {latest_epoch}"))
    } else {
        Ok(())
    }
}

/// The newest producer snapshot at or below `newest` that can be read, and its offset; broken ones are removed.
pub(crate) fn load_producers(
    fs: &Fs,
    dir: &Path,
    snapshots: &mut BTreeSet<Offset>,
    newest: Offset,
    now: Timestamp,
) -> Result<(ProducerStates, Offset), LogError> {
    while let Some(&offset) = snapshots.range(..=newest).next_back() {
        let path = FileKind::ProducerSnapshot.path(dir, offset);
        let bytes = fs.read(&path).map_err(LogError::io(&path))?;
        match ProducerStates::decode(&bytes, now) {
            Ok(producers) => return Ok((producers, offset)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "removing a broken producer snapshot");
                fs.remove_file(&path).map_err(LogError::io(&path))?;
                snapshots.remove(&offset);
            }
        }
    }
    Ok((ProducerStates::default(), Offset::ZERO))
}

/// Applies the batches in `from..end` to `producers`, which count as used `now`.
pub(crate) fn replay_producers(
    segments: &[Arc<Segment>],
    from: Offset,
    end: Offset,
    durable_mark: Offset,
    producers: &mut ProducerStates,
    (interval_bytes, now): (u64, Timestamp),
) -> Result<(), LogError> {
    if from >= end {
        return Ok(());
    }
    let floor = segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
    for segment in &segments[floor..] {
        if segment.base() >= end {
            break;
        }
        let start = segment.with_index(interval_bytes, |index| index.position_before(from))?;
        let mut scan = BatchScan::new(segment, start)?;
        loop {
            let batch = match scan.next_batch()? {
                Scanned::Batch(_, batch) if batch.header().base_offset >= end => break,
                Scanned::Batch(_, batch) => batch,
                Scanned::End => break,
                Scanned::Damaged(reason) => {
                    let reason = format!("at byte {}: {reason}", scan.position());
                    return Err(LogError::Corrupt { path: segment.path(FileKind::Log), durable_mark, reason });
                }
            };
            if batch.header().base_offset >= from {
                apply_batch(producers, &batch, now, segment, durable_mark)?;
            }
        }
    }
    Ok(())
}

fn apply_batch(
    producers: &mut ProducerStates,
    batch: &RecordBatch,
    now: Timestamp,
    segment: &Segment,
    durable_mark: Offset,
) -> Result<(), LogError> {
    let marker = EndTransactionMarker::from_batch(batch).map_err(|error| LogError::Corrupt {
        path: segment.path(FileKind::Log),
        durable_mark,
        reason: error.to_string(),
    })?;
    producers.apply(batch.header(), marker.as_ref(), now);
    Ok(())
}

/// Removes the snapshots whose offset `doomed` names. Returns whether there were any.
pub(crate) fn remove_snapshots(
    fs: &Fs,
    dir: &Path,
    snapshots: &mut BTreeSet<Offset>,
    doomed: impl Fn(Offset) -> bool,
) -> Result<bool, LogError> {
    let removed: Vec<Offset> = snapshots.iter().copied().filter(|&offset| doomed(offset)).collect();
    for &offset in &removed {
        let path = FileKind::ProducerSnapshot.path(dir, offset);
        remove_if_there(fs, &path).map_err(LogError::io(&path))?;
        snapshots.remove(&offset);
    }
    Ok(!removed.is_empty())
}

/// Whether something was written that can be made anew at any time: a full disk must not keep a log from being opened (S5).
fn unless_full(written: std::io::Result<()>) -> std::io::Result<bool> {
    match written {
        Err(error) if is_disk_full(&error) => Ok(false),
        written => written.map(|()| true),
    }
}
