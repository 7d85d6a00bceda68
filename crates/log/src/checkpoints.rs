//! The checkpoint files of a log directory, shared by its logs.
//!
//! The recovery points are the durable mark: what lies below one must be intact when the log is opened again. Hence one on
//! disk is never above what is flushed, and a log that is about to be cut below it has it lowered first. One lock orders the
//! two writers: (1) a checkpoint reads `flushed`, (2) a truncation lowers it and finds nothing to do on disk, (3) the
//! checkpoint writes the old value; with the lock held from (1) to (3), the truncation sees what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use highwater_env::Fs;
use highwater_env::lock::Mutex;
use highwater_types::{Offset, TopicId, TopicPartition};

use crate::error::LogError;
use crate::flush_target::FlushTarget;
use crate::log_summary::{self, LogSummary, Summaries};
use crate::offset_checkpoint::{Offsets, encode, parse};
use crate::text_file::Malformed;

const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
const LOG_STARTS: &str = "log-start-offset-checkpoint";
const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
const CLEAN_LOGS: &str = "clean-logs-checkpoint";

/// See the top of this file.
pub(crate) struct Checkpoints {
    fs: Fs,
    clean_logs: PathBuf,
    state: Mutex<State>,
}

struct State {
    recovery_points: CheckpointFile,
    high_watermarks: CheckpointFile,
    log_starts: CheckpointFile,
    /// How far logs are compacted.
    cleaner_offsets: CheckpointFile,
    /// Logs opened by this process, but those of which there is a summary, here or with the replica.
    logs: BTreeMap<TopicPartition, Opened>,
    /// Logs that are closed properly, by this process or the one before, and that no replica keeps the summary of.
    closed: Summaries,
    /// Logs of a process that did not stop properly which this one has not opened yet.
    unrecovered: BTreeSet<TopicPartition>,
    /// Logs that are gone and may still be named by a file.
    forgotten: BTreeSet<TopicPartition>,
}

/// A log that this process has opened.
enum Opened {
    /// In use, or dropped as by a crash once the reference is dead.
    Open(Weak<FlushTarget>),
    /// Closed properly, with a transaction open.
    Closed,
}

struct CheckpointFile {
    path: PathBuf,
    /// What the file is to hold.
    offsets: Offsets,
    /// Whether it holds that.
    written: bool,
}

/// A checkpoint file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{path}: {reason}")]
    Malformed { path: PathBuf, reason: Malformed },
}

impl Checkpoints {
    /// Reads the files in the log directory `dir`; missing ones are empty.
    pub(crate) fn load(fs: &Fs, dir: &Path) -> Result<Self, CheckpointError> {
        let file = |name: &str| CheckpointFile::load(fs, dir.join(name));
        let state = State {
            recovery_points: file(RECOVERY_POINTS)?,
            high_watermarks: file(HIGH_WATERMARKS)?,
            log_starts: file(LOG_STARTS)?,
            cleaner_offsets: file(CLEANER_OFFSETS)?,
            logs: BTreeMap::new(),
            closed: Summaries::new(),
            unrecovered: BTreeSet::new(),
            forgotten: BTreeSet::new(),
        };
        Ok(Self { fs: fs.clone(), clean_logs: dir.join(CLEAN_LOGS), state: Mutex::new(state) })
    }

    /// The process before this one stopped properly: what it left of its logs is believed, where the other files agree.
    pub(crate) fn load_clean_logs(&self) {
        let mut state = self.state.lock();
        let Ok(text) = self.fs.read(&self.clean_logs) else { return };
        match log_summary::parse(&text) {
            Ok(mut summaries) => {
                // Another program may have stopped properly here since.
                summaries.retain(|partition, (_, summary)| {
                    state.recovery_points.get(partition) == Some(summary.log_end)
                        && state.log_starts.get(partition).is_none_or(|log_start| log_start <= summary.log_start)
                });
                state.closed = summaries;
            }
            Err(error) => tracing::warn!(path = %self.clean_logs.display(), %error, "opening all logs instead"),
        }
    }

    /// Writes what is known of the logs that are closed: before the marker of a clean shutdown.
    pub(crate) fn write_clean_logs(&self) -> Result<(), LogError> {
        let text = log_summary::encode(&self.state.lock().closed);
        self.fs.write_atomic(&self.clean_logs, text.as_bytes()).map_err(LogError::io(&self.clean_logs))
    }

    /// The process before this one did not stop properly, and these are its logs.
    pub(crate) fn set_unrecovered(&self, partitions: BTreeSet<TopicPartition>) {
        self.state.lock().unrecovered = partitions;
    }

    /// What is in a closed log, if it is that topic's. Whoever takes it gives it back with [`Self::note_closed`] before the log
    /// is opened, and before a clean shutdown is marked.
    pub(crate) fn take_summary(&self, partition: &TopicPartition, topic_id: TopicId) -> Option<LogSummary> {
        let mut state = self.state.lock();
        state.closed.get(partition).filter(|(found, _)| *found == topic_id)?;
        state.closed.remove(partition).map(|(_, summary)| summary)
    }

    /// Gives a summary back. Of a log that has nothing on disk, there is nothing to tell.
    pub(crate) fn note_closed(&self, partition: &TopicPartition, topic_id: TopicId, summary: LogSummary) {
        let mut state = self.state.lock();
        if state.recovery_points.get(partition) == Some(summary.log_end) {
            state.closed.insert(partition.clone(), (topic_id, summary));
        }
    }

    /// The durable mark of a log.
    pub(crate) fn recovery_point(&self, partition: &TopicPartition) -> Offset {
        self.state.lock().recovery_points.get(partition).unwrap_or(Offset::ZERO)
    }

    /// The log start offset of a log, as checkpointed.
    pub(crate) fn log_start(&self, partition: &TopicPartition) -> Offset {
        self.state.lock().log_starts.get(partition).unwrap_or(Offset::ZERO)
    }

    /// The high watermark of a log, as checkpointed.
    pub(crate) fn high_watermark(&self, partition: &TopicPartition) -> Option<Offset> {
        self.state.lock().high_watermarks.get(partition)
    }

    /// How far a log is compacted.
    pub(crate) fn cleaner_offset(&self, partition: &TopicPartition) -> Option<Offset> {
        self.state.lock().cleaner_offsets.get(partition)
    }

    /// Notes durably how far a log is compacted.
    pub(crate) fn set_cleaner_offset(&self, partition: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        let mut state = self.state.lock();
        state.cleaner_offsets.set(partition, offset);
        state.write_changed(&self.fs)
    }

    /// Writes where a log starts and what of it is durable.
    pub(crate) fn persist_marks(&self, partition: &TopicPartition) -> Result<(), LogError> {
        let mut state = self.state.lock();
        let Some(Opened::Open(flush)) = state.logs.get(partition) else { return Ok(()) };
        if let Some(flush) = flush.upgrade() {
            state.take_over(partition, &flush);
        }
        state.write_changed(&self.fs)
    }

    /// A log was opened: from now on its durable mark follows what it has flushed.
    pub(crate) fn on_opened(&self, partition: &TopicPartition, flush: &Arc<FlushTarget>) {
        let mut state = self.state.lock();
        state.closed.remove(partition);
        state.unrecovered.remove(partition);
        state.logs.insert(partition.clone(), Opened::Open(Arc::downgrade(flush)));
    }

    /// Takes over where a log starts and what of it is durable; the files hear of it when they are written next. Nothing is taken
    /// over of one whose name another log has by now: a copy for this directory of a topic that was deleted and made again.
    pub(crate) fn take_over(&self, partition: &TopicPartition, flush: &Arc<FlushTarget>) {
        let mut state = self.state.lock();
        if state.is_present(partition, flush) {
            state.take_over(partition, flush);
        }
    }

    /// A log was closed properly, after [`Self::take_over`] with everything flushed. `summary` is of one that need not be opened
    /// before it is used.
    pub(crate) fn on_closed(
        &self,
        partition: &TopicPartition,
        flush: &Arc<FlushTarget>,
        summary: Option<(TopicId, LogSummary)>,
    ) {
        let mut state = self.state.lock();
        match summary {
            _ if !state.is_present(partition, flush) => {}
            Some(summary) => {
                state.logs.remove(partition);
                state.closed.insert(partition.clone(), summary);
            }
            None => _ = state.logs.insert(partition.clone(), Opened::Closed),
        }
    }

    /// Whether the log's files are as the last proper closing left them, given that the process before this one stopped
    /// properly or not.
    pub(crate) fn is_clean(&self, partition: &TopicPartition, clean_start: bool) -> bool {
        let state = self.state.lock();
        match state.logs.get(partition) {
            Some(Opened::Closed) => true,
            Some(Opened::Open(_)) => false,
            None => clean_start || state.closed.contains_key(partition),
        }
    }

    /// Whether every log is closed properly: by this process, or by the one before and not opened since.
    pub(crate) fn all_closed(&self) -> bool {
        let state = self.state.lock();
        state.unrecovered.is_empty() && state.logs.values().all(|log| matches!(log, Opened::Closed))
    }

    /// Takes over the given high watermarks and what is flushed, and writes the files that changed.
    ///
    /// The high watermarks are asked for under the lock: (1) somebody gathers them, (2) one of the logs is deleted, and another
    /// one begins under its name, (3) the old one's would be written for it.
    pub(crate) fn write(
        &self,
        high_watermarks: impl FnOnce() -> Vec<(TopicPartition, Offset)>,
    ) -> Result<(), LogError> {
        let mut state = self.state.lock();
        let high_watermarks = high_watermarks();
        // A log start that has to be known is written when it is raised.
        let moved = |(partition, log): (&TopicPartition, &Opened)| {
            let Opened::Open(flush) = log else { return None };
            flush.upgrade().filter(|flush| flush.has_moved()).map(|flush| (partition.clone(), flush))
        };
        let logs: Vec<(TopicPartition, Arc<FlushTarget>)> = state.logs.iter().filter_map(moved).collect();
        for (partition, flush) in &logs {
            state.take_over(partition, flush);
        }
        for (partition, offset) in &high_watermarks {
            state.high_watermarks.set(partition, *offset);
        }
        state.write_changed(&self.fs)
    }

    /// Closes the files of all logs that nobody used since the last call. Returns those that are to be flushed before.
    pub(crate) fn release_idle_files(&self) -> Vec<Arc<FlushTarget>> {
        let upgrade = |log: &Opened| if let Opened::Open(flush) = log { flush.upgrade() } else { None };
        let open: Vec<Arc<FlushTarget>> = self.state.lock().logs.values().filter_map(upgrade).collect();
        open.into_iter().filter(|flush| flush.release_idle_files()).collect()
    }

    /// Makes sure that none of the marks on disk is above `end`, where the log is about to be cut: what is appended there is neither
    /// durable nor committed.
    /// What the log has flushed must be lowered before.
    pub(crate) fn lower_marks(&self, partition: &TopicPartition, end: Offset) -> Result<(), LogError> {
        let mut state = self.state.lock();
        let State { recovery_points, high_watermarks, log_starts, cleaner_offsets, .. } = &mut *state;
        for file in [recovery_points, high_watermarks, log_starts, cleaner_offsets] {
            if file.get(partition).is_some_and(|mark| mark > end) {
                file.set(partition, end);
            }
        }
        state.write_changed(&self.fs)
    }

    /// Makes sure that no mark is on disk: the log is about to be emptied.
    pub(crate) fn forget_durable_marks(&self, partition: &TopicPartition) -> Result<(), LogError> {
        let mut state = self.state.lock();
        let State { recovery_points, high_watermarks, log_starts, cleaner_offsets, .. } = &mut *state;
        for file in [recovery_points, high_watermarks, log_starts, cleaner_offsets] {
            file.remove(partition);
        }
        state.write_changed(&self.fs)
    }

    /// A log is about to be deleted: a flush that is still to come must not look for its files.
    pub(crate) fn retire(&self, partition: &TopicPartition) {
        if let Some(Opened::Open(flush)) = self.state.lock().logs.get(partition)
            && let Some(flush) = flush.upgrade()
        {
            flush.retire();
        }
    }

    /// As [`Self::retire`] and [`Self::forget`], for this log only: another one may have its name by now.
    pub(crate) fn forget_log(&self, partition: &TopicPartition, flush: &Arc<FlushTarget>) {
        flush.retire();
        let is_present = self.state.lock().is_present(partition, flush);
        if is_present {
            self.forget(partition);
        }
    }

    /// A log is gone. The files hear of it when they are written next, and before another log gets its name.
    pub(crate) fn forget(&self, partition: &TopicPartition) {
        let mut state = self.state.lock();
        state.logs.remove(partition);
        state.closed.remove(partition);
        state.unrecovered.remove(partition);
        let State { recovery_points, high_watermarks, log_starts, cleaner_offsets, .. } = &mut *state;
        for file in [recovery_points, high_watermarks, log_starts, cleaner_offsets] {
            file.remove(partition);
        }
        state.forgotten.insert(partition.clone());
    }

    /// Makes sure that nothing is on disk of a log that is about to be created.
    pub(crate) fn prepare(&self, partition: &TopicPartition) -> Result<(), LogError> {
        let is_known = {
            let state = self.state.lock();
            let files = [&state.recovery_points, &state.high_watermarks, &state.log_starts, &state.cleaner_offsets];
            files.iter().any(|file| file.get(partition).is_some())
        };
        if is_known {
            // Of a predecessor that a crash deleted halfway.
            self.forget(partition);
        }
        let mut state = self.state.lock();
        if state.forgotten.contains(partition) { state.write_changed(&self.fs) } else { Ok(()) }
    }
}

impl State {
    /// Whether the open log of that name is this one.
    fn is_present(&self, partition: &TopicPartition, flush: &Arc<FlushTarget>) -> bool {
        match self.logs.get(partition) {
            Some(Opened::Open(present)) => std::ptr::eq(present.as_ptr(), Arc::as_ptr(flush)),
            _ => false,
        }
    }

    fn take_over(&mut self, partition: &TopicPartition, flush: &FlushTarget) {
        let flushed = flush.flushed();
        self.recovery_points.set(partition, flushed);
        // A log start above what is durable would make an empty log of what a power loss leaves. As in Kafka, the file names
        // only logs that start within a segment: the others' starts show in file names. One that was named stays named, because
        // the removal of the segments below may be under way, and then a power loss brings them back.
        let log_start = flush.reader().log_start().min(flushed);
        if log_start > flush.reader().view().segments[0].base() || self.log_starts.get(partition).is_some() {
            self.log_starts.set(partition, log_start);
        }
    }

    fn write_changed(&mut self, fs: &Fs) -> Result<(), LogError> {
        self.recovery_points.write_if_changed(fs)?;
        self.log_starts.write_if_changed(fs)?;
        self.cleaner_offsets.write_if_changed(fs)?;
        self.high_watermarks.write_if_changed(fs)?;
        self.forgotten.clear();
        Ok(())
    }
}

impl CheckpointFile {
    fn load(fs: &Fs, path: PathBuf) -> Result<Self, CheckpointError> {
        let offsets = match fs.read(&path) {
            Ok(text) => match parse(&text) {
                Ok(offsets) => offsets,
                Err(reason) => return Err(CheckpointError::Malformed { path, reason }),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Offsets::default(),
            Err(error) => return Err(LogError::io(&path)(error).into()),
        };
        Ok(Self { path, offsets, written: true })
    }

    fn get(&self, partition: &TopicPartition) -> Option<Offset> {
        self.offsets.get(partition)
    }

    fn set(&mut self, partition: &TopicPartition, offset: Offset) {
        if self.offsets.insert(partition, offset) != Some(offset) {
            self.written = false;
        }
    }

    fn remove(&mut self, partition: &TopicPartition) {
        if self.offsets.remove(partition).is_some() {
            self.written = false;
        }
    }

    fn write_if_changed(&mut self, fs: &Fs) -> Result<(), LogError> {
        if !self.written {
            fs.write_atomic(&self.path, encode(&self.offsets).as_bytes()).map_err(LogError::io(&self.path))?;
            self.written = true;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoints").finish_non_exhaustive()
    }
}
