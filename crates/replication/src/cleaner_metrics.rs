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
    uncleanable_bytes: IntGauge,
    max_compaction_delay_secs: IntGauge,
    recopy_percent: IntGauge,
    max_clean_time_secs: IntGauge,
    max_buffer_utilization_percent: IntGauge,
    cleanable_bytes: IntGauge,
    running: IntGauge,
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
            uncleanable_bytes: logs::UNCLEANABLE_BYTES.int_gauge(),
            max_compaction_delay_secs: logs::MAX_COMPACTION_DELAY_SECS.int_gauge(),
            recopy_percent: logs::CLEANER_RECOPY_PERCENT.int_gauge(),
            max_clean_time_secs: logs::MAX_CLEAN_TIME_SECS.int_gauge(),
            max_buffer_utilization_percent: logs::MAX_BUFFER_UTILIZATION_PERCENT.int_gauge(),
            cleanable_bytes: logs::CLEANABLE_BYTES.int_gauge(),
            running: logs::CLEANER_RUNNING.int_gauge(),
            passes: logs::CLEANER_PASSES.int_counter(),
            read_bytes: logs::CLEANER_READ_BYTES.int_counter(),
            written_bytes: logs::CLEANER_WRITTEN_BYTES.int_counter(),
            reclaimed_bytes: logs::CLEANER_RECLAIMED_BYTES.int_counter(),
        }
    }

    pub fn all(&self) -> [&dyn Collector; 14] {
        [
            &self.max_dirty_percent,
            &self.time_since_last_run_ms,
            &self.uncleanable_partitions,
            &self.uncleanable_bytes,
            &self.max_compaction_delay_secs,
            &self.recopy_percent,
            &self.max_clean_time_secs,
            &self.max_buffer_utilization_percent,
            &self.cleanable_bytes,
            &self.running,
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
        self.uncleanable_bytes.set(as_i64(progress.uncleanable_bytes.load(Ordering::Relaxed)));
        self.max_compaction_delay_secs.set(progress.max_delay_ms.load(Ordering::Relaxed) / 1000);
        let last = *progress.last_pass.lock();
        self.recopy_percent.set(as_i64(last.recopy_percent));
        self.max_clean_time_secs.set(as_i64(last.seconds));
        self.max_buffer_utilization_percent.set(as_i64(last.map_percent));
        self.cleanable_bytes.set(as_i64(progress.cleanable_bytes.load(Ordering::Relaxed)));
        self.running.set(as_i64(progress.running.load(Ordering::Relaxed)));
        catch_up(&self.passes, progress.passes.load(Ordering::Relaxed));
        catch_up(&self.read_bytes, progress.read_bytes.load(Ordering::Relaxed));
        catch_up(&self.written_bytes, progress.written_bytes.load(Ordering::Relaxed));
        catch_up(&self.reclaimed_bytes, progress.reclaimed_bytes.load(Ordering::Relaxed));
    }
}
