//! Figures of the log directories, under Kafka's names where it has them.

use highwater_env::Fs;
use highwater_log::LogDirectory;
use prometheus::core::Collector;
use prometheus::{IntGauge, IntGaugeVec, Opts};

use crate::LogDirectories;

/// Read when scraped.
pub(crate) struct DirectoryMetrics {
    directories: LogDirectories,
    offline_count: IntGauge,
    offline: IntGaugeVec,
    full: IntGaugeVec,
    usable_bytes: IntGaugeVec,
    total_bytes: IntGaugeVec,
    fs: Fs,
}

impl DirectoryMetrics {
    pub fn new(directories: LogDirectories, fs: Fs) -> Self {
        let offline_count =
            IntGauge::new("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that are out of service");
        Self {
            directories,
            offline_count: offline_count.expect("a legal name"),
            offline: per_directory(
                "kafka_log_logmanager_logdirectoryoffline",
                "1 for a log directory that is out of service",
            ),
            full: per_directory("highwater_log_directory_full", "1 while producers are refused to keep the reserve"),
            usable_bytes: per_directory("highwater_log_directory_usable_bytes", "Free bytes of the directory's volume"),
            total_bytes: per_directory("highwater_log_directory_total_bytes", "Size of the directory's volume"),
            fs,
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let own: [&dyn Collector; 5] =
            [&self.offline_count, &self.offline, &self.full, &self.usable_bytes, &self.total_bytes];
        own.into_iter()
    }

    pub fn refresh(&self) {
        let LogDirectories { opened, unreadable } = &self.directories;
        let is_offline = |directory: &LogDirectory| i64::from(!directory.is_online());
        let states = opened.iter().map(|directory| (directory.path(), is_offline(directory)));
        let mut count = 0;
        for (path, offline) in states.chain(unreadable.iter().map(|path| (path.as_path(), 1))) {
            count += offline;
            self.offline.with_label_values(&[&path.to_string_lossy()]).set(offline);
        }
        self.offline_count.set(count);
        for directory in opened.iter().filter(|directory| directory.is_online()) {
            let path = directory.path();
            let label = path.to_string_lossy();
            self.full.with_label_values(&[&label]).set(directory.space().is_low().into());
            let sizes =
                [(&self.usable_bytes, self.fs.available_bytes(path)), (&self.total_bytes, self.fs.total_bytes(path))];
            for (figure, bytes) in sizes {
                if let Ok(bytes) = bytes {
                    figure.with_label_values(&[&label]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
                }
            }
        }
    }
}

fn per_directory(name: &str, help: &str) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), &["logDirectory"]).expect("a legal name")
}
