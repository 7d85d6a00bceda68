//! What a replica wants done.

use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};
use smallvec::SmallVec;

/// What one step wants done, in order. Few enough to be on the stack: a replica keeps no room for them.
pub type Actions = SmallVec<[Action; 4]>;

/// A change of the ISR to ask of the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrChange {
    /// The epoch of the proposer's leadership.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch it builds on.
    pub partition_epoch: PartitionEpoch,
    /// The wanted ISR with the registration of each member ([`BrokerEpoch::NONE`] when not known, for members that are in
    /// the ISR already).
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
}

/// An effect, to be carried out in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Leadership of a new epoch begins at `start`. Must be durable in the epoch cache before the first append (P7).
    StartLeaderEpoch {
        /// The epoch.
        leader_epoch: LeaderEpoch,
        /// Its first offset.
        start: Offset,
    },
    /// This replica no longer leads in the epoch it led: followers' sessions end. What waits for the high watermark goes on
    /// waiting if the replica leads or follows in the next epoch: it is committed once the high watermark passes it there, and
    /// lost if the log is cut below its end.
    Resign,
    /// Follow that leader: open the partition with it, in that epoch.
    Follow {
        /// Whom.
        leader: BrokerId,
        /// In which epoch.
        leader_epoch: LeaderEpoch,
    },
    /// There is nobody to follow.
    StopFollowing,
    /// The high watermark moved: release acknowledgements at or below it, wake fetches, tell followers.
    HighWatermarkMoved {
        /// Everything below is committed.
        high_watermark: Offset,
        /// Whether the committed ISR has `min.insync.replicas` members at this moment (P6). A follower has its leader's word.
        enough_in_sync: bool,
    },
    /// Ask the controller. The same change may be asked for again while its outcome is unknown.
    ProposeIsr(IsrChange),
    /// The ISR committed by the controller is now this; `grown` and `shrunk` say how it differs from the one before.
    IsrCommitted {
        /// A member joined.
        grown: bool,
        /// A member left.
        shrunk: bool,
    },
    /// Cut the log, then report [`crate::Event::Truncated`] and open the partition again.
    TruncateTo {
        /// New log end offset.
        offset: Offset,
    },
    /// Throw the whole log away and start at `offset`, then report [`crate::Event::Truncated`] and open again.
    StartAt {
        /// New first offset.
        offset: Offset,
    },
    /// Following this leader would cut committed records and no unclean election explains it (P9). Nothing was changed;
    /// the replica stays out until it is assigned again.
    RefuseTruncation {
        /// Where the leader wanted the log to end.
        offset: Offset,
        /// What this replica knows to be committed.
        high_watermark: Offset,
    },
    /// Move the log's first offset up as the leader did, then report [`crate::Event::LogStartMoved`].
    AdvanceLogStart {
        /// New first offset.
        log_start: Offset,
    },
    /// Follower: tell the leader. Cumulative; only the latest needs to be sent.
    Acknowledge {
        /// Log end offset.
        log_end: Offset,
        /// What is on disk.
        flushed: Offset,
    },
}
