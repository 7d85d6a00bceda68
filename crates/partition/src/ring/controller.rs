//! A model controller for one partition: registration, fencing, elections, compare-and-set of the ISR, the eligible leader
//! replicas of KIP-966, a minimum of in-sync replicas that changes, and reassignments (KIP-455).

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::{Assignment, IsrAnswer, IsrChange};

pub(super) const BROKERS: i32 = 4;
/// Replicas of the partition, but while it is reassigned.
pub(super) const REPLICAS: i32 = 3;

/// What brokers are sent: a copy of the state.
#[derive(Debug, Clone)]
pub(super) struct Controller {
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub replicas: BTreeSet<BrokerId>,
    pub adding: BTreeSet<BrokerId>,
    pub removing: BTreeSet<BrokerId>,
    pub isr: BTreeSet<BrokerId>,
    pub elr: BTreeSet<BrokerId>,
    pub last_leader: BrokerId,
    /// `min.insync.replicas`; brokers hear of changes later.
    pub min_isr: usize,
    pub broker_epochs: Vec<BrokerEpoch>,
    pub fenced: Vec<bool>,
    /// The last known leader was elected although it may have lost records: nothing is promised from here on.
    pub unclean: bool,
}

pub(super) fn brokers() -> impl Iterator<Item = BrokerId> {
    (0..BROKERS).map(BrokerId)
}

pub(super) fn index(broker: BrokerId) -> usize {
    usize::try_from(broker.get()).expect("a real broker")
}

impl Controller {
    pub fn new() -> Self {
        let replicas: BTreeSet<BrokerId> = (0..REPLICAS).map(BrokerId).collect();
        Self {
            leader: BrokerId(0),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            isr: replicas.clone(),
            replicas,
            adding: BTreeSet::new(),
            removing: BTreeSet::new(),
            elr: BTreeSet::new(),
            last_leader: BrokerId(0),
            min_isr: 2,
            broker_epochs: (0..BROKERS).map(|id| BrokerEpoch(i64::from(id))).collect(),
            fenced: vec![false; BROKERS as usize],
            unclean: false,
        }
    }

    pub fn assignment(&self) -> Assignment {
        Assignment {
            leader: self.leader,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            replicas: self.replicas.iter().copied().collect(),
            isr: self.isr.iter().copied().collect(),
            elr: self.elr.iter().copied().collect(),
            unclean: false,
        }
    }

    fn is_up(&self, broker: BrokerId) -> bool {
        !self.fenced[index(broker)]
    }

    pub fn active(&self) -> Arc<[(BrokerId, BrokerEpoch)]> {
        brokers().filter(|&id| self.is_up(id)).map(|id| (id, self.broker_epochs[index(id)])).collect()
    }

    /// Makes a change, and what follows from it. `lost` is a broker that may lack what it had acknowledged.
    fn change(&mut self, rng: &mut SmallRng, lost: Option<BrokerId>, edit: impl FnOnce(&mut Self)) {
        let before = self.clone();
        edit(self);
        let up: BTreeSet<BrokerId> = brokers().filter(|&id| self.is_up(id)).collect();
        self.isr.retain(|id| up.contains(id) && self.replicas.contains(id));
        self.complete_reassignment();
        self.elr.extend(&before.isr);
        self.elr.retain(|id| self.replicas.contains(id) && !self.isr.contains(id) && lost != Some(*id));
        if self.isr.len() >= self.effective_min_isr() {
            self.elr.clear();
        }
        if !self.isr.contains(&self.leader) {
            self.elect(&up, rng);
        }
        if self.leader != BrokerId::NONE {
            self.last_leader = self.leader;
        }
        if self.leader != before.leader || !before.replicas.is_subset(&self.replicas) {
            self.leader_epoch = LeaderEpoch(self.leader_epoch.get() + 1);
        }
        if self.of_partition() != before.of_partition() {
            self.use_up_partition_epoch();
        }
    }

    /// What is the partition's own: brokers that have nothing to do with it come and go without a new partition epoch.
    fn of_partition(&self) -> impl PartialEq + '_ {
        (self.leader, &self.replicas, &self.adding, &self.removing, &self.isr, &self.elr, self.unclean)
    }

    fn use_up_partition_epoch(&mut self) {
        self.partition_epoch = PartitionEpoch(self.partition_epoch.get() + 1);
    }

    fn effective_min_isr(&self) -> usize {
        self.min_isr.min(self.replicas.len())
    }

    fn elect(&mut self, up: &BTreeSet<BrokerId>, rng: &mut SmallRng) {
        let choose = |ids: &BTreeSet<BrokerId>, rng: &mut SmallRng| {
            let ids: Vec<BrokerId> = ids.intersection(up).copied().collect();
            (!ids.is_empty()).then(|| ids[rng.random_range(0..ids.len())])
        };
        if let Some(leader) = choose(&self.isr, rng) {
            self.leader = leader;
        } else if let Some(leader) = choose(&self.elr, rng) {
            self.leader = leader;
            self.isr = BTreeSet::from([leader]);
            self.elr.remove(&leader);
        } else if self.elr.is_empty() && up.contains(&self.last_leader) && self.replicas.contains(&self.last_leader) {
            self.leader = self.last_leader;
            self.isr = BTreeSet::from([self.leader]);
            self.unclean = true;
        } else {
            self.leader = BrokerId::NONE;
        }
    }

    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let isr: BTreeSet<BrokerId> = self.isr.difference(&self.removing).copied().collect();
        let replicas: BTreeSet<BrokerId> = self.replicas.difference(&self.removing).copied().collect();
        let is_enough = isr.len() >= self.min_isr.min(replicas.len()) || isr == self.isr;
        if !isr.is_empty() && is_enough && self.adding.is_subset(&isr) {
            (self.isr, self.replicas) = (isr, replicas);
            self.adding.clear();
            self.removing.clear();
        }
    }

    pub fn fence(&mut self, broker: BrokerId, rng: &mut SmallRng) {
        if self.is_up(broker) {
            self.change(rng, None, |state| state.fenced[index(broker)] = true);
        }
    }

    pub fn unfence(&mut self, broker: BrokerId, rng: &mut SmallRng) {
        if !self.is_up(broker) {
            self.change(rng, None, |state| state.fenced[index(broker)] = false);
        }
    }

    pub fn register(&mut self, broker: BrokerId, may_have_lost: bool, rng: &mut SmallRng) -> BrokerEpoch {
        let next = BrokerEpoch(self.broker_epochs.iter().max().expect("not empty").get() + 1);
        self.change(rng, may_have_lost.then_some(broker), |state| {
            state.fenced[index(broker)] = true;
            state.broker_epochs[index(broker)] = next;
        });
        next
    }

    /// Moves leadership within the ISR, as a preferred election would.
    pub fn move_leader(&mut self, rng: &mut SmallRng) {
        let isr: Vec<BrokerId> = self.isr.iter().copied().collect();
        if !isr.is_empty() {
            let leader = isr[rng.random_range(0..isr.len())];
            self.change(rng, None, |state| state.leader = leader);
        }
    }

    pub fn set_min_isr(&mut self, min_isr: usize, rng: &mut SmallRng) {
        self.change(rng, None, |state| state.min_isr = min_isr);
    }

    /// Begins a reassignment, replaces a running one, or (`None`) goes back.
    pub fn reassign(&mut self, target: Option<BTreeSet<BrokerId>>, rng: &mut SmallRng) {
        let original: BTreeSet<BrokerId> = self.replicas.difference(&self.adding).copied().collect();
        let target = target.unwrap_or_else(|| original.clone());
        let replicas: BTreeSet<BrokerId> = original.union(&target).copied().collect();
        let stays = |ids: &BTreeSet<BrokerId>| ids.iter().any(|id| replicas.contains(id));
        if !stays(&self.isr) && (!self.isr.is_empty() || !stays(&self.elr) && !self.elr.is_empty()) {
            return;
        }
        self.change(rng, None, |state| {
            state.adding = target.difference(&original).copied().collect();
            state.removing = original.difference(&target).copied().collect();
            state.replicas = replicas;
        });
    }

    /// P8: compare-and-set on the epochs; a joining replica must be unfenced and registered as the leader says.
    pub fn alter(&mut self, from: BrokerId, change: &IsrChange, rng: &mut SmallRng) -> IsrAnswer {
        if from != self.leader
            || change.leader_epoch != self.leader_epoch
            || change.partition_epoch != self.partition_epoch
        {
            return IsrAnswer::Stale;
        }
        let joins_illegally = change.isr.iter().any(|&(id, epoch)| {
            !self.isr.contains(&id)
                && (!self.is_up(id) || self.broker_epochs[index(id)] != epoch || !self.replicas.contains(&id))
        });
        if joins_illegally || !change.isr.iter().any(|&(id, _)| id == from) {
            return IsrAnswer::Refused;
        }
        self.change(rng, None, |state| state.isr = change.isr.iter().map(|&(id, _)| id).collect());
        if self.partition_epoch == change.partition_epoch {
            self.use_up_partition_epoch();
        }
        if self.leader != from {
            return IsrAnswer::Stale;
        }
        IsrAnswer::Accepted {
            isr: self.isr.iter().copied().collect(),
            elr: self.elr.iter().copied().collect(),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
        }
    }
}
