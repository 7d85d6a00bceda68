//! The types that openraft is instantiated with.

use std::fmt;

use bytes::Bytes;
use highwater_metadata::HostPort;
use highwater_types::{BrokerId, DirectoryId, MetadataOffset};
use openraft::impls::leader_id_std;

use crate::config::broker_id;
use crate::runtime::EnvRuntime;

openraft::declare_raft_types!(
    /// One leader per term (standard Raft), so that the term is the controller epoch.
    pub TypeConfig:
        D = DecidedRecords,
        R = ApplyOutcome,
        NodeId = RaftId,
        Node = RaftNode,
        LeaderId = leader_id_std::LeaderId<Self::Term, Self::NodeId>,
        AsyncRuntime = EnvRuntime,
);

pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(crate) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<RaftId, RaftNode>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type Metrics = openraft::RaftMetrics<TypeConfig>;

/// Who a controller is to Raft: one id, one log, for ever. A node that comes back with another metadata directory is another
/// one, because it forgot what it voted and wrote (`docs/adr/0078-voters-join-and-leave.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RaftId {
    /// `node.id`.
    pub(crate) node: BrokerId,
    /// Its metadata directory. Zero for founders: all founders agreed on each other's directories before they started Raft,
    /// so there is only one that each of them can have.
    pub(crate) directory: DirectoryId,
}

impl RaftId {
    /// A controller that formed the quorum.
    pub(crate) fn founder(node: BrokerId) -> Self {
        Self { node, directory: DirectoryId::ZERO }
    }

    pub(crate) fn is_founder(self) -> bool {
        self.directory.is_zero()
    }
}

impl fmt::Display for RaftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.node)?;
        if self.is_founder() { Ok(()) } else { write!(f, "-{}", self.directory) }
    }
}

/// As openraft's test suite names nodes.
impl From<u64> for RaftId {
    fn from(node: u64) -> Self {
        Self::founder(broker_id(node))
    }
}

/// What the membership tells of a controller besides its id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RaftNode {
    /// Where its gRPC services listen. `None` for founders of which the configuration tells.
    pub(crate) endpoint: Option<HostPort>,
    /// Its metadata directory, also of a founder that came back. Zero where that is found elsewhere.
    pub(crate) directory: DirectoryId,
}

/// What one Raft entry carries: the records of one batch of decisions, encoded once by the deciding node and decoded only
/// where they are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedRecords {
    /// Where the metadata log ended when the decisions were taken.
    pub base_offset: MetadataOffset,
    /// Encoded list of records.
    pub records: Bytes,
}

impl fmt::Display for DecidedRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of records at offset {}", self.records.len(), self.base_offset)
    }
}

/// What applying an entry did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// The records took effect; the metadata log now ends at `end`.
    Applied {
        /// Offset after the last record.
        end: MetadataOffset,
    },
    /// The entry was decided over another image than the committed one: nothing happened.
    Superseded {
        /// Where the metadata log really ended.
        end: MetadataOffset,
    },
    /// A blank or membership entry.
    NoRecords,
}
