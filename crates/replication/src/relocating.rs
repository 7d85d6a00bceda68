//! A partition whose log moves to another log directory: the copy, and the end of the move.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use highwater_env::clock;
use highwater_log::{LogConfig, LogDirectory, LogError};
use highwater_partition::Event;
use highwater_types::LeaderEpoch;

use crate::aftermath::Aftermath;
use crate::future_log::{CopyStep, FutureLog, RelocationError};
use crate::home::Home;
use crate::log_slot::{LogSlot, OpenLog};
use crate::partition::{Partition, State};
use crate::topic_settings::LogSettings;

/// Bytes of batches that are copied under the partition's lock, at most: what was appended during the last flush of the copy.
const TAIL_BYTES: usize = 1 << 20;

impl Partition {
    /// Whether a compaction is at work on its log, which must stay where it is meanwhile.
    pub fn is_compacting(&self) -> bool {
        self.compacting.load(Ordering::Relaxed)
    }

    /// Notes that. To be set under the partition's lock.
    pub fn set_compacting(&self, compacting: bool) {
        self.compacting.store(compacting, Ordering::Relaxed);
    }

    /// A copy goes to another directory from now on; the one before, if there was one, is given up by whoever works on it.
    pub fn set_future(self: &Arc<Self>, future: Option<Arc<FutureLog>>) {
        self.locked(|state, _| state.future = future);
    }

    /// The move to another directory has ended, if it is still that one.
    pub fn forget_future(self: &Arc<Self>, future: &Arc<FutureLog>) {
        self.locked(|state, _| drop(state.future.take_if(|present| Arc::ptr_eq(present, future))));
    }

    /// Opens the copy, if it is not open. Blocks for the disk.
    pub fn open_future(self: &Arc<Self>, future: &FutureLog) -> Result<(), RelocationError> {
        if future.is_open() {
            return Ok(());
        }
        let directory = future.directory().ok_or(RelocationError::Cancelled)?;
        let config = self.with_log(|log, _| log.config().clone()).ok_or(RelocationError::OutOfService)?;
        let now = clock::wall_ms();
        let copy = directory.open_future((&self.name, self.id.topic_id), future.unique, config, now)?;
        let opened = self.with_log(|log, _| future.on_opened(copy, log, now));
        opened.unwrap_or(Err(RelocationError::OutOfService))
    }

    /// Copies up to about `max_bytes`. Blocks for the disk.
    pub fn copy_to(self: &Arc<Self>, future: &FutureLog, max_bytes: usize) -> Result<CopyStep, RelocationError> {
        let reader = self.reader().map_err(|_| RelocationError::OutOfService)?;
        future.copy(&reader, max_bytes).inspect_err(|error| {
            if let RelocationError::Read(error) = error {
                self.note_read_error(error);
            }
        })
    }

    /// Puts the copy in the place of the log: what is missing of it is copied, it is closed, and from then on the log is in the
    /// other directory. False if that has to wait: too much is missing, or the log is being compacted. Blocks for the disk.
    pub fn relocate(self: &Arc<Self>, future: &Arc<FutureLog>) -> Result<bool, RelocationError> {
        self.locked(|state, aftermath| state.relocate(self, future, aftermath))
    }
}

impl State {
    fn relocate(
        &mut self,
        partition: &Arc<Partition>,
        future: &Arc<FutureLog>,
        aftermath: &mut Aftermath,
    ) -> Result<bool, RelocationError> {
        if !self.future.as_ref().is_some_and(|present| Arc::ptr_eq(present, future)) {
            return Err(RelocationError::Cancelled);
        }
        if self.failed {
            return Err(RelocationError::OutOfService);
        }
        if partition.is_compacting() {
            return Ok(false);
        }
        let (Some(from), Some(to)) = (partition.directory(), future.directory()) else {
            return Err(RelocationError::Cancelled);
        };
        let log_start = self.open_log(partition, aftermath).ok_or(RelocationError::OutOfService)?.log_start();
        partition.copy_to(future, TAIL_BYTES)?;
        if partition.copy_to(future, 0)? != CopyStep::CaughtUp {
            return Ok(false);
        }
        let mut copy = future.take().ok_or(RelocationError::Cancelled)?;
        copy.set_log_start(log_start)?;
        copy.close()?;
        to.checkpoint(&[(partition.name.clone(), self.replica.high_watermark())])?;
        self.change_home(partition, (&from, &to), future, aftermath)?;
        self.future = None;
        self.durable_log_start = self.durable_log_start.max(log_start);
        Ok(true)
    }

    /// The renames, of which the first one decides.
    fn change_home(
        &mut self,
        partition: &Arc<Partition>,
        (from, to): (&Arc<LogDirectory>, &Arc<LogDirectory>),
        future: &FutureLog,
        aftermath: &mut Aftermath,
    ) -> Result<(), RelocationError> {
        let LogSlot::Open(open) = self.log.take() else { return Err(RelocationError::OutOfService) };
        let OpenLog { log, settings } = *open;
        let (config, latest) = (log.config().clone(), log.latest_epoch());
        let moved = from.set_moved_aside(&log, future.unique);
        drop(log);
        let adopted = match &moved {
            Ok(()) => to.adopt_future(&partition.name, future.unique),
            Err(_) => Ok(()),
        };
        let (home, directory) = if moved.is_ok() { (future.home().clone(), to) } else { (partition.home(), from) };
        let opening = (directory, config, settings);
        if let Err(error) = adopted.and_then(|()| self.settle(partition, &home, opening, latest, aftermath)) {
            self.fail(partition, &error.to_string(), aftermath);
            return Err(error.into());
        }
        Ok(moved?)
    }

    /// Opens the log, which is complete, in that directory.
    fn settle(
        &mut self,
        partition: &Arc<Partition>,
        home: &Arc<Home>,
        (directory, config, settings): (&Arc<LogDirectory>, LogConfig, Arc<LogSettings>),
        latest: LeaderEpoch,
        aftermath: &mut Aftermath,
    ) -> Result<(), LogError> {
        let mut log = directory.open_log(&partition.name, partition.id.topic_id, config, clock::wall_ms())?;
        if latest > log.latest_epoch() {
            // It was assigned and has no record yet.
            log.assign_epoch_start(latest);
        }
        partition.on_home(home, &log);
        let flushed = log.flushed();
        self.log = LogSlot::open(log, settings);
        self.step(partition, Event::Flushed { flushed }, aftermath);
        Ok(())
    }
}
