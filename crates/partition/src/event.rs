//! What a replica is told.

use std::sync::Arc;
use std::time::Duration;

use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use crate::{Durability, LogCursors};

/// One opening of a partition by a follower; larger ones are later. Acknowledgements of an earlier one do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The settings a replica obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// When an offset counts.
    pub durability: Durability,
    /// `min.insync.replicas` as configured; the assigned replicas cap it.
    pub min_isr: usize,
    /// `replica.lag.time.max.ms`.
    pub lag_max: Duration,
}

/// The partition as the controller's metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// Compare-and-set token of the next ISR change.
    pub partition_epoch: PartitionEpoch,
    /// Assigned replicas.
    pub replicas: Vec<BrokerId>,
    /// In-sync replicas.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas (KIP-966): out of the ISR, and counted on to hold all that is committed.
    pub elr: Vec<BrokerId>,
    /// An unclean election is recorded or permitted: a follower may have to give up what it believes committed.
    pub unclean: bool,
}

/// The largest epoch not above the one asked for, and where it ends (KIP-101, KIP-279).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// That epoch.
    pub epoch: LeaderEpoch,
    /// The start of the next epoch, or the log end.
    pub end_offset: Offset,
}

/// A follower whose log was found to be a prefix of the leader's, or equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedFollower {
    /// Who.
    pub replica: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// This opening.
    pub session: SessionId,
    /// Its log end offset.
    pub log_end: Offset,
    /// What it has on disk.
    pub flushed: Offset,
}

/// What came of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IsrAnswer {
    /// The controller made the change.
    Accepted {
        /// ISR after it.
        isr: Vec<BrokerId>,
        /// ELR after it.
        elr: Vec<BrokerId>,
        /// Leader epoch after it.
        leader_epoch: LeaderEpoch,
        /// Partition epoch after it.
        partition_epoch: PartitionEpoch,
    },
    /// The controller refused this attempt and changed nothing (for example: the added broker is fenced).
    Refused,
    /// The controller is past the epochs of the proposal: newer metadata is on its way here and will settle the matter.
    Stale,
    /// Nobody knows: the attempt may have taken effect, may still do so, or is lost.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// New metadata. In order of metadata offset.
    Assigned(Assignment),
    /// The replica's disk failed or it is being removed: it is neither leader nor follower until assigned again.
    WentOffline,
    /// Topic or broker configuration changed.
    Configured(Settings),
    /// The brokers that may join an ISR: registered, not fenced, not shutting down; with their registrations. One list for all
    /// replicas of a broker.
    ActiveBrokers(Arc<[(BrokerId, BrokerEpoch)]>),
    /// The log grew (as leader or as follower).
    Appended {
        /// New log end offset.
        log_end: Offset,
    },
    /// A flush ended. Older news than the last is ignored.
    Flushed {
        /// Everything below is on disk.
        flushed: Offset,
    },
    /// The log's first offset moved up (retention, DeleteRecords, the leader's word).
    LogStartMoved {
        /// New first offset.
        log_start: Offset,
    },
    /// The shell carried out [`crate::Action::TruncateTo`] or [`crate::Action::StartAt`].
    Truncated {
        /// The log's positions now.
        cursors: LogCursors,
    },
    /// Leader: a follower opened the partition in `leader_epoch` and its log does not diverge.
    FollowerOpened {
        /// The epoch in which the opening was checked.
        leader_epoch: LeaderEpoch,
        /// The follower.
        follower: OpenedFollower,
    },
    /// Leader: a follower has appended up to `log_end` and flushed up to `flushed`. Cumulative.
    FollowerAcked {
        /// Who.
        replica: BrokerId,
        /// In which opening.
        session: SessionId,
        /// In which epoch.
        leader_epoch: LeaderEpoch,
        /// Its log end offset.
        log_end: Offset,
        /// What it has on disk.
        flushed: Offset,
    },
    /// Leader: the follower's stream is gone. What it had acknowledged stays acknowledged.
    FollowerClosed {
        /// Who.
        replica: BrokerId,
        /// Which opening.
        session: SessionId,
    },
    /// Leader: an answer to the proposal that built on these epochs.
    IsrAnswered {
        /// Leader epoch of the proposal.
        leader_epoch: LeaderEpoch,
        /// Partition epoch of the proposal.
        partition_epoch: PartitionEpoch,
        /// The answer.
        answer: IsrAnswer,
    },
    /// Follower: the leader accepted the opening; the log is a prefix of its log.
    OpenAccepted {
        /// The leader's epoch.
        leader_epoch: LeaderEpoch,
        /// The leader's high watermark.
        high_watermark: Offset,
        /// The leader's first offset.
        log_start: Offset,
    },
    /// Follower: the logs diverge. The shell looks `leader.epoch` up in its own log as well.
    Diverged {
        /// The leader's epoch.
        leader_epoch: LeaderEpoch,
        /// The leader's answer to the follower's last epoch.
        leader: EpochEnd,
        /// The same question asked of the follower's own log, with `leader.epoch`.
        local: EpochEnd,
    },
    /// Follower: nothing of its log is of use to the leader, which starts at `log_start`.
    OutOfRange {
        /// The leader's epoch.
        leader_epoch: LeaderEpoch,
        /// The leader's first offset.
        log_start: Offset,
    },
    /// Follower: the leader's positions, from a push. The follower has appended all data that came before.
    LeaderMoved {
        /// The leader's epoch.
        leader_epoch: LeaderEpoch,
        /// The leader's high watermark.
        high_watermark: Offset,
        /// The leader's first offset.
        log_start: Offset,
    },
    /// Follower: the stream to the leader is gone; the partition must be opened again.
    LinkLost,
    /// Time passed.
    Tick,
}
