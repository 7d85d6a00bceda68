//! The membership that Raft has, for those who talk to its members.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use highwater_types::BrokerId;

use crate::raft_types::{LogId, RaftId, RaftNode, StoredMembership};

/// The newest membership of this controller's log, committed or not. May lag behind Raft for a moment.
pub(crate) struct Members {
    current: ArcSwap<StoredMembership>,
}

impl Members {
    pub(crate) fn new(membership: StoredMembership) -> Self {
        Self { current: ArcSwap::from_pointee(membership) }
    }

    /// Takes over what Raft says. True if that is news.
    pub(crate) fn follow(&self, newest: &Arc<StoredMembership>) -> bool {
        let news = **self.current.load() != **newest;
        if news {
            self.current.store(newest.clone());
        }
        news
    }

    /// The membership as a whole.
    pub(crate) fn load(&self) -> Arc<StoredMembership> {
        self.current.load_full()
    }

    /// The entry of the log that the membership is from.
    pub(crate) fn log_id(&self) -> Option<LogId> {
        *self.current.load().log_id()
    }

    /// The voter or observer with this `node.id`; a voter before an observer.
    pub(crate) fn find(&self, node: BrokerId) -> Option<(RaftId, RaftNode)> {
        let current = self.current.load();
        let found = current.nodes().filter(|(id, _)| id.node == node);
        let voters = voters(&current);
        found.max_by_key(|(id, _)| voters.contains(id)).map(|(id, known)| (*id, known.clone()))
    }

    /// The voters; while they are being changed, those there will be.
    pub(crate) fn voters(&self) -> BTreeSet<RaftId> {
        voters(&self.current.load())
    }
}

/// The voters of a membership; while they are being changed, those there will be.
pub(crate) fn voters(membership: &StoredMembership) -> BTreeSet<RaftId> {
    membership.membership().get_joint_config().last().cloned().unwrap_or_default()
}

/// The members that do not vote.
pub(crate) fn observers(membership: &StoredMembership) -> impl Iterator<Item = (RaftId, &RaftNode)> {
    let all: BTreeSet<RaftId> = membership.voter_ids().collect();
    membership.nodes().filter(move |(id, _)| !all.contains(id)).map(|(id, node)| (*id, node))
}
