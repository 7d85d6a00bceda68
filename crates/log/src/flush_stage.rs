//! The sync scheduler's note on one log.

use std::sync::atomic::{AtomicU8, Ordering};

/// Where a log is between an append and its flush. Transitions:
/// - `IDLE` -> `QUEUED` -> `FLUSHING` -> `IDLE`: one request, one flush;
/// - `FLUSHING` -> `MARKED` -> `QUEUED`: a request during the flush.
#[derive(Debug, Default)]
pub(crate) struct FlushStage(AtomicU8);

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const FLUSHING: u8 = 2;
const MARKED: u8 = 3;

impl FlushStage {
    /// Returns whether the log must be put into the queue.
    pub(crate) fn request(&self) -> bool {
        let next = |stage| match stage {
            IDLE => Some(QUEUED),
            FLUSHING => Some(MARKED),
            _ => None,
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(IDLE)
    }

    /// The log was taken from the queue.
    pub(crate) fn begin(&self) {
        self.0.store(FLUSHING, Ordering::Release);
    }

    /// The flush ended. Returns whether the log must be put into the queue again.
    pub(crate) fn end(&self) -> bool {
        let next = |stage| Some(if stage == MARKED { QUEUED } else { IDLE });
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(MARKED)
    }
}
