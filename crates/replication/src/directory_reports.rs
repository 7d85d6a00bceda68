//! Tells the controller in which log directories the replicas of this broker are, and which directories failed (KIP-858).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use highwater_env::lock::Mutex;
use highwater_types::{DirectoryId, ErrorCode, TopicIdPartition};
use tokio::sync::Notify;

use crate::backoff::Backoff;

/// Most assignments in one command: one decision is one Raft entry and must stay small.
const BATCH: usize = 1000;

/// What a node does about its log directories; implemented by the broker.
pub trait DirectoryReporter: Send + Sync {
    /// Tells where replicas are ([`DirectoryId::LOST`]: what one held is given up). Answers come in their order.
    ///
    /// # Errors
    /// The outcome is unknown, or the command as a whole was refused: to be told again.
    fn assign_replicas_to_dirs(
        &self,
        assignments: Vec<(TopicIdPartition, DirectoryId)>,
    ) -> BoxFuture<'static, Result<Vec<Result<(), ErrorCode>>, ErrorCode>>;

    /// Tells that directories are out of service, with all replicas in them.
    ///
    /// # Errors
    /// As above.
    fn offline_log_dirs(&self, directories: Vec<DirectoryId>) -> BoxFuture<'static, Result<(), ErrorCode>>;

    /// A directory went out of service; so many are left. Called once for each, by a task.
    fn on_log_dir_failed(&self, failed: &FailedLogDirectory);
}

/// A log directory that went out of service.
#[derive(Debug, Clone)]
pub struct FailedLogDirectory {
    /// Its id.
    pub id: DirectoryId,
    /// Its position in the list given to [`crate::Replicas::start`].
    pub position: usize,
    /// What the first error was.
    pub reason: String,
    /// Directories that are still in service.
    pub remaining: usize,
}

/// Reports that the controller has not acknowledged yet. Of each replica only the newest counts.
#[derive(Default)]
pub(crate) struct DirectoryReports {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Default, Clone)]
struct Waiting {
    assignments: BTreeMap<TopicIdPartition, DirectoryId>,
    offline: BTreeSet<DirectoryId>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.assignments.is_empty() && self.offline.is_empty()
    }
}

impl DirectoryReports {
    /// The replica is in that directory.
    pub fn assign(&self, partition: TopicIdPartition, directory: DirectoryId) {
        self.waiting.lock().assignments.insert(partition, directory);
        self.notify.notify_one();
    }

    /// There is nothing to tell about the replica: it is gone, or the metadata say what is true.
    pub fn forget(&self, partition: TopicIdPartition) {
        self.waiting.lock().assignments.remove(&partition);
    }

    /// The directory is out of service.
    pub fn offline(&self, directory: DirectoryId) {
        self.waiting.lock().offline.insert(directory);
        self.notify.notify_one();
    }

    /// Forgets all.
    pub fn clear(&self) {
        *self.waiting.lock() = Waiting::default();
    }

    /// What is to be told, once there is something.
    async fn next(&self) -> Waiting {
        loop {
            {
                let waiting = self.waiting.lock();
                if !waiting.is_empty() {
                    let assignments = waiting.assignments.iter().take(BATCH).map(|(id, to)| (*id, *to)).collect();
                    return Waiting { assignments, offline: waiting.offline.clone() };
                }
            }
            self.notify.notified().await;
        }
    }

    fn told(&self, partition: TopicIdPartition, directory: DirectoryId) {
        let mut waiting = self.waiting.lock();
        if waiting.assignments.get(&partition) == Some(&directory) {
            waiting.assignments.remove(&partition);
        }
    }
}

/// Sends what is waiting. Runs until it is aborted.
pub(crate) async fn send_reports(queue: Arc<DirectoryReports>, reporter: Arc<dyn DirectoryReporter>) {
    let mut backoff = Backoff::reconnect();
    loop {
        let waiting = queue.next().await;
        // Where the replicas are comes first: the controller must know which of them are in a failed directory.
        let told = tell_assignments(&queue, &*reporter, waiting.assignments).await
            && tell_offline(&queue, &*reporter, waiting.offline).await;
        if told {
            backoff.reset();
        } else {
            backoff.pause().await;
        }
    }
}

/// Returns whether nothing has to be told again.
async fn tell_assignments(
    queue: &DirectoryReports,
    reporter: &dyn DirectoryReporter,
    assignments: BTreeMap<TopicIdPartition, DirectoryId>,
) -> bool {
    if assignments.is_empty() {
        return true;
    }
    let assignments: Vec<_> = assignments.into_iter().collect();
    let results = match reporter.assign_replicas_to_dirs(assignments.clone()).await {
        Ok(results) => results,
        Err(code) => {
            tracing::debug!(code = code.name(), "directories of replicas not told yet");
            return false;
        }
    };
    let mut all_told = true;
    for ((partition, directory), result) in assignments.into_iter().zip(results) {
        match result {
            Ok(()) => queue.told(partition, directory),
            // Final: the topic or the replica is gone, or nobody could take over. New metadata say more.
            Err(
                code @ (ErrorCode::UnknownTopicId
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::NotLeaderOrFollower
                | ErrorCode::EligibleLeadersNotAvailable),
            ) => {
                tracing::debug!(?partition, code = code.name(), "directory of a replica refused");
                queue.told(partition, directory);
            }
            Err(_) => all_told = false,
        }
    }
    all_told
}

async fn tell_offline(
    queue: &DirectoryReports,
    reporter: &dyn DirectoryReporter,
    offline: BTreeSet<DirectoryId>,
) -> bool {
    if offline.is_empty() {
        return true;
    }
    match reporter.offline_log_dirs(offline.iter().copied().collect()).await {
        Ok(()) => {
            queue.waiting.lock().offline.retain(|directory| !offline.contains(directory));
            true
        }
        Err(code) => {
            tracing::debug!(code = code.name(), "failed log directories not told yet");
            false
        }
    }
}
