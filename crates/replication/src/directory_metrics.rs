//! Figures of the log directories.

use highwater_env::Fs;
use highwater_log::LogDirectory;
use highwater_metrics::table::logs;
use prometheus::core::Collector;
use prometheus::{IntGauge, IntGaugeVec};

use crate::LogDirectories;

/// Read when scraped. Asks the volumes for their sizes, which may block.
pub(crate) struct DirectoryMetrics {
    fs: Fs,
    directories: LogDirectories,
    offline_count: IntGauge,
    offline: IntGaugeVec,
    full: IntGaugeVec,
    total_bytes: IntGaugeVec,
    usable_bytes: IntGaugeVec,
    flush_queue: IntGaugeVec,
}

impl DirectoryMetrics {
    pub fn new(fs: Fs, directories: LogDirectories) -> Self {
        Self {
            fs,
            directories,
            offline_count: logs::OFFLINE_LOG_DIRECTORY_COUNT.int_gauge(),
            offline: logs::LOG_DIRECTORY_OFFLINE.int_gauge_vec(),
            full: logs::LOG_DIRECTORY_FULL.int_gauge_vec(),
            total_bytes: logs::LOG_DIRECTORY_TOTAL_BYTES.int_gauge_vec(),
            usable_bytes: logs::LOG_DIRECTORY_USABLE_BYTES.int_gauge_vec(),
            flush_queue: logs::FLUSH_QUEUE_SIZE.int_gauge_vec(),
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let own: [&dyn Collector; 6] =
            [&self.offline_count, &self.offline, &self.full, &self.total_bytes, &self.usable_bytes, &self.flush_queue];
        let flush_times =
            self.directories.opened.iter().map(|directory| directory.sync().flush_times() as &dyn Collector);
        own.into_iter().chain(flush_times)
    }

    pub fn refresh(&self) {
        let LogDirectories { opened, unreadable } = &self.directories;
        let is_offline = |directory: &LogDirectory| i64::from(!directory.is_online());
        let by_path = opened.iter().map(|directory| (directory.path(), is_offline(directory)));
        let mut count = 0;
        for (path, offline) in by_path.chain(unreadable.iter().map(|path| (path.as_path(), 1))) {
            count += offline;
            self.offline.with_label_values(&[&path.to_string_lossy()]).set(offline);
        }
        self.offline_count.set(count);
        opened.iter().for_each(|directory| self.refresh_opened(directory));
    }

    fn refresh_opened(&self, directory: &LogDirectory) {
        let as_i64 = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let path = directory.path().to_string_lossy();
        let set = |gauge: &IntGaugeVec, value: i64| gauge.with_label_values(&[&path]).set(value);
        set(&self.flush_queue, directory.sync().queue_size() as i64);
        set(&self.full, directory.space().is_low().into());
        // A volume that does not answer keeps its last figure.
        if let Ok(bytes) = self.fs.total_bytes(directory.path()) {
            set(&self.total_bytes, as_i64(bytes));
        }
        if let Ok(bytes) = self.fs.available_bytes(directory.path()) {
            set(&self.usable_bytes, as_i64(bytes));
        }
    }
}
