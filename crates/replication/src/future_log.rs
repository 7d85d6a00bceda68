//! The copy of a log on its way to another log directory: how it grows, follows cuts, and takes the log's place (KIP-113).
//!
//! The copy is a prefix of the log, and starts where the log does or before. It is brought up to date without the partition's
//! lock; a cut of the log cuts it too, under that lock. Whoever holds its own lock must not ask for the partition's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use highwater_env::clock;
use highwater_env::lock::Mutex;
use highwater_log::{AppendError, Log, LogDirectory, LogError, LogReader, ReadError, SpaceUse};
use highwater_types::{LeaderEpoch, Offset, Timestamp, TopicPartition};

use crate::home::Home;

/// See the top of this file.
pub(crate) struct FutureLog {
    home: Arc<Home>,
    /// In the names of both directories.
    pub unique: u128,
    /// `None` before it was opened, and once it is closed.
    copy: Mutex<Option<Log>>,
    log_end: AtomicI64,
    size_bytes: AtomicU64,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyStep {
    /// So many bytes were copied.
    Copied(u64),
    /// Nothing is missing.
    CaughtUp,
    /// The new directory has no room.
    DiskFull,
}

/// Why a move ends without effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelocationError {
    /// It is not wanted any more.
    #[error("cancelled")]
    Cancelled,
    /// The replica, or its log, is out of service.
    #[error("the replica is out of service")]
    OutOfService,
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl RelocationError {
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Log(error) | Self::Append(AppendError::Log(error)) => error.is_disk_full(),
            Self::Append(AppendError::DiskFull) => true,
            _ => false,
        }
    }
}

impl FutureLog {
    /// One that was not opened yet.
    pub fn new(home: &Arc<Home>, unique: u128) -> Arc<Self> {
        let (log_end, size_bytes) = (AtomicI64::new(0), AtomicU64::new(0));
        Arc::new(Self { home: home.clone(), unique, copy: Mutex::new(None), log_end, size_bytes })
    }

    /// Where it goes.
    pub fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The directory that is, while the node runs.
    pub fn directory(&self) -> Option<Arc<LogDirectory>> {
        self.home.directory()
    }

    /// Whether it goes there.
    pub fn is_in(&self, directory: &Arc<LogDirectory>) -> bool {
        self.home.is(directory)
    }

    /// How far it is.
    pub fn log_end(&self) -> Offset {
        Offset(self.log_end.load(Ordering::Relaxed))
    }

    /// Bytes of batches.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.copy.lock().is_some()
    }

    /// It was opened: cuts off what an earlier process had copied and the log has not any more. Blocks for the disk.
    pub fn on_opened(&self, mut copy: Log, log: &Log, now: Timestamp) -> Result<(), RelocationError> {
        align(&mut copy, log, now)?;
        self.note(&copy);
        *self.copy.lock() = Some(copy);
        Ok(())
    }

    /// Takes the copy out.
    pub fn take(&self) -> Option<Log> {
        self.copy.lock().take()
    }

    /// Copies up to about `max_bytes` of what `reader` finds. Blocks for the disk.
    pub fn copy(&self, reader: &LogReader, max_bytes: usize) -> Result<CopyStep, RelocationError> {
        let directory = self.directory().ok_or(RelocationError::Cancelled)?;
        let mut copy = self.copy.lock();
        let copy = copy.as_mut().ok_or(RelocationError::Cancelled)?;
        let (log_start, log_end, now) = (reader.log_start(), reader.log_end(), clock::wall_ms());
        if copy.log_end() < log_start {
            copy.truncate_fully_and_start_at(log_start, now)?;
        }
        if copy.log_end() >= log_end {
            return Ok(CopyStep::CaughtUp);
        }
        let read = match reader.read(copy.log_end(), log_end, max_bytes, true) {
            // Retention was faster, or the log is being cut.
            Err(ReadError::OutOfRange { .. }) => return Ok(CopyStep::Copied(0)),
            read => read?,
        };
        if !directory.space().admits(read.size as u64, SpaceUse::Produce) {
            return Ok(CopyStep::DiskFull);
        }
        for batches in &read.batches {
            copy.append_follower(batches, now)?;
        }
        self.note(copy);
        Ok(CopyStep::Copied(read.size as u64))
    }

    /// Makes durable what was copied. Blocks for the disk.
    pub fn flush(&self) -> Result<(), RelocationError> {
        let target = self.copy.lock().as_ref().map(Log::flush_target);
        target.ok_or(RelocationError::Cancelled)?.flush()?;
        Ok(())
    }

    /// The log was cut. Blocks for the disk.
    pub fn cut(&self, offset: Offset, anew: bool, now: Timestamp) {
        let mut slot = self.copy.lock();
        let Some(copy) = slot.as_mut() else { return };
        let cut = match anew {
            true => copy.truncate_fully_and_start_at(offset, now),
            false if offset < copy.log_end() => copy.truncate_to(offset, now),
            false => Ok(()),
        };
        match cut {
            Ok(()) => self.note(copy),
            Err(error) => {
                tracing::error!(partition = %copy.topic_partition(), %error, "the copy for another directory cannot be cut");
                *slot = None;
            }
        }
    }

    /// Closes it, so that the next process goes on with it. Blocks for the disk.
    pub fn close(&self) {
        if let Some(copy) = self.copy.lock().take()
            && let Err(error) = copy.close()
        {
            tracing::warn!(%error, "an unfinished copy is not closed: the next start recovers it");
        }
    }

    /// Gives it up; `partition` is what it is a copy of. Blocks for the disk.
    pub fn discard(&self, partition: &TopicPartition) {
        let copy = self.copy.lock().take();
        if let Some(directory) = self.directory()
            && let Err(error) = directory.discard_future(partition, self.unique, copy, clock::wall_ms())
        {
            tracing::warn!(%error, "an unfinished copy remains: the next start finds it");
        }
    }

    fn note(&self, copy: &Log) {
        self.log_end.store(copy.log_end().get(), Ordering::Relaxed);
        self.size_bytes.store(copy.size_bytes(), Ordering::Relaxed);
    }
}

/// Cuts the copy to what it has in common with the log, by their leader epochs, as a follower's log is cut.
fn align(copy: &mut Log, log: &Log, now: Timestamp) -> Result<(), LogError> {
    while copy.latest_epoch() != LeaderEpoch::NONE {
        let latest = copy.latest_epoch();
        let (epoch, end) = log.epoch_end(latest);
        if epoch == LeaderEpoch::NONE || end <= log.log_start() {
            return copy.truncate_fully_and_start_at(log.log_start(), now);
        }
        if epoch == latest && end >= copy.log_end() {
            break;
        }
        let own_end = copy.epoch_end(epoch).1;
        let offset = if own_end == Offset::NONE { end } else { end.min(own_end) };
        if offset < copy.log_start() {
            return copy.truncate_fully_and_start_at(log.log_start(), now);
        }
        copy.truncate_to(offset.min(copy.log_end()), now)?;
    }
    Ok(())
}
