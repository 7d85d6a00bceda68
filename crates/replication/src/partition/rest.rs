//! What a partition that nobody uses gives back: its log is closed, and there is no room for those who wait.
//!
//! Reads and flushes go on without the partition's lock, with the sides of the log that [`Partition::reader`] and
//! [`Partition::flush_target`] hand out. They would not hear of what a log does that is opened later: (1) a reader holds the
//! read side, (2) the log is closed and opened again, (3) it is cut and continued, (4) the reader takes the new bytes for the
//! old. So a log is closed only once nobody holds them.

use std::sync::Arc;

use highwater_log::SpaceUse;

use super::{Partition, State};
use crate::aftermath::Aftermath;

impl Partition {
    /// Gives back what an idle partition needs not; of one in use, nothing. Blocks for the disk.
    pub fn rest(self: &Arc<Self>) {
        self.waiters.shrink();
        self.locked(|state, aftermath| state.rest(self, aftermath));
    }

    /// Takes back the sides of the log that work without the lock. False, and no change, if somebody uses them.
    fn take_back_handles(&self) -> bool {
        let Some(handles) = self.handles.swap(None) else { return true };
        let taken = Arc::try_unwrap(handles);
        taken.map_err(|handles| self.handles.store(Some(handles))).is_ok()
    }
}

impl State {
    fn rest(&mut self, partition: &Arc<Partition>, aftermath: &mut Aftermath) {
        self.parked.shrink();
        self.deletions.shrink();
        if let Some(directory) = partition.directory()
            && self.is_idle(partition)
            && partition.take_back_handles()
        {
            if let Some(log) = self.log.as_open().filter(|log| log.is_shared()) {
                partition.hand_out(log);
                return;
            }
            match self.log.cool_down(&directory, &partition.name, partition.id) {
                Err(error) if !error.is_disk_full() => self.fail(partition, &error.to_string(), aftermath),
                _ => {}
            }
            // One with an open transaction.
            if let Some(log) = self.log.as_open() {
                partition.hand_out(log);
            }
        }
    }

    /// Whether the log is open and nothing is under way with it. The cleaner looks into compacted logs all the time.
    fn is_idle(&self, partition: &Partition) -> bool {
        let (replica, busy) = (&self.replica, partition.is_compacted() || partition.is_compacting());
        let settled = [replica.cursors().flushed, replica.high_watermark()] == [replica.cursors().log_end; 2];
        let awaited = self.future.is_some() || !self.parked.is_empty() || !self.deletions.is_empty();
        // Closing it writes files.
        let has_room = partition.admits(0, SpaceUse::Produce);
        settled && has_room && !(self.failed || busy || awaited) && self.log.as_open().is_some_and(|log| log.is_idle())
    }
}
