//! DeleteRecords (KIP-107): the leader raises its log start, and the request waits for the low watermark.
//!
//! The low watermark is the least log start that is durable on every replica that may lead next without an unclean election:
//! the maximal ISR, connected or not. So what was deleted stays deleted whoever fails after the answer. A follower learns the
//! log start from a push, makes it durable, and says so in its acknowledgements.

use std::sync::Arc;

use highwater_env::run_blocking;
use highwater_partition::{Event, LogCursors, RoleKind};
use highwater_types::{ErrorCode, Offset};
use tokio::time::{Instant, timeout_at};

use crate::HighWatermarkWait;
use crate::aftermath::Aftermath;
use crate::partition::{Partition, State};

impl Partition {
    /// Deletes the records below `offset`, or all that are committed, and waits until that is durable on every replica that
    /// may lead next. Returns the low watermark.
    pub async fn delete_records(
        self: &Arc<Self>,
        offset: Option<Offset>,
        deadline: Instant,
    ) -> Result<Offset, ErrorCode> {
        let here = self.clone();
        let deleted = run_blocking(move || here.delete_here(offset)).await?;
        let wait = self.locked(|state, _| {
            if state.replica.role() != RoleKind::Leader {
                return Err(ErrorCode::NotLeaderOrFollower);
            }
            Ok(HighWatermarkWait::new(state.deletions.park(deleted)))
        })?;
        match timeout_at(deadline, wait).await {
            Ok(result) => {
                result.map(|()| self.locked(|state, _| state.low_watermark()).map_or(deleted, |low| low.max(deleted)))
            }
            Err(_) => {
                self.locked(|state, _| state.deletions.forget_abandoned());
                Err(ErrorCode::RequestTimedOut)
            }
        }
    }

    /// The leader's part: durable on return. Returns the offset that was asked for.
    fn delete_here(self: &Arc<Self>, offset: Option<Offset>) -> Result<Offset, ErrorCode> {
        if !self.host.lease.is_valid() || self.snapshot().role != RoleKind::Leader {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let moved = self.with_log(|log, replica| {
            if log.config().compact_policy && !log.config().delete_policy {
                return Err(ErrorCode::PolicyViolation);
            }
            let high_watermark = replica.high_watermark();
            let offset = offset.unwrap_or(high_watermark);
            if offset < Offset::ZERO || offset > high_watermark {
                return Err(ErrorCode::OffsetOutOfRange);
            }
            log.set_log_start(offset).map_err(|error| error.code())?;
            Ok(offset)
        });
        let deleted = moved.unwrap_or(Err(ErrorCode::KafkaStorageError))?;
        if self.secure_log_start() { Ok(deleted) } else { Err(ErrorCode::KafkaStorageError) }
    }

    /// Makes the log start durable, and tells the leader, if there is one. Blocks for the disk. Returns whether it is durable.
    pub fn secure_log_start(self: &Arc<Self>) -> bool {
        let Some(directory) = self.directory() else { return false };
        let (Ok(reader), Ok(flush)) = (self.reader(), self.flush_target()) else { return false };
        let log_start = reader.log_start();
        // What is on disk must reach the log start: an empty log would not know where it starts.
        let flushed = if flush.flushed() < log_start { flush.flush().map(drop) } else { Ok(()) };
        if let Err(error) = flushed.and_then(|()| directory.persist_log_start(&self.name)) {
            tracing::error!(partition = %self.name, %error, "the log start is not durable yet");
            return false;
        }
        self.locked(|state, aftermath| state.on_log_start_durable(self, log_start, aftermath));
        true
    }
}

impl State {
    fn on_log_start_durable(&mut self, partition: &Arc<Partition>, log_start: Offset, aftermath: &mut Aftermath) {
        let Some(LogCursors { log_start: now, flushed, .. }) = self.log.cursors() else { return };
        // The log may have been cut and begun anew meanwhile.
        self.durable_log_start = self.durable_log_start.max(log_start.min(now));
        self.step(partition, Event::Flushed { flushed }, aftermath);
        self.tell_leader();
    }

    /// As leader: answers the deletions that the low watermark has reached.
    pub fn release_deletions(&mut self, aftermath: &mut Aftermath) {
        if !self.deletions.is_empty()
            && let Some(low_watermark) = self.low_watermark()
        {
            aftermath.answer(self.deletions.release(low_watermark));
        }
    }

    fn low_watermark(&self) -> Option<Offset> {
        let mut low_watermark = self.durable_log_start;
        for member in self.replica.maximal_isr()?.into_iter().filter(|&member| member != self.replica.id()) {
            let follower = self.followers.iter().find(|follower| follower.stream.replica == member);
            low_watermark = low_watermark.min(follower.map_or(Offset::ZERO, |follower| follower.log_start()));
        }
        Some(low_watermark)
    }
}
