//! Figures of log compaction.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use highwater_env::clock;
use highwater_metrics::table::logs;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntGauge};

use crate::context::Context;
use crate::totals::catch_up;

pub(crate) struct CleanerMetrics {
    max_dirty_percent: IntGauge,
    time_since_last_run_ms: IntGauge,
    uncleanable_partitions: IntGauge,
    cleanable_bytes: IntGauge,
    passes: IntCounter,
    read_bytes: IntCounter,
    written_bytes: IntCounter,
    reclaimed_bytes: IntCounter,
}

impl CleanerMetrics {
    pub fn new() -> Self {
        Self {
            max_dirty_percent: logs::MAX_DIRTY_PERCENT.int_gauge(),
            time_since_last_run_ms: logs::TIME_SINCE_LAST_RUN_MS.int_gauge(),
            uncleanable_partitions: logs::UNCLEANABLE_PARTITIONS.int_gauge(),
            cleanable_bytes: logs::CLEANABLE_BYTES.int_gauge(),
            passes: logs::CLEANER_PASSES.int_counter(),
            read_bytes: logs::CLEANER_READ_BYTES.int_counter(),
            written_bytes: logs::CLEANER_WRITTEN_BYTES.int_counter(),
            reclaimed_bytes: logs::CLEANER_RECLAIMED_BYTES.int_counter(),
        }
    }

    pub fn all(&self) -> [&dyn Collector; 8] {
        [
            &self.max_dirty_percent,
            &self.time_since_last_run_ms,
            &self.uncleanable_partitions,
            &self.cleanable_bytes,
            &self.passes,
            &self.read_bytes,
            &self.written_bytes,
            &self.reclaimed_bytes,
        ]
    }

    pub fn refresh(&self, context: &Arc<Context>) {
        let progress = &context.cleaner;
        let as_i64 = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.max_dirty_percent.set(as_i64(progress.max_dirty_percent.load(Ordering::Relaxed)));
        let looked_at = progress.looked_at_ms.load(Ordering::Relaxed);
        let since = if looked_at == 0 { 0 } else { clock::wall_ms().0.saturating_sub(looked_at) };
        self.time_since_last_run_ms.set(since);
        self.uncleanable_partitions.set(progress.uncleanable.lock().len() as i64);
        self.cleanable_bytes.set(as_i64(progress.cleanable_bytes.load(Ordering::Relaxed)));
        catch_up(&self.passes, progress.passes.load(Ordering::Relaxed));
        catch_up(&self.read_bytes, progress.read_bytes.load(Ordering::Relaxed));
        catch_up(&self.written_bytes, progress.written_bytes.load(Ordering::Relaxed));
        catch_up(&self.reclaimed_bytes, progress.reclaimed_bytes.load(Ordering::Relaxed));
    }
}
