//! Log directories that fail while the node runs: their replicas go out of service, the rest goes on.
//!
//! A directory fails with the first I/O error or failed flush (S4), noticed by whoever met it, often with locks held. That
//! only notes it; a task does the rest.

use std::sync::Arc;

use highwater_env::lock::Mutex;
use highwater_log::LogDirectory;
use tokio::sync::Notify;

/// Directories that failed and were not dealt with yet, by position, with the reason.
#[derive(Default)]
pub(crate) struct DirectoryFailures {
    failed: Mutex<Vec<(usize, String)>>,
    notify: Notify,
}

impl DirectoryFailures {
    /// Hears of the failures of these directories, also of those that have happened.
    pub fn watch(self: &Arc<Self>, directories: &[Arc<LogDirectory>]) {
        for (position, directory) in directories.iter().enumerate() {
            let failures = self.clone();
            directory.on_offline(move |reason| failures.add(position, reason));
            if !directory.is_online() {
                self.add(position, "it failed while the node started");
            }
        }
    }

    fn add(&self, position: usize, reason: &str) {
        self.failed.lock().push((position, reason.to_owned()));
        self.notify.notify_one();
    }

    /// Waits for the next ones.
    pub async fn take(&self) -> Vec<(usize, String)> {
        loop {
            let failed = std::mem::take(&mut *self.failed.lock());
            if !failed.is_empty() {
                return failed;
            }
            self.notify.notified().await;
        }
    }
}
