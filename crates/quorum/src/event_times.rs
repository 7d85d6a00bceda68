//! How long commands of the active controller wait and take.

use highwater_metrics::table::controller;
use prometheus::Histogram;

/// Waiting and working time of the active controller's commands.
#[derive(Debug, Clone)]
pub(crate) struct EventTimes {
    pub(crate) queue: Histogram,
    pub(crate) processing: Histogram,
}

impl EventTimes {
    pub(crate) fn new() -> Self {
        Self {
            queue: controller::EVENT_QUEUE_TIME_MS.one_histogram(),
            processing: controller::EVENT_QUEUE_PROCESSING_TIME_MS.one_histogram(),
        }
    }

    /// A command was taken from the queue, so long after it was put there.
    pub(crate) fn on_taken(&self, waited_us: u64) {
        self.queue.observe(waited_us as f64 / 1000.0);
    }

    /// A batch of commands is decided, committed and answered.
    pub(crate) fn on_done(&self, took_us: u64) {
        self.processing.observe(took_us as f64 / 1000.0);
    }
}
