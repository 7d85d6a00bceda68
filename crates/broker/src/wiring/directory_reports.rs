//! What the node does about its log directories: the controller is told, and the node stops when none is left.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use highwater_controller::{AssignReplicasToDirs, BrokerSession, DirectoryAssignment, OfflineLogDirs};
use highwater_quorum::{Command, CommandResponse, ControllerClient};
use highwater_replication::{DirectoryReporter, FailedLogDirectory, Lease};
use highwater_types::{BrokerId, DirectoryId, ErrorCode, TopicIdPartition};

use super::LinkLease;
use crate::lifecycle::Lifecycle;

/// [`DirectoryReporter`] over the quorum's client.
pub(crate) struct DirectoryReports {
    pub(crate) node_id: BrokerId,
    pub(crate) client: ControllerClient,
    pub(crate) lease: Arc<LinkLease>,
    pub(crate) lifecycle: Lifecycle,
    /// Position of the log directory that holds this controller's metadata, if one does: the node cannot do without.
    pub(crate) metadata_position: Option<usize>,
}

impl DirectoryReports {
    fn session(&self) -> BrokerSession {
        BrokerSession { id: self.node_id, epoch: self.lease.broker_epoch() }
    }
}

impl DirectoryReporter for DirectoryReports {
    fn assign_replicas_to_dirs(
        &self,
        assignments: Vec<(TopicIdPartition, DirectoryId)>,
    ) -> BoxFuture<'static, Result<Vec<Result<(), ErrorCode>>, ErrorCode>> {
        let count = assignments.len();
        let assignments = assignments.into_iter();
        let assignments = assignments.map(|(target, directory)| DirectoryAssignment { target, directory }).collect();
        let command = Command::AssignReplicasToDirs(AssignReplicasToDirs { session: self.session(), assignments });
        let client = self.client.clone();
        async move {
            match client.submit(command).await {
                Ok(CommandResponse::AssignReplicasToDirs(results)) if results.len() == count => {
                    Ok(results.into_iter().map(|one| one.result.map_err(|error| error.code)).collect())
                }
                Ok(_) => Err(ErrorCode::UnknownServerError),
                Err(error) => Err(error.code),
            }
        }
        .boxed()
    }

    fn offline_log_dirs(&self, directories: Vec<DirectoryId>) -> BoxFuture<'static, Result<(), ErrorCode>> {
        let command = Command::OfflineLogDirs(OfflineLogDirs { session: self.session(), directories });
        let client = self.client.clone();
        async move { client.submit(command).await.map(drop).map_err(|error| error.code) }.boxed()
    }

    fn on_log_dir_failed(&self, failed: &FailedLogDirectory) {
        self.lease.on_log_dir_failed(failed.id);
        if failed.remaining == 0 {
            self.lifecycle.fail(format!("no log directory is left: {}", failed.reason));
        } else if self.metadata_position == Some(failed.position) {
            self.lifecycle.fail(format!("the log directory with the controller's metadata failed: {}", failed.reason));
        }
    }
}
