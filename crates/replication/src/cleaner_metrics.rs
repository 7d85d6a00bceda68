//! Figures of log compaction, under the names that Kafka's have after the JMX exporter where Kafka has them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use highwater_env::clock;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntGauge, Opts};

use crate::context::Context;
use crate::totals::catch_up;

pub(crate) struct CleanerMetrics {
    max_dirty_percent: IntGauge,
    time_since_last_run_ms: IntGauge,
    uncleanable_partitions: IntGauge,
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
            max_dirty_percent: gauge(
                "kafka_log_logcleanermanager_max_dirty_percent",
                "Largest share of a compacted log that waits for compaction",
            ),
            time_since_last_run_ms: gauge(
                "kafka_log_logcleanermanager_time_since_last_run_ms",
                "Time since the compacted logs were last looked at",
            ),
            uncleanable_partitions: gauge(
                "kafka_log_logcleanermanager_uncleanable_partitions_count",
                "Logs that cannot be compacted because they are damaged",
            ),
            cleanable_bytes: gauge("highwater_log_cleaner_cleanable_bytes", "Bytes that wait for compaction"),
            running: gauge("highwater_log_cleaner_running", "Logs that are being compacted"),
            passes: counter("highwater_log_cleaner_passes_total", "Logs compacted"),
            read_bytes: counter("highwater_log_cleaner_read_bytes_total", "Bytes read by compaction"),
            written_bytes: counter("highwater_log_cleaner_written_bytes_total", "Bytes written by compaction"),
            reclaimed_bytes: counter("highwater_log_cleaner_reclaimed_bytes_total", "Bytes that compaction freed"),
        }
    }

    pub fn all(&self) -> [&dyn Collector; 9] {
        [
            &self.max_dirty_percent,
            &self.time_since_last_run_ms,
            &self.uncleanable_partitions,
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
        self.cleanable_bytes.set(as_i64(progress.cleanable_bytes.load(Ordering::Relaxed)));
        self.running.set(as_i64(progress.running.load(Ordering::Relaxed)));
        catch_up(&self.passes, progress.passes.load(Ordering::Relaxed));
        catch_up(&self.read_bytes, progress.read_bytes.load(Ordering::Relaxed));
        catch_up(&self.written_bytes, progress.written_bytes.load(Ordering::Relaxed));
        catch_up(&self.reclaimed_bytes, progress.reclaimed_bytes.load(Ordering::Relaxed));
    }
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::with_opts(Opts::new(name, help)).expect("a legal name")
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::with_opts(Opts::new(name, help)).expect("a legal name")
}
