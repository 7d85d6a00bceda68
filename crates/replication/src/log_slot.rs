//! The log of a replica, which is open only while it is used.
//!
//! Before and after, what it holds is known from its summary: where it starts and ends, and its newest epoch. That is enough to
//! lead and to follow, as long as nobody writes, reads or asks about older epochs. So a node starts without a look at the files
//! of partitions that nobody uses, a new partition has none before its first batch, and one that went idle costs what it did
//! before.
//!
//! Legal transitions: `Cold -> Open`, `Open -> Cold`, `Cold | Open -> Gone`.

use std::sync::Arc;

use highwater_env::clock;
use highwater_log::{Log, LogDirectory, LogError, LogSummary};
use highwater_partition::LogCursors;
use highwater_types::{LeaderEpoch, Offset, Timestamp, TopicIdPartition, TopicPartition};

use crate::topic_settings::LogSettings;

/// See the top of this file.
#[derive(Debug)]
pub(crate) enum LogSlot {
    /// Closed properly, or never written to.
    Cold(Box<ColdLog>),
    /// In use.
    Open(Box<OpenLog>),
    /// Closed, deleted, or on its way there.
    Gone,
}

/// A log that nobody uses.
#[derive(Debug)]
pub(crate) struct ColdLog {
    summary: LogSummary,
    settings: Arc<LogSettings>,
    /// The epoch in which this replica leads from the log end on, if it was told so.
    assigned: Option<LeaderEpoch>,
    /// How many it has; 0 of one that this process has not opened yet.
    segments: u32,
}

/// A log in use.
#[derive(Debug)]
pub(crate) struct OpenLog {
    pub log: Log,
    pub settings: Arc<LogSettings>,
}

impl LogSlot {
    /// A log that need not be opened yet.
    pub fn cold(summary: LogSummary, settings: Arc<LogSettings>) -> Self {
        Self::Cold(Box::new(ColdLog { summary, settings, assigned: None, segments: 0 }))
    }

    /// A log that was opened.
    pub fn open(log: Log, settings: Arc<LogSettings>) -> Self {
        Self::Open(Box::new(OpenLog { log, settings }))
    }

    /// Whether there is none any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }

    /// The log, if it is open.
    pub fn as_open(&self) -> Option<&Log> {
        if let Self::Open(open) = self { Some(&open.log) } else { None }
    }

    /// The log, if it is open.
    pub fn as_open_mut(&mut self) -> Option<&mut Log> {
        if let Self::Open(open) = self { Some(&mut open.log) } else { None }
    }

    /// Positions, of a log that is there.
    pub fn cursors(&self) -> Option<LogCursors> {
        match self {
            Self::Cold(cold) => {
                let LogSummary { log_start, log_end, .. } = cold.summary;
                Some(LogCursors { log_start, flushed: log_end, log_end })
            }
            Self::Open(open) => Some(cursors_of(&open.log)),
            Self::Gone => None,
        }
    }

    /// Bytes of batches.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Cold(cold) => cold.summary.size_bytes,
            Self::Open(open) => open.log.size_bytes(),
            Self::Gone => 0,
        }
    }

    /// Segments, as far as this process knows.
    pub fn segment_count(&self) -> usize {
        match self {
            Self::Cold(cold) => cold.segments as usize,
            Self::Open(open) => open.log.segment_count(),
            Self::Gone => 0,
        }
    }

    /// See [`Log::latest_epoch`].
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        match self {
            Self::Cold(cold) => Some(cold.latest_epoch()),
            Self::Open(open) => Some(open.log.latest_epoch()),
            Self::Gone => None,
        }
    }

    /// See [`Log::epoch_end`]; `None` if the log must be opened to tell, or is gone.
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        match self {
            Self::Cold(cold) => cold.epoch_end(epoch),
            Self::Open(open) => Some(open.log.epoch_end(epoch)),
            Self::Gone => None,
        }
    }

    /// See [`Log::last_stable_offset`]: of a cold log, every transaction has ended, and its end is committed.
    pub fn last_stable_offset(&mut self, high_watermark: Offset) -> Offset {
        self.as_open_mut().map_or(high_watermark, |log| log.last_stable_offset(high_watermark))
    }

    /// See [`Log::assign_epoch_start`].
    pub fn assign_epoch_start(&mut self, epoch: LeaderEpoch) {
        match self {
            Self::Cold(cold) => cold.assigned = Some(epoch),
            Self::Open(open) => drop(open.log.assign_epoch_start(epoch)),
            Self::Gone => {}
        }
    }

    /// Takes over the topic's configuration.
    pub fn configure(&mut self, settings: &Arc<LogSettings>) {
        match self {
            Self::Cold(cold) => cold.settings = settings.clone(),
            Self::Open(open) => {
                let config = settings.config_with_jitter(open.log.config().segment_jitter_ms);
                if *open.log.config() != config {
                    open.log.update_config(config);
                }
                open.settings = settings.clone();
            }
            Self::Gone => {}
        }
    }

    /// Whether retention has to look at the log itself.
    pub fn is_worth_retention(&self, now: Timestamp) -> bool {
        match self {
            Self::Cold(cold) => cold.summary.may_retain_too_much(&cold.settings.config, now),
            Self::Open(_) => true,
            Self::Gone => false,
        }
    }

    /// `file.delete.delay.ms`.
    pub fn file_delete_delay_ms(&self) -> i64 {
        match self {
            Self::Cold(cold) => cold.settings.config.file_delete_delay_ms,
            Self::Open(open) => open.log.config().file_delete_delay_ms,
            Self::Gone => 0,
        }
    }

    /// Opens a cold log. Blocks for the disk, though nothing is recovered.
    ///
    /// # Errors
    /// It stays cold. [`LogError::Corrupt`] also if it is not what its summary says.
    pub fn warm_up(
        &mut self,
        directory: &LogDirectory,
        name: &TopicPartition,
        id: TopicIdPartition,
    ) -> Result<(), LogError> {
        let Self::Cold(cold) = self else { return Ok(()) };
        directory.note_closed(name, id.topic_id, cold.summary);
        let mut log = directory.open_log(name, id.topic_id, cold.settings.draw_config(), clock::wall_ms())?;
        let LogSummary { log_start, log_end, .. } = cold.summary;
        if (log.log_start(), log.log_end()) != (log_start, log_end) {
            let reason = format!(
                "it was closed with offsets {log_start} to {log_end} and has {} to {}: its files were changed since",
                log.log_start(),
                log.log_end()
            );
            return Err(LogError::Corrupt {
                path: directory.path().join(name.to_string()),
                durable_mark: log_end,
                reason,
            });
        }
        if let Some(epoch) = cold.assigned {
            log.assign_epoch_start(epoch);
        }
        *self = Self::open(log, cold.settings.clone());
        Ok(())
    }

    /// Closes an open log that nobody uses, unless a transaction is open in it (only the open log can tell then what is stable), or
    /// retention would open it again. Blocks for the disk.
    ///
    /// # Errors
    /// If it is cold all the same, it could not be closed properly: the next opening recovers it.
    pub fn cool_down(
        &mut self,
        directory: &LogDirectory,
        name: &TopicPartition,
        id: TopicIdPartition,
    ) -> Result<(), LogError> {
        let Self::Open(open) = self else { return Ok(()) };
        let Some(summary) = open.log.summary()? else { return Ok(()) };
        if summary.may_retain_too_much(&open.settings.config, clock::wall_ms()) {
            return Ok(());
        }
        let latest = open.log.latest_epoch();
        let assigned = (latest > summary.latest_epoch).then_some(latest);
        let segments = u32::try_from(open.log.segment_count()).unwrap_or(u32::MAX);
        let Self::Open(open) = self.take() else { return Ok(()) };
        *self = Self::Cold(Box::new(ColdLog { summary, settings: open.settings, assigned, segments }));
        open.log.close()?;
        // It is here now.
        directory.take_summary(name, id.topic_id);
        Ok(())
    }

    /// Closes it for good: before the directory is. Blocks for the disk.
    pub fn close(self, directory: &LogDirectory, name: &TopicPartition, id: TopicIdPartition) -> Result<(), LogError> {
        match self {
            Self::Cold(cold) => directory.note_closed(name, id.topic_id, cold.summary),
            Self::Open(open) => _ = open.log.close()?,
            Self::Gone => {}
        }
        Ok(())
    }

    /// Takes it away.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Gone)
    }
}

impl ColdLog {
    fn latest_epoch(&self) -> LeaderEpoch {
        self.assigned.unwrap_or(self.summary.latest_epoch)
    }

    fn epoch_end(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let (latest, written, log_end) = (self.latest_epoch(), self.summary.latest_epoch, self.summary.log_end);
        if epoch < LeaderEpoch(0) || epoch > latest {
            Some((LeaderEpoch::NONE, Offset::NONE))
        } else if epoch == latest {
            Some((epoch, log_end))
        } else if epoch >= written {
            // It ends where the assigned one starts, and the log does.
            Some((if written == LeaderEpoch::NONE { epoch } else { written }, log_end))
        } else {
            None
        }
    }
}

/// Positions of an open log.
pub(crate) fn cursors_of(log: &Log) -> LogCursors {
    // The flushed mark may be ahead of the end that a cut left for a moment; never is it for the core.
    LogCursors { log_start: log.log_start(), flushed: log.flushed().min(log.log_end()), log_end: log.log_end() }
}
