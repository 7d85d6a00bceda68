//! Reading a log while its writer appends.
//!
//! ```text
//! log start <= (readers' offsets) <= log end
//! ```
//! The writer publishes three things: the log end (after the bytes are in the file), the list of segments, and the log
//! start. A reader takes one snapshot of them. Nothing here takes the writer's lock.
//!
//! A truncation may pull the ground from under a reader: it (1) lowers the log end, (2) publishes a list with a higher
//! truncation count, (3) cuts the file, and later appends write other bytes at the same positions. A reader that took its
//! list before (2) may see bytes of both sides; so it looks at the count again after reading, and starts over if it grew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use highwater_env::lock::Mutex;
use highwater_records::{BatchHeader, HEADER_LENGTH};
use highwater_types::Offset;

use crate::aborted_transaction::AbortedTransaction;
use crate::error::ReadError;
use crate::file_names::FileKind;
use crate::header_walk::HeaderWalk;
use crate::segment::Segment;
use crate::segment_index::SegmentIndex;
use crate::tail_cache::Tail;
use crate::transaction_scan::with_transactions;

/// Rolled segments of one log whose indexes stay in memory: the one that tail consumers are leaving, and a few that
/// lagging ones read.
const LOADED_INDEXES: usize = 4;
/// Attempts before a read gives up because truncations keep getting in its way. Each one needs a change of leader.
const MAX_ATTEMPTS: usize = 16;

/// The read side of one log. Shared by all readers.
#[derive(Debug)]
pub struct LogReader {
    dir: Arc<Path>,
    view: ArcSwap<LogView>,
    log_start: AtomicI64,
    log_end: AtomicI64,
    interval_bytes: AtomicU64,
    loaded_indexes: Mutex<Vec<Arc<Segment>>>,
    tail: Arc<Tail>,
}

/// The segments at one moment.
#[derive(Debug)]
pub(crate) struct LogView {
    /// By base offset; never empty; the last one is active.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Truncations so far.
    pub(crate) truncations: u64,
}

/// What a read found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRead {
    /// Whole batches; several pieces where the range crosses segments.
    pub batches: Vec<Bytes>,
    /// Bytes in all pieces.
    pub size: usize,
    /// The offset behind the last batch; the one asked for if there is none.
    pub next_offset: Offset,
}

impl LogRead {
    fn take(&mut self, batches: Bytes, next_offset: Offset) {
        self.next_offset = next_offset;
        if !batches.is_empty() {
            self.size += batches.len();
            self.batches.push(batches);
        }
    }
}

impl LogView {
    /// Index of the segment that may hold `offset`.
    pub(crate) fn floor(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base() <= offset).saturating_sub(1)
    }

    /// The segment that is appended to.
    pub(crate) fn active(&self) -> &Arc<Segment> {
        self.segments.last().expect("a log has at least one segment")
    }
}

/// Where a read starts.
struct Located {
    segment: usize,
    position: u64,
    header: BatchHeader,
}

impl LogReader {
    pub(crate) fn new(
        dir: Arc<Path>,
        segments: Vec<Arc<Segment>>,
        log_start: Offset,
        log_end: Offset,
        interval_bytes: u64,
    ) -> Self {
        Self {
            dir,
            view: ArcSwap::from_pointee(LogView { segments, truncations: 0 }),
            log_start: AtomicI64::new(log_start.get()),
            log_end: AtomicI64::new(log_end.get()),
            interval_bytes: AtomicU64::new(interval_bytes),
            loaded_indexes: Mutex::new(Vec::new()),
            tail: Arc::default(),
        }
    }

    /// The first offset that may be read.
    pub fn log_start(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    /// The offset the next record will get.
    pub fn log_end(&self) -> Offset {
        Offset(self.log_end.load(Ordering::Acquire))
    }

    /// Reads whole batches from the one that holds `from`, up to but not including the first that reaches `up_to`.
    ///
    /// `up_to` is the high watermark, the last stable offset or the log end, as the reader may see. At most `max_bytes` are
    /// returned; with `min_one_batch`, the first batch is returned whatever its size. Nothing below `up_to`, and an offset at
    /// the log end, give an empty result.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] for an offset below the log start or beyond the log end.
    pub fn read(
        &self,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
        min_one_batch: bool,
    ) -> Result<LogRead, ReadError> {
        self.consistently(|view| self.read_view(view, from, up_to, max_bytes, min_one_batch))
    }

    /// As [`LogReader::read`], along with the aborted transactions that may have records in what was read, by their first
    /// offsets. `up_to` must not be above the last stable offset. How the batches came into the log does not matter, nor what
    /// made the indexes.
    ///
    /// Both are of one moment: a compaction takes aborted records and what tells of them away together.
    pub fn read_committed(
        &self,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
        min_one_batch: bool,
    ) -> Result<(LogRead, Vec<AbortedTransaction>), ReadError> {
        self.consistently(|view| {
            let read = self.read_view(view, from, up_to, max_bytes, min_one_batch)?;
            let aborted = if read.size > 0 { self.aborted_in(view, from, read.next_offset)? } else { Vec::new() };
            Ok((read, aborted))
        })
    }

    fn read_view(
        &self,
        view: &LogView,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
        min_one_batch: bool,
    ) -> Result<LogRead, ReadError> {
        self.check_range(from)?;
        let mut result = LogRead { next_offset: from, ..LogRead::default() };
        let up_to = up_to.min(self.log_end());
        if from >= up_to {
            return Ok(result);
        }
        let mut from = from;
        if let Some(tail) = self.tail.read(from, up_to, max_bytes, min_one_batch) {
            result.take(tail.bytes, tail.next);
            if tail.complete || tail.next >= up_to {
                return Ok(result);
            }
            from = tail.next;
        }
        let Some(start) = self.locate(view, from)? else { return Ok(result) };
        let (mut position, mut first_size) = (start.position, start.header.size_in_bytes());
        for segment in &view.segments[start.segment..] {
            let budget = max_bytes.saturating_sub(result.size);
            let budget = if min_one_batch && result.size == 0 { budget.max(first_size) } else { budget };
            if !read_range(segment, position, budget, up_to, &mut result)? {
                break;
            }
            (position, first_size) = (0, 0);
        }
        Ok(result)
    }

    /// The aborted transactions that may have records among those from `from` on and before `up_to`.
    fn aborted_in(&self, view: &LogView, from: Offset, up_to: Offset) -> Result<Vec<AbortedTransaction>, ReadError> {
        let mut found = Vec::new();
        for number in view.floor(from)..view.segments.len() {
            let segment = &view.segments[number];
            if segment.none_aborted_before(up_to) {
                continue;
            }
            let before = found.len();
            with_transactions(&view.segments, number, |index| index.collect(from, up_to, &mut found))?;
            if found.len() > before {
                self.on_index_loaded(segment);
            }
        }
        found.sort_by_key(|transaction| transaction.first_offset);
        Ok(found)
    }

    /// The aborted transactions that may have records among those from `from` on and before `up_to`.
    #[cfg(test)]
    pub(crate) fn aborted_transactions(
        &self,
        from: Offset,
        up_to: Offset,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        self.consistently(|view| self.aborted_in(view, from, up_to))
    }

    /// What of this log is in the directory's cache.
    pub(crate) fn tail(&self) -> &Arc<Tail> {
        &self.tail
    }

    pub(crate) fn view(&self) -> Arc<LogView> {
        self.view.load_full()
    }

    pub(crate) fn dir(&self) -> &Arc<Path> {
        &self.dir
    }

    pub(crate) fn interval_bytes(&self) -> u64 {
        self.interval_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_interval_bytes(&self, interval_bytes: u64) {
        self.interval_bytes.store(interval_bytes, Ordering::Relaxed);
    }

    /// The segment list changed by a roll or by deletions at the start.
    pub(crate) fn publish_segments(&self, segments: Vec<Arc<Segment>>) {
        self.forget_indexes(&segments);
        let truncations = self.view.load().truncations;
        self.view.store(Arc::new(LogView { segments, truncations }));
    }

    /// Batches are about to be cut off: steps 1 and 2 above.
    pub(crate) fn publish_truncation(&self, segments: Vec<Arc<Segment>>, log_end: Offset) {
        self.forget_indexes(&segments);
        self.publish_log_end(log_end);
        self.tail.clear();
        let truncations = self.view.load().truncations + 1;
        self.view.store(Arc::new(LogView { segments, truncations }));
    }

    pub(crate) fn publish_log_end(&self, log_end: Offset) {
        self.log_end.store(log_end.get(), Ordering::Release);
    }

    pub(crate) fn publish_log_start(&self, log_start: Offset) {
        self.log_start.store(log_start.get(), Ordering::Release);
    }

    /// Notes that a segment's index came into memory, and drops the one that came first of too many.
    pub(crate) fn on_index_loaded(&self, segment: &Arc<Segment>) {
        let mut loaded = self.loaded_indexes.lock();
        loaded.retain(|known| !Arc::ptr_eq(known, segment));
        loaded.push(segment.clone());
        if loaded.len() > LOADED_INDEXES {
            loaded.remove(0).unload_index();
        }
    }

    /// Lets go of removed segments, so that their space is freed once no read uses them.
    fn forget_indexes(&self, remaining: &[Arc<Segment>]) {
        self.loaded_indexes.lock().retain(|known| remaining.iter().any(|segment| Arc::ptr_eq(known, segment)));
    }

    fn check_range(&self, offset: Offset) -> Result<(), ReadError> {
        let (start, end) = (self.log_start(), self.log_end());
        if offset < start || offset > end { Err(ReadError::OutOfRange { asked: offset, start, end }) } else { Ok(()) }
    }

    /// Runs `attempt` on one view until nothing disturbed it: see the top of this file. A failed attempt also starts over
    /// when segments were removed meanwhile.
    pub(crate) fn consistently<T>(&self, attempt: impl Fn(&LogView) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let mut attempts = 0;
        loop {
            let view = self.view.load_full();
            let result = attempt(&view);
            let now = self.view.load();
            let undisturbed = match &result {
                Ok(_) => now.truncations == view.truncations,
                Err(_) => Arc::ptr_eq(&now, &view),
            };
            attempts += 1;
            if undisturbed {
                return result;
            }
            if attempts == MAX_ATTEMPTS {
                let (start, end) = (self.log_start(), self.log_end());
                return result.and(Err(ReadError::OutOfRange { asked: Offset::NONE, start, end }));
            }
        }
    }

    pub(crate) fn ask_index<R>(
        &self,
        segment: &Arc<Segment>,
        ask: impl FnOnce(&SegmentIndex) -> R,
    ) -> Result<R, ReadError> {
        if !segment.is_index_loaded() {
            self.on_index_loaded(segment);
        }
        segment.with_index(self.interval_bytes(), ask)
    }

    /// The header of the batch that holds `offset`, or of the next one; `None` at the log end.
    pub(crate) fn header_at(&self, view: &LogView, offset: Offset) -> Result<Option<BatchHeader>, ReadError> {
        if offset >= self.log_end() {
            return Ok(None);
        }
        let cached = self.tail.read(offset, self.log_end(), 0, true);
        match cached.and_then(|cached| BatchHeader::parse(&cached.bytes).ok()) {
            Some(header) => Ok(Some(header)),
            None => Ok(self.locate(view, offset)?.map(|located| located.header)),
        }
    }

    /// The batch that holds `offset`, or the next one where compaction left a gap.
    fn locate(&self, view: &LogView, offset: Offset) -> Result<Option<Located>, ReadError> {
        for (number, segment) in view.segments.iter().enumerate().skip(view.floor(offset)) {
            let found = self.walk_near(segment, offset, |mut walk| {
                while let Some((position, header)) = walk.next_header()? {
                    if header.last_offset() >= offset {
                        return Ok(Some(Located { segment: number, position, header }));
                    }
                }
                Ok(None)
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Walks from where the index says that `offset` is, or from the segment's start where the batches contradict it: an index
    /// that passes its checks may still be of another time, and the batches have the last word.
    pub(crate) fn walk_near<T>(
        &self,
        segment: &Arc<Segment>,
        offset: Offset,
        attempt: impl Fn(HeaderWalk) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let hint = self.ask_index(segment, |index| index.position_before(offset))?;
        if hint > 0 {
            let mut walk = segment.walk(hint)?;
            let first = match walk.next_header() {
                Err(ReadError::Corrupt { .. }) => None,
                first => first?,
            };
            if first.is_some_and(|(_, header)| header.base_offset <= offset) {
                walk.go_back(hint);
                match attempt(walk) {
                    Err(ReadError::Corrupt { .. }) => {}
                    result => return result,
                }
            }
        }
        attempt(segment.walk(0)?)
    }
}

/// Appends to `result` the batches from `position` on that end below `up_to` and fit `budget_bytes`. Returns whether the
/// segment was read to its end, so that the next one continues it.
fn read_range(
    segment: &Segment,
    position: u64,
    budget_bytes: usize,
    up_to: Offset,
    result: &mut LogRead,
) -> Result<bool, ReadError> {
    let remaining = segment.size().saturating_sub(position);
    let length = usize::try_from(remaining).unwrap_or(usize::MAX).min(budget_bytes);
    if length < HEADER_LENGTH {
        return Ok(remaining == 0);
    }
    let path = || segment.path(FileKind::Log);
    let mut bytes = vec![0; length];
    let read = segment.file().and_then(|file| file.read_exact_at(&mut bytes, position));
    read.map_err(|source| ReadError::Io { path: path(), source })?;
    let (mut end, mut stopped) = (0, false);
    while length - end >= HEADER_LENGTH {
        let header = BatchHeader::parse(&bytes[end..]).map_err(|error| ReadError::Corrupt {
            path: path(),
            position: position + end as u64,
            reason: error.to_string(),
        })?;
        stopped = header.last_offset() >= up_to;
        if stopped || header.size_in_bytes() > length - end {
            break;
        }
        end += header.size_in_bytes();
        result.next_offset = header.next_offset();
    }
    if end > 0 {
        let next = result.next_offset;
        result.take(Bytes::from(bytes).slice(..end), next);
    }
    Ok(!stopped && end as u64 == remaining)
}
