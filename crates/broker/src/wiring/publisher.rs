//! Where a change of the metadata goes on this node, and in which order.

use std::sync::{Arc, OnceLock};

use highwater_gateway::Gateway;
use highwater_log::{LogDirectory, LogDirectoryError};
use highwater_metadata::{MetadataDelta, MetadataImage};
use highwater_quorum::MetadataPublisher;
use highwater_replication::Replicas;

use super::GroupLeadership;
use crate::lifecycle::Lifecycle;

/// [`MetadataPublisher`] of a broker: first the directories learn their cluster, then the replicas, then what stands on them.
pub(crate) struct Publisher {
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) groups: GroupLeadership,
    pub(crate) directories: Vec<Arc<LogDirectory>>,
    /// Set once the gateway serves.
    pub(crate) gateway: Arc<OnceLock<Arc<Gateway>>>,
    pub(crate) lifecycle: Lifecycle,
}

impl Publisher {
    /// Ties the log directories to the cluster, so that they can never be taken into another one. False if one is another's.
    fn bind_directories(&self, cluster_id: &str) -> bool {
        for directory in self.directories.iter().filter(|directory| directory.is_online()) {
            match directory.bind_cluster_id(cluster_id) {
                Ok(()) => {}
                Err(error @ LogDirectoryError::Io { .. }) => directory.take_offline(&error.to_string()),
                Err(error) => {
                    self.lifecycle.fail(error.to_string());
                    return false;
                }
            }
        }
        true
    }
}

impl MetadataPublisher for Publisher {
    fn publish(&self, image: Arc<MetadataImage>, delta: &MetadataDelta) {
        // Metadata of another cluster must not reach the replicas: they would delete what it does not know.
        if self.lifecycle.failure().is_some() {
            return;
        }
        if delta.features
            && let Some(cluster_id) = image.cluster_id()
            && !self.bind_directories(cluster_id)
        {
            return;
        }
        self.replicas.apply_metadata(&image, delta);
        self.groups.apply(&image, delta);
        if let Some(gateway) = self.gateway.get() {
            gateway.apply_metadata(&image, delta);
        }
    }
}
