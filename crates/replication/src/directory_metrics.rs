//! Figures of the log directories, under Kafka's names where it has them.

use highwater_log::LogDirectory;
use prometheus::core::Collector;
use prometheus::{IntGauge, IntGaugeVec, Opts};

use crate::LogDirectories;

/// Read when scraped.
pub(crate) struct DirectoryMetrics {
    directories: LogDirectories,
    offline_count: IntGauge,
    offline: IntGaugeVec,
}

impl DirectoryMetrics {
    pub fn new(directories: LogDirectories) -> Self {
        let offline_count =
            IntGauge::new("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that are out of service");
        let offline =
            Opts::new("kafka_log_logmanager_logdirectoryoffline", "1 for a log directory that is out of service");
        Self {
            directories,
            offline_count: offline_count.expect("a legal name"),
            offline: IntGaugeVec::new(offline, &["logDirectory"]).expect("a legal name"),
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let own: [&dyn Collector; 2] = [&self.offline_count, &self.offline];
        own.into_iter()
    }

    pub fn refresh(&self) {
        let LogDirectories { opened, unreadable } = &self.directories;
        let is_offline = |directory: &LogDirectory| i64::from(!directory.is_online());
        let opened = opened.iter().map(|directory| (directory.path(), is_offline(directory)));
        let mut count = 0;
        for (path, offline) in opened.chain(unreadable.iter().map(|path| (path.as_path(), 1))) {
            count += offline;
            self.offline.with_label_values(&[&path.to_string_lossy()]).set(offline);
        }
        self.offline_count.set(count);
    }
}
