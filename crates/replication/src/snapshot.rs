//! What readers see of a partition without taking its lock.

use highwater_partition::RoleKind;
use highwater_types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

use crate::{FetchError, LeaderHint};

/// A consistent picture of one replica; published under the partition's lock after each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The log directory failed or the log is closed.
    pub failed: bool,
    pub role: RoleKind,
    /// It follows, its log is a prefix of the leader's, and it is in the ISR as far as this broker was told.
    pub in_sync_follower: bool,
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    pub log_start: Offset,
    pub high_watermark: Offset,
    /// Whether clients may be told the high watermark: see [`highwater_partition::Replica::exposed_high_watermark`].
    pub exposed: bool,
    pub last_stable_offset: Offset,
    pub log_end: Offset,
}

impl Snapshot {
    /// Whether this broker leads in that epoch.
    pub fn leads(&self, epoch: LeaderEpoch) -> bool {
        !self.failed && self.role == RoleKind::Leader && self.leader_epoch == epoch
    }

    /// Refuses what only the leader answers, and clients whose idea of the leadership is older or newer (KIP-320).
    pub fn check_leader(&self, current_leader_epoch: LeaderEpoch) -> Result<(), FetchError> {
        self.check(current_leader_epoch, self.role == RoleKind::Leader)
    }

    /// As [`Self::check_leader`], of what an in-sync follower may answer as well (KIP-392).
    pub fn check_reader(&self, current_leader_epoch: LeaderEpoch) -> Result<(), FetchError> {
        self.check(current_leader_epoch, self.role == RoleKind::Leader || self.in_sync_follower)
    }

    fn check(&self, current_leader_epoch: LeaderEpoch, is_in_charge: bool) -> Result<(), FetchError> {
        if self.failed {
            return Err(FetchError::new(ErrorCode::KafkaStorageError));
        }
        if current_leader_epoch != LeaderEpoch::NONE {
            if current_leader_epoch < self.leader_epoch {
                return Err(self.refuse(ErrorCode::FencedLeaderEpoch));
            }
            if current_leader_epoch > self.leader_epoch {
                return Err(self.refuse(ErrorCode::UnknownLeaderEpoch));
            }
        }
        if is_in_charge { Ok(()) } else { Err(self.refuse(ErrorCode::NotLeaderOrFollower)) }
    }

    /// Whether both are of the same time as in-sync follower of one leader.
    pub fn is_same_following(&self, other: &Self) -> bool {
        self.in_sync_follower && other.in_sync_follower && self.leader_epoch == other.leader_epoch
    }

    /// An error that tells the client who leads.
    pub fn refuse(&self, code: ErrorCode) -> FetchError {
        let leader = (self.leader != BrokerId::NONE).then_some(self.hint());
        FetchError { leader, ..FetchError::new(code) }
    }

    /// Who leads, as this broker was last told.
    pub fn hint(&self) -> LeaderHint {
        LeaderHint { leader: self.leader, epoch: self.leader_epoch }
    }
}
