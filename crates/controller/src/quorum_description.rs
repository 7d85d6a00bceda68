//! What the active controller tells of the metadata quorum (KIP-595, KIP-836). No decision: asking changes nothing.

use highwater_metadata::HostPort;
use highwater_types::{BrokerId, ControllerEpoch, DirectoryId, MetadataOffset, Timestamp};

/// The state of the metadata quorum, as its active controller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumDescription {
    /// The active controller.
    pub leader: BrokerId,
    /// Its term.
    pub epoch: ControllerEpoch,
    /// Where the committed metadata log ends.
    pub high_watermark: MetadataOffset,
    /// The controllers that vote, by id.
    pub voters: Vec<QuorumReplica>,
    /// The controllers and brokers that follow the metadata without a vote, by id.
    pub observers: Vec<QuorumReplica>,
}

/// How far one node has the metadata log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumReplica {
    /// `node.id`.
    pub id: BrokerId,
    /// Its metadata directory; `None` for brokers.
    pub directory: Option<DirectoryId>,
    /// Where its controller listens; `None` for brokers.
    pub endpoint: Option<HostPort>,
    /// Where its log ends; `None` when the active controller has not heard of it, or it is too far behind to tell.
    pub log_end: Option<MetadataOffset>,
    /// When the active controller heard of it last; `None` for never in this term.
    pub last_heard: Option<Timestamp>,
    /// When it had all that the active controller had; `None` when that is not known.
    pub last_caught_up: Option<Timestamp>,
}
