//! The types that openraft is instantiated with.

use std::fmt;

use bytes::Bytes;
use highwater_types::MetadataOffset;
use openraft::impls::{EmptyNode, leader_id_std};

use crate::runtime::EnvRuntime;

openraft::declare_raft_types!(
    /// One leader per term (standard Raft), so that the term is the controller epoch. Voters carry no node data: their
    /// addresses come from each node's configuration, their directories from the metadata.
    pub TypeConfig:
        D = DecidedRecords,
        R = ApplyOutcome,
        NodeId = u64,
        Node = EmptyNode,
        LeaderId = leader_id_std::LeaderId<Self::Term, Self::NodeId>,
        AsyncRuntime = EnvRuntime,
);

pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(crate) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, EmptyNode>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type Metrics = openraft::RaftMetrics<TypeConfig>;

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
