//! A model controller for one partition: registration, fencing, elections, compare-and-set of the ISR, and the eligible
//! leader replicas of KIP-966.

use std::collections::BTreeSet;

use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::{Assignment, IsrAnswer, IsrChange};

pub(super) const BROKERS: i32 = 3;
pub(super) const MIN_ISR: usize = 2;

/// What brokers are sent: a copy of the state.
#[derive(Debug, Clone)]
pub(super) struct Controller {
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub isr: BTreeSet<BrokerId>,
    pub elr: BTreeSet<BrokerId>,
    pub broker_epochs: Vec<BrokerEpoch>,
    pub fenced: Vec<bool>,
}

pub(super) fn brokers() -> impl Iterator<Item = BrokerId> {
    (0..BROKERS).map(BrokerId)
}

pub(super) fn index(broker: BrokerId) -> usize {
    usize::try_from(broker.get()).expect("a real broker")
}

impl Controller {
    pub fn new() -> Self {
        Self {
            leader: BrokerId(0),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            isr: brokers().collect(),
            elr: BTreeSet::new(),
            broker_epochs: (0..BROKERS).map(|id| BrokerEpoch(i64::from(id))).collect(),
            fenced: vec![false; BROKERS as usize],
        }
    }

    pub fn assignment(&self) -> Assignment {
        Assignment {
            leader: self.leader,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            replicas: brokers().collect(),
            isr: self.isr.iter().copied().collect(),
            unclean: false,
        }
    }

    pub fn active(&self) -> Vec<(BrokerId, BrokerEpoch)> {
        brokers().filter(|&id| !self.fenced[index(id)]).map(|id| (id, self.broker_epochs[index(id)])).collect()
    }

    fn set_isr(&mut self, isr: BTreeSet<BrokerId>) {
        let mut elr: BTreeSet<BrokerId> = self.elr.union(&self.isr).copied().collect();
        elr.retain(|id| !isr.contains(id));
        self.elr = if isr.len() >= MIN_ISR { BTreeSet::new() } else { elr };
        self.isr = isr;
        self.partition_epoch = PartitionEpoch(self.partition_epoch.get() + 1);
    }

    fn set_leader(&mut self, leader: BrokerId) {
        self.leader = leader;
        self.leader_epoch = LeaderEpoch(self.leader_epoch.get() + 1);
        self.partition_epoch = PartitionEpoch(self.partition_epoch.get() + 1);
    }

    fn elect(&mut self, rng: &mut SmallRng) {
        let up = |ids: &BTreeSet<BrokerId>| -> Vec<BrokerId> {
            ids.iter().copied().filter(|&id| !self.fenced[index(id)]).collect()
        };
        let (isr, elr) = (up(&self.isr), up(&self.elr));
        if !isr.is_empty() {
            self.set_leader(isr[rng.random_range(0..isr.len())]);
        } else if !elr.is_empty() {
            let leader = elr[rng.random_range(0..elr.len())];
            self.set_isr(BTreeSet::from([leader]));
            self.set_leader(leader);
        } else {
            self.set_leader(BrokerId::NONE);
        }
    }

    pub fn fence(&mut self, broker: BrokerId, rng: &mut SmallRng) {
        if std::mem::replace(&mut self.fenced[index(broker)], true) {
            return;
        }
        if self.isr.contains(&broker) && self.isr.len() > 1 {
            let mut isr = self.isr.clone();
            isr.remove(&broker);
            self.set_isr(isr);
        }
        if self.leader == broker {
            self.elect(rng);
        }
    }

    pub fn unfence(&mut self, broker: BrokerId, rng: &mut SmallRng) {
        self.fenced[index(broker)] = false;
        if self.leader == BrokerId::NONE {
            self.elect(rng);
        }
    }

    pub fn register(&mut self, broker: BrokerId, rng: &mut SmallRng) -> BrokerEpoch {
        self.fence(broker, rng);
        let next = self.broker_epochs.iter().max().expect("not empty").get() + 1;
        self.broker_epochs[index(broker)] = BrokerEpoch(next);
        BrokerEpoch(next)
    }

    /// Moves leadership within the ISR, as a preferred election would.
    pub fn move_leader(&mut self, rng: &mut SmallRng) {
        self.elect(rng);
    }

    /// P8: compare-and-set on the epochs; a joining replica must be unfenced and registered as the leader says.
    pub fn alter(&mut self, from: BrokerId, change: &IsrChange) -> IsrAnswer {
        if from != self.leader
            || change.leader_epoch != self.leader_epoch
            || change.partition_epoch != self.partition_epoch
        {
            return IsrAnswer::Stale;
        }
        let joins_illegally = change.isr.iter().any(|&(id, epoch)| {
            !self.isr.contains(&id) && (self.fenced[index(id)] || self.broker_epochs[index(id)] != epoch)
        });
        if joins_illegally || !change.isr.iter().any(|&(id, _)| id == from) {
            return IsrAnswer::Refused;
        }
        self.set_isr(change.isr.iter().map(|&(id, _)| id).collect());
        IsrAnswer::Accepted {
            isr: self.isr.iter().copied().collect(),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
        }
    }
}
