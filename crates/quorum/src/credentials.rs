//! Who sends and who is meant: checked on every Raft message, so that neither a wrong address nor an exchanged disk can
//! cast a vote.

use std::sync::Arc;

use highwater_metadata::HostPort;
use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, DirectoryId};
use tonic::Status;

use crate::config::{broker_id, raft_id};
use crate::feed::MetadataFeed;
use crate::members::Members;
use crate::peers::PeerIdentity;
use crate::raft_types::RaftId;
use crate::store::Identity;
use crate::wire::{directory_to_pb, log_id_from_pb, log_id_to_pb};

/// This controller's name tag, and what it knows of the others'.
pub(crate) struct Credentials {
    node_id: BrokerId,
    identity: Arc<Identity>,
    feed: Arc<MetadataFeed>,
    members: Arc<Members>,
}

impl Credentials {
    pub(crate) fn new(
        node_id: BrokerId,
        identity: Arc<Identity>,
        feed: Arc<MetadataFeed>,
        members: Arc<Members>,
    ) -> Self {
        Self { node_id, identity, feed, members }
    }

    /// The metadata directory of a member: as the membership says, or the committed metadata, or, before there is any, as was
    /// agreed.
    pub(crate) fn known_directory(&self, id: BrokerId) -> Option<DirectoryId> {
        match self.members.find(id) {
            Some((member, _)) if !member.is_founder() => Some(member.directory),
            Some((_, told)) if !told.directory.is_zero() => Some(told.directory),
            _ => self.registered_directory(id),
        }
    }

    /// The directory of a member that is meant by its id to Raft.
    fn directory_of(&self, id: RaftId) -> Option<DirectoryId> {
        if id.is_founder() { self.known_directory(id.node) } else { Some(id.directory) }
    }

    fn registered_directory(&self, id: BrokerId) -> Option<DirectoryId> {
        let committed = self.feed.image().controller(id).map(|controller| controller.directory_id);
        committed.or_else(|| self.identity.agreed()?.get(&id).copied())
    }

    /// Whether a message may be taken: it is for this node, and from a member as the quorum knows it. A sender with a newer
    /// membership may be one that this node has not heard of yet: without its messages it never would.
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
        // Who does not know the directory means a founder: the others have no other name.
        let is_meant = match peer.to_directory.is_empty() {
            true => !self.identity.has_joined(),
            false => peer.to_directory == ours.to_bytes().as_slice(),
        };
        if !is_meant {
            return refuse(format!("it is for another metadata directory of this node than {ours}"));
        }
        let Some(from) = i32::try_from(peer.from_node).ok().map(BrokerId) else {
            return refuse(format!("{} is no node id", peer.from_node));
        };
        let names_us = !peer.to_directory.is_empty();
        let newer = names_us && peer.membership.map(log_id_from_pb) > self.members.log_id();
        match self.known_directory(from) {
            _ if newer => {}
            // A founder, and this node has joined with an empty disk: it hears of directories from whoever leads, and from nobody else.
            None if names_us && self.members.find(from).is_some() => {}
            None => return refuse(format!("node {from} is not a member of this quorum")),
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
    fn peer(&self, to: RaftId) -> pb::Peer {
        pb::Peer {
            from_node: raft_id(self.node_id),
            from_directory: self.identity.directory_id().to_bytes().to_vec().into(),
            to_node: raft_id(to.node),
            to_directory: directory_to_pb(self.directory_of(to).unwrap_or_default()),
            cluster_id: self.identity.cluster_id().unwrap_or_default(),
            membership: self.members.log_id().as_ref().map(log_id_to_pb),
        }
    }

    fn endpoint(&self, id: BrokerId) -> Option<HostPort> {
        self.members.find(id).and_then(|(_, told)| told.endpoint)
    }

    fn registered_endpoint(&self, id: BrokerId) -> Option<HostPort> {
        self.feed.image().controller(id).map(|controller| controller.endpoint.clone())
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
