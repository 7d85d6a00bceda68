//! The schedule: one random step, and the end of all faults.

use std::collections::BTreeSet;

use highwater_types::{BrokerId, MonoMs};
use rand::Rng;

use super::cluster::{Body, Cluster};
use super::controller::{BROKERS, REPLICAS, brokers, index};
use crate::{Event, IsrAnswer, RoleKind};

/// Rounds within which a healed cluster must come to rest.
const HEALING_ROUNDS: usize = 60;

impl Cluster {
    /// Something happens: mostly progress, sometimes a fault.
    pub fn random_step(&mut self) {
        self.now = MonoMs(self.now.0 + self.rng.random_range(0..20));
        let broker = BrokerId(self.rng.random_range(0..BROKERS));
        if self.rng.random_bool(self.profile.moves) {
            self.controller.move_leader(&mut self.rng);
            self.publish_metadata();
        }
        if self.rng.random_bool(self.profile.reassigns) {
            self.reassign();
        }
        if self.rng.random_bool(self.profile.configures) {
            let min_isr = self.rng.random_range(1..=REPLICAS as usize);
            self.controller.set_min_isr(min_isr, &mut self.rng);
            self.publish_metadata();
        }
        match self.rng.random_range(0..1000) {
            0..500 => self.deliver_random(0.03),
            500..560 => {
                let leader = self.some_leader();
                self.append(leader);
            }
            560..700 => {
                let leader = self.some_leader();
                let follower = BrokerId(self.rng.random_range(0..BROKERS));
                self.push(leader, follower);
            }
            700..800 => {
                let log = &self.nodes[index(broker)].log;
                let to = self.rng.random_range(log.flushed()..=log.end());
                self.flush(broker, to);
            }
            800..880 => self.open(broker),
            880..900 => self.step(broker, Event::Tick),
            900..915 => self.break_link(broker),
            915..925 if self.rng.random_bool(0.2) => self.stop_if_up(broker),
            915..925 => self.crash_if_up(broker),
            925..945 => self.restart_if_down(broker),
            945..955 => {
                self.controller.fence(broker, &mut self.rng);
                self.publish_metadata();
            }
            955..976 => self.unfence_if_up(broker),
            976..984 => self.checkpoint(broker),
            984..988 => self.delete_records(broker),
            988..995 => self.time_out_proposal(broker),
            _ => self.now = MonoMs(self.now.0 + 400),
        }
        self.check();
    }

    /// A broker that takes itself for the leader, if there is one.
    fn some_leader(&mut self) -> BrokerId {
        let leads = |broker: &BrokerId| {
            self.nodes[index(*broker)].core.as_ref().is_some_and(|core| core.role() == RoleKind::Leader)
        };
        let leaders: Vec<BrokerId> = brokers().filter(leads).collect();
        if leaders.is_empty() { BrokerId(0) } else { leaders[self.rng.random_range(0..leaders.len())] }
    }

    /// One message arrives, in the order of its stream; now and then a copy of it stays under way, or it is lost.
    fn deliver_random(&mut self, trouble: f64) {
        if self.network.is_empty() {
            return;
        }
        let picked = self.rng.random_range(0..self.network.len());
        let key = |message: &super::cluster::Message| (message.stream, message.to, message.from);
        let wanted = key(&self.network[picked]);
        let first = match wanted.0 {
            None => picked,
            Some(_) => self.network.iter().position(|message| key(message) == wanted).expect("at least the picked one"),
        };
        if trouble > 0.0 {
            let delay = self.profile.delay(&self.network[first]);
            if self.rng.random_bool(delay) {
                return;
            }
        }
        let message = self.network.remove(first).expect("in range");
        let copies = match &message.body {
            // The retry of a request whose first copy is not dead, merely slow.
            Body::Propose(_) | Body::Push { .. } => trouble,
            // Acknowledgements that outlive their session, in the receive buffer of a leader that has lost its leadership.
            Body::Ack { .. } => trouble * 8.0,
            _ => 0.0,
        };
        match self.rng.random_bool(copies) {
            true => {
                let copy = message.clone();
                self.deliver(message);
                self.network.push_back(copy);
            }
            false => self.deliver(message),
        }
    }

    fn crash_if_up(&mut self, broker: BrokerId) {
        if self.nodes[index(broker)].core.is_none() {
            return;
        }
        self.crash(broker);
        // Now and then the power fails everywhere.
        if self.rng.random_bool(0.2) {
            brokers().for_each(|other| {
                if self.nodes[index(other)].core.is_some() {
                    self.crash(other);
                }
            });
        }
    }

    fn stop_if_up(&mut self, broker: BrokerId) {
        if self.nodes[index(broker)].core.is_some() {
            self.stop(broker);
        }
    }

    /// Another set of replicas, of any size; or back to the one before.
    fn reassign(&mut self) {
        let target: BTreeSet<BrokerId> = brokers().filter(|_| self.rng.random_bool(0.6)).collect();
        let cancel = self.rng.random_bool(0.2) || target.is_empty();
        self.log_line(|| format!("reassign to {target:?}, cancel {cancel}"));
        self.controller.reassign((!cancel).then_some(target), &mut self.rng);
        self.publish_metadata();
    }

    fn restart_if_down(&mut self, broker: BrokerId) {
        if self.nodes[index(broker)].core.is_none() {
            self.restart(broker);
        }
    }

    fn unfence_if_up(&mut self, broker: BrokerId) {
        if self.nodes[index(broker)].core.is_some() {
            self.controller.unfence(broker, &mut self.rng);
            self.publish_metadata();
        }
    }

    fn checkpoint(&mut self, broker: BrokerId) {
        let node = &mut self.nodes[index(broker)];
        if let Some(core) = &node.core {
            node.checkpoint = core.high_watermark().get();
        }
    }

    fn delete_records(&mut self, broker: BrokerId) {
        let node = &mut self.nodes[index(broker)];
        let Some(core) = &node.core else { return };
        if core.role() == RoleKind::Leader {
            let log_start = core.high_watermark();
            node.log.set_log_start(log_start.get());
            self.step(broker, Event::LogStartMoved { log_start });
        }
    }

    /// The proposer gives up waiting; the proposal or its answer is still under way, or lost.
    fn time_out_proposal(&mut self, broker: BrokerId) {
        let Some((leader_epoch, partition_epoch)) = self.nodes[index(broker)].outstanding.pop() else { return };
        if self.rng.random_bool(0.3) {
            self.network.retain(|message| !(message.from == broker && matches!(message.body, Body::Propose(_))));
        }
        self.step(broker, Event::IsrAnswered { leader_epoch, partition_epoch, answer: IsrAnswer::Unknown });
    }

    /// Faults end; every replica comes back; all must agree in the end.
    pub fn heal_and_check(&mut self) {
        brokers().for_each(|broker| self.restart_if_down(broker));
        brokers().for_each(|broker| self.break_link(broker));
        for round in 0..HEALING_ROUNDS {
            if self.controller.unclean {
                return;
            }
            if round % 10 == 0 {
                brokers().for_each(|broker| self.unfence_if_up(broker));
            }
            while !self.network.is_empty() {
                self.deliver_random(0.0);
                self.check();
            }
            self.now = MonoMs(self.now.0 + 50);
            for broker in brokers() {
                self.open(broker);
                self.step(broker, Event::Tick);
                brokers().for_each(|follower| self.push(broker, follower));
                self.flush(broker, i64::MAX);
            }
            self.check();
        }
        while !self.network.is_empty() {
            self.deliver_random(0.0);
        }
        if !self.controller.unclean {
            self.check_healed();
        }
    }
}
