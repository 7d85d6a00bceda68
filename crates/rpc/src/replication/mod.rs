//! The replication stream between brokers: its frames as domain types, how they travel, a client and a server.
//!
//! Written by hand where tonic would generate code, because a leader's frame carries record batches beside its protobuf
//! header; see `proto/replication.proto`. tonic's streams copy a message three times on its way; these do not copy large batches.

mod codec;
mod convert;
mod incoming;
mod outgoing;
mod service;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use highwater_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, TopicIdPartition};

pub use codec::{Frame, Pieces};
pub use incoming::Incoming;
pub use service::{Replication, ReplicationClient, ReplicationServer};

/// A partition on one stream: chosen by the follower at each opening, never used twice in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// What a follower sends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FollowerFrame {
    /// In the first frame, and only there.
    pub hello: Option<Hello>,
    /// Partitions to open.
    pub opens: Vec<Open>,
    /// What was appended and flushed.
    pub acks: Vec<Ack>,
    /// Slots that are not wanted any more.
    pub closes: Vec<Slot>,
    /// Leader frames handled since the stream began.
    pub frames_received: u64,
}

/// Who opens a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The follower.
    pub replica: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// Its cluster.
    pub cluster_id: String,
    /// Whom it takes the other end for.
    pub leader: BrokerId,
    /// What for.
    pub lane: Lane,
}

/// What a follower uses a stream for. Each lane has a connection of its own, so that what is behind delays nothing that is in
/// sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Lane {
    /// Replicas that are in sync, or as good as.
    #[default]
    InSync,
    /// Replicas that are behind.
    CatchUp,
    /// Replicas that are behind and throttled.
    Throttled,
}

/// A follower asks for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The opening.
    pub slot: Slot,
    /// The partition.
    pub partition: TopicIdPartition,
    /// The epoch in which the receiver leads.
    pub leader_epoch: LeaderEpoch,
    /// The follower's log end offset.
    pub log_end: Offset,
    /// What it has on disk.
    pub flushed: Offset,
    /// Epoch at the end of its log, NONE if that is empty.
    pub last_epoch: LeaderEpoch,
}

/// A cumulative acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The opening.
    pub slot: Slot,
    /// Everything below is appended.
    pub log_end: Offset,
    /// Everything below is on disk.
    pub flushed: Offset,
    /// Everything below is deleted, and no loss of power brings it back.
    pub log_start: Offset,
    /// The first offset that can be read there; `None` of a follower that serves no consumers.
    pub first_offset: Option<Offset>,
}

/// What a leader sends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaderFrame {
    /// Answers to openings.
    pub opened: Vec<Opened>,
    /// New records and positions.
    pub pushes: Vec<Push>,
    /// Slots that this leader serves no more.
    pub closed: Vec<Slot>,
}

/// An answer to an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The opening.
    pub slot: Slot,
    /// The answer.
    pub outcome: OpenOutcome,
}

/// What came of an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenOutcome {
    /// Pushes follow, from the follower's log end on.
    Accepted {
        /// The leader's high watermark.
        high_watermark: Offset,
        /// The leader's first offset.
        log_start: Offset,
    },
    /// The follower must cut its log and open again.
    Diverged {
        /// The largest epoch not above the follower's last.
        epoch: LeaderEpoch,
        /// Where that ends.
        end_offset: Offset,
    },
    /// The follower must start anew at the leader's first offset and open again.
    OutOfRange {
        /// The leader's first offset.
        log_start: Offset,
    },
    /// Not served.
    Refused(ErrorCode),
}

/// New records of one partition, or just its positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The opening.
    pub slot: Slot,
    /// Whole batches as stored. Several pieces when sent; one piece when received.
    pub batches: Vec<Bytes>,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// The leader's first offset.
    pub log_start: Offset,
}
