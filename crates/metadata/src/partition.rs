//! One partition as the controller sees it.

use std::hash::{Hash, Hasher};

use highwater_types::{BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicIdPartition};
use thin_vec::ThinVec;

/// Whether the leader was elected from the ISR or not (KIP-704).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LeaderRecoveryState {
    /// Elected from the ISR, or the leader has told that it recovered.
    #[default]
    Recovered,
    /// Elected outside the ISR: acknowledged records may be gone. This is the audit trail of an unclean election.
    Recovering,
}

impl LeaderRecoveryState {
    /// Kafka's number of the state.
    pub const fn code(self) -> i8 {
        match self {
            Self::Recovered => 0,
            Self::Recovering => 1,
        }
    }

    /// The state of that number.
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            _ => None,
        }
    }
}

/// The state of one partition. A node has one for each partition of the cluster, so lists that are mostly empty are thin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// Assigned brokers, the preferred leader first. Never empty, no broker twice.
    pub replicas: Vec<BrokerId>,
    /// Log directory of each replica, index by index as `replicas` (KIP-858); [`DirectoryId::UNASSIGNED`] until it is told,
    /// [`DirectoryId::LOST`] while the replica has nothing that counts.
    pub directories: Vec<DirectoryId>,
    /// In-sync replicas, each one of `replicas`. Empty only while nobody leads. (Logs of versions before eligible leader
    /// replicas kept the last member here, with nobody leading.)
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas: out of the ISR, yet known to hold the high watermark (KIP-966). Disjoint from `isr`, each
    /// one of `replicas`; empty while the ISR has `min.insync.replicas`.
    pub elr: ThinVec<BrokerId>,
    /// The last leader, while nobody leads (KIP-966; Kafka uses the field the same way). Leads when ISR and ELR are empty.
    pub last_known_elr: ThinVec<BrokerId>,
    /// Replicas that a running reassignment adds, each one of `replicas`.
    pub adding: ThinVec<BrokerId>,
    /// Replicas that a running reassignment removes, each one of `replicas`.
    pub removing: ThinVec<BrokerId>,
    /// The leader, in the ISR; [`BrokerId::NONE`] while no member of ISR or ELR is available.
    pub leader: BrokerId,
    /// How the leader came to be.
    pub leader_recovery: LeaderRecoveryState,
    /// Grows with each change of leader and with each shrink of the replica set.
    pub leader_epoch: LeaderEpoch,
    /// Grows with each change of this partition.
    pub partition_epoch: PartitionEpoch,
    /// Leader epoch of the last leader that was in neither ISR nor ELR when it was elected, [`LeaderEpoch::NONE`] if there
    /// was none: the lasting audit trail of unclean elections. Replay derives it; no change record carries it.
    pub unclean_epoch: LeaderEpoch,
}

impl Hash for PartitionImage {
    /// All fields in order, but [`Self::unclean_epoch`] only where there is one: stored snapshots of earlier versions, which
    /// do not know it, keep their hash.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.replicas.hash(state);
        self.directories.hash(state);
        self.isr.hash(state);
        self.elr.hash(state);
        self.last_known_elr.hash(state);
        self.adding.hash(state);
        self.removing.hash(state);
        self.leader.hash(state);
        self.leader_recovery.hash(state);
        self.leader_epoch.hash(state);
        self.partition_epoch.hash(state);
        if self.unclean_epoch != LeaderEpoch::NONE {
            self.unclean_epoch.hash(state);
        }
    }
}

impl PartitionImage {
    /// A new partition: all of `replicas` in `isr` that the caller names, first epochs.
    pub fn new(replicas: Vec<BrokerId>, directories: Vec<DirectoryId>, isr: Vec<BrokerId>, leader: BrokerId) -> Self {
        Self {
            replicas,
            directories,
            isr,
            elr: ThinVec::new(),
            last_known_elr: ThinVec::new(),
            adding: ThinVec::new(),
            removing: ThinVec::new(),
            leader,
            leader_recovery: LeaderRecoveryState::Recovered,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            unclean_epoch: LeaderEpoch::NONE,
        }
    }

    /// Whether some broker leads.
    pub fn has_leader(&self) -> bool {
        self.leader != BrokerId::NONE
    }

    /// Whether the controller may make this replica the leader without an operator's word: then it must keep what it holds.
    pub fn is_candidate(&self, broker: BrokerId) -> bool {
        self.isr.iter().chain(&self.elr).chain(&self.last_known_elr).any(|&id| id == broker) || self.leader == broker
    }

    /// The first assigned replica, which leads when it can.
    pub fn preferred_leader(&self) -> BrokerId {
        self.replicas[0]
    }

    /// Whether a reassignment runs.
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// Fewer in-sync replicas than assigned ones.
    pub fn is_under_replicated(&self) -> bool {
        self.isr.len() < self.replicas.len() - self.adding.len()
    }

    /// The assigned replicas without those that a running reassignment adds: what it goes back to when it is cancelled.
    pub fn original_replicas(&self) -> Vec<BrokerId> {
        self.replicas.iter().copied().filter(|id| !self.adding.contains(id)).collect()
    }

    /// What is wrong with this partition by itself, or `None`. Brokers are not looked at.
    pub fn defect(&self) -> Option<String> {
        let duplicate = |ids: &[BrokerId]| ids.iter().enumerate().any(|(index, id)| ids[..index].contains(id));
        let assigned = |ids: &[BrokerId]| ids.iter().all(|id| self.replicas.contains(id));
        if self.replicas.is_empty() {
            Some("no replicas".to_owned())
        } else if duplicate(&self.replicas) {
            Some(format!("duplicate replica in {:?}", self.replicas))
        } else if self.directories.len() != self.replicas.len() {
            Some(format!("{} directories for {} replicas", self.directories.len(), self.replicas.len()))
        } else if duplicate(&self.isr) || duplicate(&self.elr) {
            Some(format!("duplicates in ISR {:?} or ELR {:?}", self.isr, self.elr))
        } else if !assigned(&self.isr) || !assigned(&self.elr) {
            Some(format!("ISR {:?} or ELR {:?} is not a subset of replicas {:?}", self.isr, self.elr, self.replicas))
        } else if self.elr.iter().any(|id| self.isr.contains(id)) {
            Some(format!("ISR {:?} and ELR {:?} overlap", self.isr, self.elr))
        } else if !assigned(&self.adding) || !assigned(&self.removing) {
            Some(format!("adding {:?} or removing {:?} of replicas {:?}", self.adding, self.removing, self.replicas))
        } else if self.has_leader() && !self.isr.contains(&self.leader) {
            Some(format!("leader {} is not in ISR {:?}", self.leader, self.isr))
        } else {
            None
        }
    }
}

/// A change to one partition. Absent fields stay as they are; epochs are explicit, so that replay decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionChange {
    /// Topic of the partition.
    pub topic_id: TopicId,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// New assignment, with `directories` of the same length.
    pub replicas: Option<Vec<BrokerId>>,
    /// New directories, index by index as the replicas after this change.
    pub directories: Option<Vec<DirectoryId>>,
    /// New ISR.
    pub isr: Option<Vec<BrokerId>>,
    /// New eligible leader replicas.
    pub elr: Option<Vec<BrokerId>>,
    /// New last known eligible leader replicas.
    pub last_known_elr: Option<Vec<BrokerId>>,
    /// New adding replicas.
    pub adding: Option<Vec<BrokerId>>,
    /// New removing replicas.
    pub removing: Option<Vec<BrokerId>>,
    /// New leader, or [`BrokerId::NONE`].
    pub leader: Option<BrokerId>,
    /// New recovery state.
    pub leader_recovery: Option<LeaderRecoveryState>,
    /// Leader epoch after the change: the old one, or more if the leadership changed.
    pub leader_epoch: LeaderEpoch,
    /// Partition epoch after the change: more than the old one.
    pub partition_epoch: PartitionEpoch,
}

impl PartitionChange {
    /// A change of the epochs and of nothing else.
    pub fn nothing(id: TopicIdPartition, leader_epoch: LeaderEpoch, partition_epoch: PartitionEpoch) -> Self {
        Self {
            topic_id: id.topic_id,
            partition: id.partition,
            replicas: None,
            directories: None,
            isr: None,
            elr: None,
            last_known_elr: None,
            adding: None,
            removing: None,
            leader: None,
            leader_recovery: None,
            leader_epoch,
            partition_epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use thin_vec::thin_vec;

    use super::*;

    #[test]
    fn whoever_may_be_elected_must_keep_its_data() {
        let ids = [1, 2, 3, 4, 5].map(BrokerId);
        let mut partition = PartitionImage::new(ids.to_vec(), vec![DirectoryId::default(); 5], vec![ids[0]], ids[0]);
        assert_eq!(ids.map(|id| partition.is_candidate(id)), [true, false, false, false, false]);
        partition.elr = thin_vec![ids[1]];
        partition.last_known_elr = thin_vec![ids[2]];
        partition.leader = ids[3];
        assert_eq!(ids.map(|id| partition.is_candidate(id)), [true, true, true, true, false]);
    }
}
