//! What of a log is durable, and making the rest so while the writer goes on.
//!
//! ```text
//! log start <= flushed <= log end
//! ```
//! `flushed` moves up only here, after the files and directory entries of everything below it were synced, and down only by
//! a truncation. A truncation may overtake a flush: (1) the flush notes the log end and starts to sync, (2) the log is cut
//! below that and other batches are appended, (3) the sync ends. What it synced says nothing about the new batches, so the
//! flush compares the number of truncations before and after and starts over.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use highwater_env::Fs;
use highwater_env::lock::Mutex;
use highwater_types::Offset;

use crate::directory_health::DirectoryHealth;
use crate::error::LogError;
use crate::file_names::{FileKind, LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA};
use crate::flush_stage::FlushStage;
use crate::log_reader::LogReader;
use crate::room::CALM_APPENDS;
use crate::segment::{Segment, sync_if_there};

/// Told when more of a log is durable.
pub trait FlushListener: Send + Sync {
    /// Everything below `flushed` is durable. Called on the thread that flushed, with no lock of the log held.
    fn on_flushed(&self, flushed: Offset);
}

/// The flush side of one log. Shared with the sync scheduler.
pub struct FlushTarget {
    fs: Fs,
    reader: Arc<LogReader>,
    health: Arc<DirectoryHealth>,
    flushed: AtomicI64,
    /// What [`FlushTarget::has_moved`] saw last.
    seen: AtomicI64,
    dirty: Mutex<Dirty>,
    listener: OnceLock<Arc<dyn FlushListener>>,
    /// Whether the partition's directory is durable, with the files in it that are not a segment's.
    home_durable: AtomicBool,
    /// Whether the log was deleted: its files have other names now.
    retired: AtomicBool,
    /// Appends in a row that found all before them flushed.
    calm_appends: AtomicU8,
    /// The scheduler's note on this log.
    pub(crate) stage: FlushStage,
}

/// What one flush covers.
pub(crate) struct Unflushed {
    segments: VecDeque<Arc<Segment>>,
    truncations: u64,
    end: Offset,
}

struct Dirty {
    /// Segments that may hold unflushed bytes, by base offset; the last one is active.
    segments: VecDeque<Arc<Segment>>,
    truncations: u64,
}

impl FlushTarget {
    pub(crate) fn new(
        fs: Fs,
        reader: Arc<LogReader>,
        health: Arc<DirectoryHealth>,
        flushed: Offset,
        home_durable: bool,
    ) -> Self {
        let segments = VecDeque::from([reader.view().active().clone()]);
        Self {
            fs,
            reader,
            health,
            flushed: AtomicI64::new(flushed.get()),
            seen: AtomicI64::new(Offset::NONE.get()),
            dirty: Mutex::new(Dirty { segments, truncations: 0 }),
            listener: OnceLock::new(),
            home_durable: AtomicBool::new(home_durable),
            retired: AtomicBool::new(false),
            calm_appends: AtomicU8::new(0),
            stage: FlushStage::default(),
        }
    }

    /// Everything below is durable.
    pub fn flushed(&self) -> Offset {
        Offset(self.flushed.load(Ordering::Acquire))
    }

    /// Whether what is durable is not what it was at the last call.
    pub(crate) fn has_moved(&self) -> bool {
        let flushed = self.flushed.load(Ordering::Acquire);
        self.seen.swap(flushed, Ordering::Relaxed) != flushed
    }

    /// Closes the files that nobody used since the last call, so that an idle partition holds none open. Returns whether that has
    /// to wait for a flush, which nobody else may ask for (relaxed durability).
    pub(crate) fn release_idle_files(&self) -> bool {
        let view = self.reader.view();
        if self.flushed() != self.reader.log_end() {
            return !view.active().take_used();
        }
        let closed = view.segments.iter().filter(|segment| segment.release_if_idle()).count();
        if closed > 0 {
            self.reader.tail().clear();
        }
        false
    }

    /// Whether the append that the writer is about to make will be flushed by itself, as the last ones were.
    pub(crate) fn is_flushed_one_by_one(&self) -> bool {
        let found_flushed = self.flushed() == self.reader.log_end();
        let calm = if found_flushed { self.calm_appends.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
        self.calm_appends.store(calm, Ordering::Relaxed);
        calm >= CALM_APPENDS
    }

    /// The log's read side.
    pub fn reader(&self) -> &Arc<LogReader> {
        &self.reader
    }

    /// Sets who is told about flushes that the scheduler makes.
    ///
    /// # Panics
    /// If somebody is told already.
    pub fn set_listener(&self, listener: Arc<dyn FlushListener>) {
        assert!(self.listener.set(listener).is_ok(), "one listener per flush target");
    }

    pub(crate) fn listener(&self) -> Option<&Arc<dyn FlushListener>> {
        self.listener.get()
    }

    /// Makes everything durable that was appended before the call, and returns the new [`FlushTarget::flushed`]. Blocks for
    /// the disk; appends and reads go on meanwhile.
    ///
    /// A log that was deleted meanwhile is not flushed any more.
    ///
    /// # Errors
    /// The directory is out of service then.
    pub fn flush(&self) -> Result<Offset, LogError> {
        while let Some(unflushed) = self.begin()? {
            match self.sync(&unflushed.segments) {
                // Files that vanished with their log are no fault of the disk.
                Err(_) if self.is_retired() => break,
                synced => self.health.watch_flush(synced)?,
            }
            if self.complete(&unflushed) {
                break;
            }
        }
        Ok(self.flushed())
    }

    /// What a flush that begins now has to make durable; `None` if that is nothing.
    pub(crate) fn begin(&self) -> Result<Option<Unflushed>, LogError> {
        self.health.check()?;
        let unflushed = {
            let dirty = self.dirty.lock();
            // The end is read under the lock: the segment after the last of these is added under it, before its first
            // batch, so what lies below the end is in these.
            Unflushed { segments: dirty.segments.clone(), truncations: dirty.truncations, end: self.reader.log_end() }
        };
        // A rolled segment has index files to sync also when all of its batches are durable.
        let done = unflushed.end <= self.flushed() && unflushed.segments.len() == 1;
        Ok(if done || self.is_retired() { None } else { Some(unflushed) })
    }

    /// The directory was synced, with all files and entries below it, since [`Self::begin`]. Returns false if that says
    /// nothing, because the log was cut meanwhile.
    pub(crate) fn on_directory_synced(&self, unflushed: &Unflushed) -> bool {
        unflushed.segments.iter().for_each(|segment| segment.set_entry_durable());
        self.complete(unflushed)
    }

    /// Moves `flushed`, unless the log was cut meanwhile.
    fn complete(&self, unflushed: &Unflushed) -> bool {
        let mut dirty = self.dirty.lock();
        if dirty.truncations != unflushed.truncations {
            return false;
        }
        // All but the last were rolled when the flush began, and so are flushed to their ends.
        let still_active = unflushed.segments.back().map_or(Offset::ZERO, |segment| segment.base());
        dirty.segments.retain(|segment| segment.base() >= still_active);
        self.flushed.fetch_max(unflushed.end.get(), Ordering::AcqRel);
        true
    }

    /// Syncs in the order of offsets, so that a crash in between leaves no hole below flushed data.
    fn sync(&self, segments: &VecDeque<Arc<Segment>>) -> Result<(), LogError> {
        let mut entries_changed = segments.len() > 1;
        for segment in segments {
            segment.sync().map_err(LogError::io(&segment.path(FileKind::Log)))?;
            if !segment.is_entry_durable() {
                // The first flush of a segment takes along the snapshot that was made when it was begun.
                let snapshot = segment.path(FileKind::ProducerSnapshot);
                sync_if_there(&self.fs, &snapshot).map_err(LogError::io(&snapshot))?;
                entries_changed = true;
            }
        }
        if entries_changed {
            let dir = self.reader.dir();
            self.fs.sync_dir(dir).map_err(LogError::io(dir))?;
            segments.iter().for_each(|segment| segment.set_entry_durable());
        }
        self.make_home_durable()
    }

    /// Whether the partition's directory is durable; if not, nothing in it was ever flushed by this process.
    pub(crate) fn is_home_durable(&self) -> bool {
        self.home_durable.load(Ordering::Acquire)
    }

    /// Makes the partition's directory durable, if it may not be.
    pub(crate) fn make_home_durable(&self) -> Result<(), LogError> {
        if self.is_home_durable() {
            return Ok(());
        }
        let dir = self.reader.dir();
        for path in [PARTITION_METADATA, LEADER_EPOCH_CHECKPOINT].map(|name| dir.join(name)) {
            sync_if_there(&self.fs, &path).map_err(LogError::io(&path))?;
        }
        for path in [Some(&**dir), dir.parent()].into_iter().flatten() {
            self.fs.sync_dir(path).map_err(LogError::io(path))?;
        }
        self.home_durable.store(true, Ordering::Release);
        Ok(())
    }

    /// The log is about to be deleted: flushes do nothing from here on.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether the log was deleted.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Rolled segments that were durable in full were replaced by others that are.
    pub(crate) fn on_replaced(&self, segments: &[Arc<Segment>]) {
        let replaced = |segment: &Arc<Segment>| segments.iter().any(|other| Arc::ptr_eq(other, segment));
        self.dirty.lock().segments.retain(|segment| !replaced(segment));
    }

    /// A segment becomes the active one: to be called before its first batch.
    pub(crate) fn on_rolled(&self, segment: Arc<Segment>) {
        self.dirty.lock().segments.push_back(segment);
    }

    /// The log is about to be cut at `end`, which [`LogReader::log_end`] says already.
    pub(crate) fn begin_truncation(&self, end: Offset) {
        let mut dirty = self.dirty.lock();
        dirty.truncations += 1;
        self.flushed.fetch_min(end.get(), Ordering::AcqRel);
    }

    /// The log was cut; `active` is the last segment now.
    pub(crate) fn end_truncation(&self, active: Arc<Segment>) {
        let mut dirty = self.dirty.lock();
        dirty.truncations += 1;
        dirty.segments.retain(|segment| segment.base() < active.base());
        dirty.segments.push_back(active);
    }

    /// The log is empty now; everything below the base of `active`, whose directory entry is durable, counts as flushed.
    pub(crate) fn restart_at(&self, active: Arc<Segment>) {
        let mut dirty = self.dirty.lock();
        dirty.truncations += 1;
        self.flushed.store(active.base().get(), Ordering::Release);
        dirty.segments = VecDeque::from([active]);
    }

    /// Segments before `first` were removed.
    pub(crate) fn on_removed(&self, first: Offset) {
        self.dirty.lock().segments.retain(|segment| segment.base() >= first);
    }
}

impl std::fmt::Debug for FlushTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlushTarget").field("dir", self.reader.dir()).field("flushed", &self.flushed()).finish()
    }
}
