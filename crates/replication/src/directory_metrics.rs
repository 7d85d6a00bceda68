//! Figures of the log directories.

use std::sync::Arc;

use highwater_env::Fs;
use highwater_log::LogDirectory;
use highwater_metrics::table::logs;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec};

/// Asks the volumes for their sizes when it collects, which may block.
pub(crate) struct DirectoryMetrics {
    fs: Fs,
    directories: Vec<Arc<LogDirectory>>,
    offline: IntGaugeVec,
    offline_count: IntGauge,
    total_bytes: IntGaugeVec,
    usable_bytes: IntGaugeVec,
    flush_queue: IntGaugeVec,
}

impl DirectoryMetrics {
    pub fn new(fs: Fs, directories: Vec<Arc<LogDirectory>>) -> Self {
        Self {
            fs,
            directories,
            offline: logs::LOG_DIRECTORY_OFFLINE.int_gauge_vec(),
            offline_count: logs::OFFLINE_LOG_DIRECTORY_COUNT.int_gauge(),
            total_bytes: logs::LOG_DIRECTORY_TOTAL_BYTES.int_gauge_vec(),
            usable_bytes: logs::LOG_DIRECTORY_USABLE_BYTES.int_gauge_vec(),
            flush_queue: logs::FLUSH_QUEUE_SIZE.int_gauge_vec(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let own: [&dyn Collector; 5] =
            [&self.offline, &self.offline_count, &self.total_bytes, &self.usable_bytes, &self.flush_queue];
        own.into_iter().chain(self.directories.iter().map(|directory| directory.sync().flush_times() as &dyn Collector))
    }

    fn refresh(&self) {
        let as_i64 = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for directory in &self.directories {
            let path = directory.path().display().to_string();
            let set = |gauge: &IntGaugeVec, value: i64| gauge.with_label_values(&[&path]).set(value);
            set(&self.offline, i64::from(!directory.is_online()));
            set(&self.flush_queue, directory.sync().queue_size() as i64);
            // A volume that does not answer keeps its last figure.
            if let Ok(bytes) = self.fs.total_bytes(directory.path()) {
                set(&self.total_bytes, as_i64(bytes));
            }
            if let Ok(bytes) = self.fs.available_bytes(directory.path()) {
                set(&self.usable_bytes, as_i64(bytes));
            }
        }
        self.offline_count.set(self.directories.iter().filter(|directory| !directory.is_online()).count() as i64);
    }
}

impl Collector for DirectoryMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        self.all().flat_map(Collector::collect).collect()
    }
}
