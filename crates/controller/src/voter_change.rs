//! What can be asked of the quorum about its voters (KIP-853). No command: Raft decides, and the metadata follow.

use highwater_types::{BrokerId, DirectoryId};

/// A controller with the one metadata directory that it may vote with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoterKey {
    /// `node.id`.
    pub id: BrokerId,
    /// Id of its metadata directory.
    pub directory: DirectoryId,
}

/// A change of the voters of the metadata quorum, one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoterChange {
    /// An observer becomes a voter.
    Add(VoterKey),
    /// A voter becomes an observer, or is gone.
    Remove(VoterKey),
}
