//! One compaction of one log, done in small steps beside the log's writer.
//!
//! 1. `Survey`: walks over the headers of the dirty part: how many records, which transactions were aborted.
//! 2. `Map`: reads the dirty part and notes the newest offset of each key, until the map is full.
//! 3. `Clean`: writes, for one group of neighbouring segments after the other, what stays of them. Each result is put in
//!    place by [`Log::install_compacted`], under the writer's lock.
//!
//! Segments do not change, so nothing needs the lock before that. If the log was cut or lost segments meanwhile, the
//! result does not fit any more and the pass ends.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use highwater_env::Fs;
use highwater_records::{BatchHeader, EndTransactionMarker, RecordBatch};
use highwater_types::{LeaderEpoch, Offset, ProducerId, Timestamp};

use super::cleaned_segment::CleanedSegment;
use super::dirtiness::CleanRange;
use super::filter::{Filter, Kept};
use super::offset_map::OffsetMap;
use super::transactions::TransactionOutcomes;
use crate::batch_scan::{BatchScan, Scanned, read_batch};
use crate::directory_health::DirectoryHealth;
use crate::error::{CompactionError, LogError, is_disk_full};
use crate::file_names::FileKind;
use crate::flush_target::FlushTarget;
use crate::log::Log;
use crate::producers::ProducerStates;
use crate::recovery::replay_producers;
use crate::segment::Segment;
use crate::transaction_scan::with_transactions;

/// Largest segment file: positions in Kafka's index are `i32`.
const MAX_SEGMENT_BYTES: u64 = i32::MAX as u64;

/// What the node gives a compaction.
#[derive(Debug, Clone, Copy)]
pub struct CompactionSettings {
    /// `log.cleaner.dedupe.buffer.size`: bytes for the map of keys.
    pub buffer_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`: share of the map that may be used.
    pub load_factor: f64,
    /// Random, so that nobody can look for keys that the map confuses.
    pub hash_key: (u64, u64),
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompactionStats {
    /// Bytes read in all phases.
    pub read_bytes: u64,
    /// Bytes of batches written.
    pub written_bytes: u64,
    /// Bytes of the segments that were replaced.
    pub replaced_bytes: u64,
    /// Bytes of what replaced them.
    pub replacement_bytes: u64,
    /// Batches that stayed because their records cannot be read.
    pub unreadable_batches: u64,
    /// Bytes that the keys took in the map.
    pub map_bytes: usize,
}

/// First offsets of open transactions.
pub(super) type OpenTransactions = BTreeMap<ProducerId, Offset>;

/// Where a compaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompactionStep {
    /// There is more to do.
    Working,
    /// A segment is ready for [`Log::install_compacted`].
    Ready,
    /// All is in place, for [`Log::finish_compaction`].
    Done,
}

/// A compaction in progress. Made by [`Log::begin_compaction`].
pub struct Compaction {
    fs: Fs,
    dir: Arc<Path>,
    health: Arc<DirectoryHealth>,
    flush: Arc<FlushTarget>,
    /// Truncations of the log when it began.
    pub(super) truncations: u64,
    range: CleanRange,
    segment_bytes: u64,
    interval_bytes: u64,
    settings: CompactionSettings,
    filter: Filter,
    /// Producer state by what was kept so far.
    kept: ProducerStates,
    /// Where groups begin that were cleaned since the last one was put in place, and the transactions open there by what was
    /// kept.
    group_starts: Vec<(Offset, OpenTransactions)>,
    phase: Phase,
    stats: CompactionStats,
}

enum Phase {
    Survey { segment: usize, records: usize },
    Map { segment: usize, scan: Option<BatchScan> },
    Clean { next: usize },
    Group(Box<Group>),
    Ready(Box<Group>),
    Done,
}

/// How far a group is.
enum Progress {
    Unfinished,
    /// It is what it would become.
    Unchanged,
    /// Its files are durable, the segments it replaces stay readable when theirs go.
    Ready,
}

/// Segments that become one.
struct Group {
    sources: Range<usize>,
    /// The source that is read, and how far.
    segment: usize,
    scan: Option<BatchScan>,
    cleaned: CleanedSegment,
    /// Bytes of the sources that are still to be read.
    remaining_bytes: u64,
    /// Whether anything went or was rewritten.
    changed: bool,
    /// The last batch, if it went: the group's last one stays, as a header at least, so that a segment always ends where
    /// the next one begins.
    dropped: Option<RecordBatch>,
}

impl Compaction {
    pub(super) fn new(
        log: &Log,
        range: CleanRange,
        truncations: u64,
        settings: CompactionSettings,
        now: Timestamp,
    ) -> Self {
        let filter = Filter {
            map: OffsetMap::new(0, settings.load_factor, 0, settings.hash_key),
            outcomes: TransactionOutcomes::default(),
            remembered: log.remembered_batches(),
            mapped_end: range.first_dirty,
            now,
            delete_retention_ms: log.config().delete_retention_ms,
            seen: BTreeSet::new(),
            leader_epoch: LeaderEpoch::NONE,
            unreadable: 0,
        };
        Self {
            fs: log.fs().clone(),
            dir: log.reader_ref().dir().clone(),
            health: log.health().clone(),
            flush: log.flush_target(),
            truncations,
            segment_bytes: log.config().segment_bytes.min(MAX_SEGMENT_BYTES),
            interval_bytes: log.config().index_interval_bytes,
            phase: Phase::Survey { segment: range.clean, records: 0 },
            range,
            settings,
            filter,
            kept: ProducerStates::default(),
            group_starts: Vec::new(),
            stats: CompactionStats::default(),
        }
    }

    /// What was done so far.
    pub fn stats(&self) -> CompactionStats {
        let (unreadable_batches, map_bytes) = (self.filter.unreadable, self.filter.map.used_bytes());
        CompactionStats { unreadable_batches, map_bytes, ..self.stats }
    }

    /// Everything below is compacted once this is done.
    pub fn end(&self) -> Offset {
        self.filter.mapped_end
    }

    /// Wall clock when it began.
    pub(super) fn now(&self) -> Timestamp {
        self.filter.now
    }

    /// Works until about `max_bytes` were read or written, or something is ready. Blocks for the disk.
    ///
    /// # Errors
    /// The compaction is over, and its unfinished files are gone or will be when the log is opened. The log is as before.
    pub fn advance(&mut self, max_bytes: u64) -> Result<CompactionStep, CompactionError> {
        let limit = self.stats.read_bytes + self.stats.written_bytes + max_bytes;
        loop {
            match self.step() {
                Ok(CompactionStep::Working) if self.stats.read_bytes + self.stats.written_bytes < limit => {}
                Ok(step) => return Ok(step),
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    fn fail(&mut self, error: LogError) -> CompactionError {
        self.abandon();
        match error {
            // Files that vanished with their log are no fault of the disk.
            _ if self.flush.is_retired() => CompactionError::Abandoned,
            LogError::Io { source, .. } if is_disk_full(&source) => CompactionError::DiskFull,
            error => match self.health.watch::<()>(Err(error)) {
                Err(error) => CompactionError::Log(error),
                Ok(()) => CompactionError::Abandoned,
            },
        }
    }

    /// Ends it: what is not in place is removed.
    pub(super) fn abandon(&mut self) {
        if let Phase::Group(group) | Phase::Ready(group) = std::mem::replace(&mut self.phase, Phase::Done) {
            self.range.segments[group.sources.clone()].iter().for_each(|segment| segment.unpin());
            if !self.flush.is_retired()
                && let Err(error) = group.cleaned.discard()
            {
                tracing::warn!(log = %self.dir.display(), %error, "unfinished files of a compaction remain for now");
            }
        }
    }

    fn step(&mut self) -> Result<CompactionStep, LogError> {
        if self.flush.is_retired() {
            // Another log may have its name by now, and its files those of this one.
            return Err(LogError::Offline(self.dir.to_path_buf()));
        }
        match std::mem::replace(&mut self.phase, Phase::Done) {
            Phase::Survey { segment, records } => self.phase = self.survey(segment, records)?,
            Phase::Map { segment, scan } => self.phase = self.map(segment, scan)?,
            Phase::Clean { next } => self.phase = self.next_group(next)?,
            Phase::Group(group) => self.clean(group)?,
            Phase::Ready(group) => {
                self.phase = Phase::Ready(group);
                return Ok(CompactionStep::Ready);
            }
            Phase::Done => return Ok(CompactionStep::Done),
        }
        Ok(CompactionStep::Working)
    }

    /// Surveys one segment.
    fn survey(&mut self, number: usize, mut records: usize) -> Result<Phase, LogError> {
        let Some(segment) = self.range.segments.get(number).cloned() else {
            return self.begin_map(records);
        };
        let mut walk = segment.walk(0)?;
        while let Some((position, header)) = walk.next_header()? {
            if header.next_offset() <= self.range.first_dirty {
                continue;
            }
            records += header.record_count as usize;
            let marker = match header.is_control() {
                true => read_marker(&segment, position, &header)?,
                false => None,
            };
            self.filter.outcomes.add(&header, marker.as_ref());
        }
        self.stats.read_bytes += segment.size();
        Ok(Phase::Survey { segment: number + 1, records })
    }

    /// The part with undecided transactions waits.
    fn begin_map(&mut self, records: usize) -> Result<Phase, LogError> {
        if let Some(undecided) = self.filter.outcomes.first_undecided() {
            let decided = self.range.segments.iter().skip(1).take_while(|next| next.base() <= undecided).count();
            if decided < self.range.segments.len() {
                self.range.end = self.range.segments[decided].base();
                self.range.segments.truncate(decided);
            }
        }
        let CompactionSettings { buffer_bytes, load_factor, hash_key } = self.settings;
        self.filter.map = OffsetMap::new(buffer_bytes, load_factor, records, hash_key);
        self.remember_as_of_end()?;
        Ok(Phase::Map { segment: self.range.clean, scan: None })
    }

    /// What the producers were remembered by where the range ends stays too: a log that loses its tail goes back there.
    fn remember_as_of_end(&mut self) -> Result<(), LogError> {
        let end = self.range.end;
        let snapshot = self.fs.read(&FileKind::ProducerSnapshot.path(&self.dir, end)).ok();
        let decoded = snapshot.and_then(|bytes| ProducerStates::decode(&bytes, self.filter.now).ok());
        let states = match decoded {
            Some(states) => states,
            None => {
                let mut states = ProducerStates::default();
                states.expect_committed(Offset(i64::MAX));
                let (segments, now) = (&self.range.segments, self.filter.now);
                replay_producers(segments, Offset::ZERO, end, end, &mut states, (self.interval_bytes, now))?;
                states
            }
        };
        self.filter.remembered.add(&states);
        Ok(())
    }

    /// Maps one batch.
    fn map(&mut self, number: usize, scan: Option<BatchScan>) -> Result<Phase, LogError> {
        let Some(segment) = self.range.segments.get(number).cloned() else {
            self.filter.mapped_end = self.filter.mapped_end.max(self.range.end);
            return Ok(Phase::Clean { next: 0 });
        };
        let mut scan = match scan {
            Some(scan) => scan,
            None => BatchScan::new(&segment, 0)?,
        };
        let Some((batch, _)) = self.next_batch(&segment, &mut scan)? else {
            return Ok(Phase::Map { segment: number + 1, scan: None });
        };
        let header = batch.header();
        if header.next_offset() > self.range.first_dirty {
            let keys = header.record_count as usize;
            // The first batch is taken in any case: otherwise a map that is too small for it would stop all progress.
            if !self.filter.map.has_room_for(keys) && self.filter.mapped_end > self.range.first_dirty {
                return Ok(Phase::Clean { next: 0 });
            }
            if !header.is_control() && !self.filter.outcomes.is_aborted(header) {
                self.put_keys(&batch);
            }
            self.filter.mapped_end = header.next_offset();
        }
        Ok(Phase::Map { segment: number, scan: Some(scan) })
    }

    /// A batch that cannot be read stays whole, and so do the older records of the keys in it.
    fn put_keys(&mut self, batch: &RecordBatch) {
        let Ok(records) = batch.records() else { return };
        if records.iter().any(|record| record.is_err()) {
            return;
        }
        for record in records.iter().flatten() {
            if let Some(key) = record.key {
                self.filter.map.put(key, record.offset);
            }
        }
    }

    /// Groups neighbouring segments that fit into one. Nothing is left once the mapped part is through.
    fn next_group(&mut self, next: usize) -> Result<Phase, LogError> {
        let Some(first) = self.range.segments.get(next).filter(|first| first.base() < self.filter.mapped_end) else {
            return Ok(Phase::Done);
        };
        if next == 0 {
            first.load_producers(&mut self.kept)?;
            self.kept.expect_committed(Offset(i64::MAX));
        }
        let (base, mut bytes, mut end) = (first.base(), first.size(), next + 1);
        while let Some(segment) = self.range.segments.get(end) {
            let behind = self.range.segments.get(end + 1).map_or(self.range.end, |behind| behind.base());
            let fits = bytes + segment.size() <= self.segment_bytes && behind.get() - base.get() <= i64::from(i32::MAX);
            if !fits || segment.base() >= self.filter.mapped_end {
                break;
            }
            bytes += segment.size();
            end += 1;
        }
        self.group_starts.push((base, self.kept.open_transactions()));
        let cleaned = CleanedSegment::create(&self.fs, &self.dir, base, self.interval_bytes)
            .map_err(LogError::io(&FileKind::Log.path(&self.dir, base)))?;
        Ok(Phase::Group(Box::new(Group {
            sources: next..end,
            segment: next,
            scan: None,
            cleaned,
            remaining_bytes: bytes,
            changed: end > next + 1,
            dropped: None,
        })))
    }

    /// Cleans one batch of the group, or completes it.
    fn clean(&mut self, mut group: Box<Group>) -> Result<(), LogError> {
        let result = match self.clean_batch(&mut group) {
            Ok(false) => self.complete(&mut group),
            result => result.map(|_| Progress::Unfinished),
        };
        self.phase = match result {
            Ok(Progress::Unchanged) => Phase::Clean { next: group.sources.end },
            Ok(Progress::Ready) => Phase::Ready(group),
            // After an error too: its files must go.
            Ok(Progress::Unfinished) | Err(_) => Phase::Group(group),
        };
        result.map(|_| ())
    }

    /// Returns whether there was one.
    fn clean_batch(&mut self, group: &mut Group) -> Result<bool, LogError> {
        if group.segment == group.sources.end {
            return Ok(false);
        }
        let segment = self.range.segments[group.segment].clone();
        if group.scan.is_none() {
            group.scan = Some(BatchScan::new(&segment, 0)?);
        }
        let scan = group.scan.as_mut().expect("just made");
        let Some((batch, size)) = self.next_batch(&segment, scan)? else {
            (group.segment, group.scan) = (group.segment + 1, None);
            return Ok(true);
        };
        group.remaining_bytes -= size;
        let room = MAX_SEGMENT_BYTES.saturating_sub(group.cleaned.size() + group.remaining_bytes);
        match self.filter.judge(&batch, room as usize) {
            Kept::Whole => self.keep(group, &batch)?,
            Kept::Rewritten(bytes) => {
                group.changed = true;
                self.keep(group, &RecordBatch::parse_without_crc(&bytes).expect("made here"))?;
            }
            Kept::Nothing => {
                group.changed |= group.dropped.replace(batch).is_some();
            }
        }
        Ok(true)
    }

    fn keep(&mut self, group: &mut Group, batch: &RecordBatch) -> Result<(), LogError> {
        group.changed |= group.dropped.take().is_some();
        self.stats.written_bytes += batch.bytes().len() as u64;
        let base = group.cleaned.base();
        let appended = group.cleaned.append(batch.header(), batch.bytes());
        appended.map_err(|source| LogError::Io { path: FileKind::Log.path(&self.dir, base), source })?;
        // What cannot be read ends no transaction that anybody knows.
        let marker = EndTransactionMarker::from_batch(batch).unwrap_or(None);
        if let Some(ended) = self.kept.apply(batch.header(), marker.as_ref(), self.filter.now) {
            group.cleaned.on_transaction_ended(&ended);
        }
        Ok(())
    }

    fn complete(&mut self, group: &mut Group) -> Result<Progress, LogError> {
        if let Some(last) = group.dropped.take() {
            group.changed |= last.header().record_count > 0;
            self.keep(group, &RecordBatch::parse_without_crc(&last.emptied()).expect("made here"))?;
        }
        let path = FileKind::Log.path(&self.dir, group.cleaned.base());
        if !group.changed {
            group.cleaned.discard().map_err(LogError::io(&path))?;
            return Ok(Progress::Unchanged);
        }
        group.cleaned.finish().map_err(LogError::io(&path))?;
        for number in group.sources.clone() {
            self.range.segments[number].pin(self.interval_bytes)?;
            with_transactions(&self.range.segments, number, |_| ())?;
        }
        Ok(Progress::Ready)
    }

    fn next_batch(&mut self, segment: &Segment, scan: &mut BatchScan) -> Result<Option<(RecordBatch, u64)>, LogError> {
        match scan.next_batch()? {
            Scanned::Batch(_, batch) => {
                let size = batch.bytes().len() as u64;
                self.stats.read_bytes += size;
                Ok(Some((batch, size)))
            }
            Scanned::End => Ok(None),
            Scanned::Damaged(reason) => Err(LogError::Corrupt {
                path: segment.path(FileKind::Log),
                durable_mark: self.range.end,
                reason: format!("at byte {}: {reason}", scan.position()),
            }),
        }
    }

    /// The segments that are to be replaced, and the base of what replaces them.
    pub(super) fn ready(&self) -> Option<(&[Arc<Segment>], Offset)> {
        match &self.phase {
            Phase::Ready(group) => Some((&self.range.segments[group.sources.clone()], group.cleaned.base())),
            _ => None,
        }
    }

    /// See [`Compaction::group_starts`]; they are handed out once.
    pub(super) fn take_group_starts(&mut self) -> Vec<(Offset, OpenTransactions)> {
        std::mem::take(&mut self.group_starts)
    }

    /// They were replaced.
    pub(super) fn on_installed(&mut self) {
        if let Phase::Ready(group) = std::mem::replace(&mut self.phase, Phase::Done) {
            let replaced: u64 = self.range.segments[group.sources.clone()].iter().map(|segment| segment.size()).sum();
            self.stats.replaced_bytes += replaced;
            self.stats.replacement_bytes += group.cleaned.size();
            self.phase = Phase::Clean { next: group.sources.end };
        }
    }
}

impl std::fmt::Debug for Compaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { dir, range, stats, .. } = self;
        let (first_dirty, end) = (range.first_dirty, range.end);
        f.debug_struct("Compaction")
            .field("dir", dir)
            .field("dirty", &(first_dirty..end))
            .field("stats", stats)
            .finish()
    }
}

fn read_marker(
    segment: &Segment,
    position: u64,
    header: &BatchHeader,
) -> Result<Option<EndTransactionMarker>, LogError> {
    let batch = read_batch(segment, position, header)?;
    // What cannot be read ends no transaction that anybody knows.
    Ok(EndTransactionMarker::from_batch(&batch).unwrap_or(None))
}
