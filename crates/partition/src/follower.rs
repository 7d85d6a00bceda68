//! The follower's side: whom to follow, where to cut, what the leader said is committed.
//!
//! Legal transitions of the link:
//! - `Closed -> Open`: the leader found the log to be a prefix of its own
//! - `Open -> Closed`: the stream broke
//! - `Closed -> Refused`: the leader's log lacks what is committed here
//! - any `-> Closed` of a new follower: new metadata

use highwater_types::{BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use crate::{Assignment, Durability, LogCursors};

/// Where the link to the leader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not verified: nothing may be appended, nothing the leader says moves the high watermark.
    Closed,
    /// The log was a prefix of the leader's when it was opened, and grows by what the leader pushes.
    Open,
    /// Following would cut committed records; waits for another assignment.
    Refused,
}

/// A follower in one leader epoch.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    pub leader: BrokerId,
    pub epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub link: Link,
    /// Cutting below the local high watermark is explained by an unclean election.
    pub unclean: bool,
    /// As the leader last said; may be above what is held here.
    pub leader_high_watermark: Offset,
    /// As the leader last said; may be above what is committed here.
    pub leader_log_start: Offset,
}

impl Follower {
    /// Starts to follow; nothing is verified yet.
    pub fn new(assignment: &Assignment) -> Self {
        Self {
            leader: assignment.leader,
            epoch: assignment.leader_epoch,
            partition_epoch: assignment.partition_epoch,
            link: Link::Closed,
            unclean: assignment.unclean,
            leader_high_watermark: Offset::NONE,
            leader_log_start: Offset::NONE,
        }
    }

    /// What is committed as far as this replica can tell: the leader's word, bounded by what is held here.
    pub fn committed(&self, cursors: LogCursors, durability: Durability) -> Offset {
        match self.link {
            Link::Open => self.leader_high_watermark.min(cursors.held(durability)),
            Link::Closed | Link::Refused => Offset::NONE,
        }
    }

    /// Whether the log may be cut at `offset`, given what is believed committed. In relaxed mode a leader may have lost
    /// committed records with its page cache, as in Kafka, and the follower has to follow.
    pub fn may_cut(&self, offset: Offset, high_watermark: Offset, durability: Durability) -> bool {
        offset >= high_watermark || self.unclean || durability == Durability::Relaxed
    }
}
