//! Log directories that fail while the node runs: their replicas go out of service, the rest goes on.
//!
//! A directory fails with the first I/O error or failed flush (S4), noticed by whoever met it, often with locks held. That
//! only notes it; a task does the rest.

use std::sync::Arc;

use highwater_log::LogDirectory;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::context::Context;
use crate::directory_reports::{DirectoryReporter, FailedLogDirectory};

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

    async fn take(&self) -> Vec<(usize, String)> {
        loop {
            let failed = std::mem::take(&mut *self.failed.lock());
            if !failed.is_empty() {
                return failed;
            }
            self.notify.notified().await;
        }
    }
}

/// Takes the replicas of failed directories out of service. Runs until it is aborted.
pub(crate) async fn handle_failures(
    context: Arc<Context>,
    directories: Vec<Arc<LogDirectory>>,
    reporter: Arc<dyn DirectoryReporter>,
) {
    let mut seen = vec![false; directories.len()];
    loop {
        for (position, reason) in context.failures.take().await {
            if std::mem::replace(&mut seen[position], true) {
                continue;
            }
            let directory = &directories[position];
            let remaining = directories.iter().filter(|directory| directory.is_online()).count();
            context.reports.offline(directory.id());
            let failed = FailedLogDirectory { id: directory.id(), position, reason, remaining };
            reporter.on_log_dir_failed(&failed);
            take_out_of_service(&context, directory, remaining);
        }
    }
}

fn take_out_of_service(context: &Context, directory: &Arc<LogDirectory>, remaining: usize) {
    let here: Vec<_> =
        context.partitions.read().values().filter(|partition| partition.is_in(directory)).cloned().collect();
    tracing::error!(
        directory = %directory.path().display(), replicas = here.len(), remaining,
        "log directory out of service: its replicas are offline, those in other directories go on. Repair or replace the \
         disk and restart the node"
    );
    for partition in here {
        partition.fail("its log directory is out of service");
    }
}
