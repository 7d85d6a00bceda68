//! Who sends and who is meant: checked on every Raft message, so that neither a wrong address nor an exchanged disk can
//! cast a vote.

use std::sync::Arc;

use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, DirectoryId};
use tonic::Status;

use crate::config::{broker_id, raft_id};
use crate::feed::MetadataFeed;
use crate::peers::PeerIdentity;
use crate::store::Identity;

/// This controller's name tag, and what it knows of the others'.
pub(crate) struct Credentials {
    node_id: BrokerId,
    identity: Arc<Identity>,
    feed: Arc<MetadataFeed>,
}

impl Credentials {
    pub(crate) fn new(node_id: BrokerId, identity: Arc<Identity>, feed: Arc<MetadataFeed>) -> Self {
        Self { node_id, identity, feed }
    }

    /// The metadata directory of a voter: as the committed metadata says, or, before there is any, as was agreed.
    pub(crate) fn known_directory(&self, id: BrokerId) -> Option<DirectoryId> {
        let committed = self.feed.image().controller(id).map(|controller| controller.directory_id);
        committed.or_else(|| self.identity.agreed()?.get(&id).copied())
    }

    /// Whether a message may be taken: it is for this node, and from the voter as the quorum knows it.
    pub(crate) fn check(&self, peer: Option<pb::Peer>) -> Result<BrokerId, Status> {
        let refuse = |reason: String| {
            tracing::warn!("refused a Raft message: {reason}");
            Err(Status::failed_precondition(reason))
        };
        let Some(peer) = peer else { return refuse("it does not say who sent it".to_owned()) };
        if peer.to_node != raft_id(self.node_id) {
            return refuse(format!("it is for node {}, and this is node {}", peer.to_node, self.node_id));
        }
        let ours = self.identity.directory_id();
        if !peer.to_directory.is_empty() && peer.to_directory != ours.to_bytes().as_slice() {
            return refuse(format!("it is for another metadata directory of this node than {ours}"));
        }
        let Some(from) = i32::try_from(peer.from_node).ok().map(BrokerId) else {
            return refuse(format!("{} is no node id", peer.from_node));
        };
        match self.known_directory(from) {
            None => return refuse(format!("node {from} is not a voter of this quorum")),
            Some(known) if peer.from_directory != known.to_bytes().as_slice() => {
                return refuse(format!("node {from} comes with another metadata directory than {known}"));
            }
            Some(_) => {}
        }
        if let Some(cluster_id) = self.identity.cluster_id()
            && !peer.cluster_id.is_empty()
            && peer.cluster_id != cluster_id
        {
            return refuse(format!("node {from} is of cluster {}, and this is {cluster_id}", peer.cluster_id));
        }
        Ok(from)
    }
}

impl PeerIdentity for Credentials {
    fn peer(&self, to: BrokerId) -> pb::Peer {
        pb::Peer {
            from_node: raft_id(self.node_id),
            from_directory: self.identity.directory_id().to_bytes().to_vec().into(),
            to_node: raft_id(to),
            to_directory: self
                .known_directory(to)
                .map(|directory| directory.to_bytes().to_vec().into())
                .unwrap_or_default(),
            cluster_id: self.identity.cluster_id().unwrap_or_default(),
        }
    }
}

/// The voters of a list, as they are written in messages.
pub(crate) fn sorted_ids(ids: impl IntoIterator<Item = BrokerId>) -> Vec<u64> {
    let mut ids: Vec<u64> = ids.into_iter().map(raft_id).collect();
    ids.sort_unstable();
    ids
}

/// The node of a message, if it is one.
pub(crate) fn node_of(id: u64) -> Option<BrokerId> {
    i32::try_from(id).ok().map(|_| broker_id(id))
}
