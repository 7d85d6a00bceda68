//! What one node's part in the quorum is.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::ControllerConfig;
use highwater_metadata::{HostPort, NodeSoftware};
use highwater_types::BrokerId;

use crate::QuorumError;

/// Shortest session that leaves room for a lease (see [`QuorumConfig::lease`]).
const MIN_SESSION: Duration = Duration::from_secs(1);
/// How long ago a quorum may have confirmed the active controller for it to grant a lease: two and a half of its heartbeats.
pub(crate) const LEASE_CONFIRMED_WITHIN: Duration = Duration::from_millis(500);

/// One entry of `controller.quorum.voters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// `node.id`.
    pub id: BrokerId,
    /// Where its gRPC services listen: the address of its CONTROLLER listener.
    pub endpoint: HostPort,
}

/// Called once when this node's part of the quorum cannot go on. A real process logs and aborts; a simulated host stops.
#[derive(Clone)]
pub struct FatalHandler(pub Arc<dyn Fn(&QuorumError) + Send + Sync>);

impl fmt::Debug for FatalHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FatalHandler")
    }
}

impl FatalHandler {
    /// Aborts the process: what is in memory may not be what is on disk, so nothing more may be promised or flushed.
    pub fn abort() -> Self {
        Self(Arc::new(|error| {
            tracing::error!("{error}; aborting");
            std::process::abort()
        }))
    }

    /// Panics, which stops a simulated host, or fails a test.
    pub fn panic() -> Self {
        Self(Arc::new(|error| panic!("{error}")))
    }
}

/// Settings of one controller.
#[derive(Debug, Clone)]
pub struct QuorumConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `controller.quorum.voters`. Names this node if it is to form a quorum with the others; otherwise this node joins the quorum
    /// that the others formed. Once there is a quorum, its own membership counts, and this is only where to find it.
    pub voters: Vec<Voter>,
    /// Where this node's gRPC services listen, for the other controllers.
    pub endpoint: HostPort,
    /// Directory of the Raft log, votes, metadata state and snapshots. Nobody else writes there.
    pub metadata_dir: PathBuf,
    /// `cluster.id`, if given; otherwise the first active controller makes one.
    pub cluster_id: Option<String>,
    /// `broker.session.timeout.ms`: a broker that is silent for so long is fenced.
    pub session_timeout: Duration,
    /// What decisions depend on.
    pub controller: ControllerConfig,
    /// What this node runs. A new cluster starts with the highest levels of its features.
    pub software: NodeSoftware,
    /// What to do when Raft stops.
    pub on_fatal: FatalHandler,
}

impl QuorumConfig {
    /// Checks what can be checked without touching the disk.
    pub(crate) fn validate(&self) -> Result<(), QuorumError> {
        let config = |message: String| Err(QuorumError::Config(message));
        let ids: BTreeSet<BrokerId> = self.voters.iter().map(|voter| voter.id).collect();
        if ids.len() != self.voters.len() {
            return config("controller.quorum.voters names a node twice".to_owned());
        }
        if let Some(negative) = ids.iter().find(|id| id.0 < 0) {
            return config(format!("controller.quorum.voters names node {negative}: ids are not negative"));
        }
        if ids.is_empty() {
            return config("controller.quorum.voters names nobody".to_owned());
        }
        if self.session_timeout < MIN_SESSION {
            let least = MIN_SESSION.as_millis();
            return config(format!("broker.session.timeout.ms is below {least}, too short for a lease"));
        }
        Ok(())
    }

    pub(crate) fn voter_ids(&self) -> BTreeSet<BrokerId> {
        self.voters.iter().map(|voter| voter.id).collect()
    }

    /// How long a lease lasts, from when the broker sent the heartbeat that it answers.
    ///
    /// Shorter than the session, so that a broker stops serving before it is fenced (M9), also in the worst case:
    /// 1. a quorum confirms the active controller one last time, and elects another one, which counts every broker's session from
    ///    that moment or a later one (`past_leases`);
    /// 2. for at most [`LEASE_CONFIRMED_WITHIN`] the old one still believes to be confirmed, and grants a lease;
    /// 3. that lease must end before the new session does. A tenth covers clocks of different speed.
    pub(crate) fn lease(session_timeout: Duration) -> Duration {
        session_timeout * 9 / 10 - LEASE_CONFIRMED_WITHIN
    }
}

pub(crate) fn raft_id(id: BrokerId) -> u64 {
    u64::try_from(id.0).expect("node ids are not negative")
}

pub(crate) fn broker_id(raft_id: u64) -> BrokerId {
    BrokerId(i32::try_from(raft_id).expect("Raft ids are made from node ids"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_granted_by_a_deposed_controller_ends_before_the_new_session() {
        for millis in [1_000, 2_000, 9_000, 60_000] {
            let session = Duration::from_millis(millis);
            assert!(QuorumConfig::lease(session) + LEASE_CONFIRMED_WITHIN < session);
            assert!(QuorumConfig::lease(session) > Duration::from_millis(300));
        }
    }
}
