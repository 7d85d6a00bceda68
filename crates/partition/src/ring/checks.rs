//! The invariants, on the whole cluster.

use std::collections::BTreeSet;

use highwater_types::{BrokerId, Offset};

use super::cluster::{Cluster, Node};
use super::controller::{Controller, brokers, index};
use super::log::Entry;
use crate::{Durability, RoleKind};

impl Cluster {
    /// After every step.
    pub fn check(&mut self) {
        if self.controller.unclean {
            return;
        }
        self.check_committed_agrees();
        self.check_in_sync_hold_committed();
        self.check_log_matching();
        self.check_leader_counts_controllers_isr();
        self.check_exposed();
    }

    /// A leader's high watermark moved: what it covers is committed from now on; acks=all appends below it are answered.
    pub fn on_commit(&mut self, broker: BrokerId, done: Vec<(i64, Entry)>, enough_in_sync: bool) {
        let node = &self.nodes[index(broker)];
        let core = node.core.as_ref().expect("it just stepped");
        if core.role() != RoleKind::Leader {
            return self.check_acknowledged_after_leading(broker, done);
        }
        for offset in self.committed.len() as i64..core.high_watermark().get() {
            let entry = node
                .log
                .entry(offset)
                .unwrap_or_else(|| panic!("P2: leader {broker} commits {offset} without having it"));
            self.committed.push(entry);
        }
        let min_isr = core.effective_min_isr().expect("it leads");
        // With relaxed durability a member of the ISR that crashed a moment ago holds less than it acknowledged.
        if !enough_in_sync || self.profile.durability == Durability::Relaxed {
            return;
        }
        for (offset, entry) in done {
            let holders = brokers().filter(|&replica| {
                let log = &self.nodes[index(replica)].log;
                log.start() > offset || (log.entry(offset) == Some(entry) && log.flushed() > offset)
            });
            let holders: BTreeSet<BrokerId> = holders.collect();
            assert!(holders.len() >= min_isr, "P6: offset {offset} acknowledged, durable on {holders:?} only");
            assert!(
                self.controller.isr.is_subset(&holders),
                "P6: offset {offset} acknowledged, durable on {holders:?}, in sync are {:?}",
                self.controller.isr
            );
            self.acked.insert(offset);
        }
    }

    /// P2: what was appended as leader is acknowledged by the follower that it became only if it is committed.
    fn check_acknowledged_after_leading(&self, broker: BrokerId, done: Vec<(i64, Entry)>) {
        for (offset, entry) in done {
            let committed = self.committed.get(usize::try_from(offset).expect("not negative"));
            assert!(
                self.controller.unclean || committed == Some(&entry),
                "P2: {broker} acknowledges {entry:?} at {offset}, where {committed:?} is committed"
            );
        }
    }

    /// P9: what a replica has of the committed prefix, it keeps.
    pub fn check_truncation(&self, broker: BrokerId, offset: Offset) {
        let log = &self.nodes[index(broker)].log;
        let agrees = |offset: &i64| {
            self.committed.get(usize::try_from(*offset).expect("not negative")).copied() == log.entry(*offset)
        };
        let shared = (log.start()..log.end()).take_while(agrees).count() as i64 + log.start();
        let kept = shared.min(self.committed.len() as i64);
        assert!(offset.get() >= kept, "P9: {broker} cuts at {offset}, it held committed records up to {kept}");
    }

    /// P1 below the high watermark: every replica's committed part is the committed sequence.
    fn check_committed_agrees(&self) {
        for broker in brokers() {
            let node = &self.nodes[index(broker)];
            let Some(core) = &node.core else { continue };
            let high_watermark = core.high_watermark().get();
            assert!(
                high_watermark <= self.committed.len() as i64,
                "{broker} takes {high_watermark} for committed, {} are",
                self.committed.len()
            );
            assert_eq!(core.cursors(), node.log.cursors(), "{broker}'s core and log disagree");
            for offset in node.log.start()..high_watermark {
                let expected = self.committed[usize::try_from(offset).expect("not negative")];
                assert_eq!(
                    node.log.entry(offset),
                    Some(expected),
                    "P1: {broker} differs below its high watermark at {offset}"
                );
            }
        }
    }

    /// P2, P5, P10: whoever may be elected has all that is committed: on disk, running or not, with strict durability.
    fn check_in_sync_hold_committed(&self) {
        let relaxed = self.profile.durability == Durability::Relaxed;
        for &broker in self.controller.isr.union(&self.controller.elr) {
            let Node { log, core, .. } = &self.nodes[index(broker)];
            if relaxed && core.is_none() {
                continue;
            }
            for offset in log.start()..self.committed.len() as i64 {
                let expected = self.committed[usize::try_from(offset).expect("not negative")];
                let held = log.entry(offset) == Some(expected) && (relaxed || log.flushed() > offset);
                assert!(
                    held,
                    "P2: {broker} is in ISR {:?} or ELR {:?} without committed offset {offset} on disk",
                    self.controller.isr, self.controller.elr
                );
            }
        }
    }

    /// P1: the same epoch at the same offset means the same record, and the same before it.
    fn check_log_matching(&self) {
        for (one, other) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
            let (one, other) = (&self.nodes[one].log, &self.nodes[other].log);
            let start = one.start().max(other.start());
            let mut differed = None;
            for offset in start..one.end().min(other.end()) {
                let (left, right) = (one.entry(offset), other.entry(offset));
                if left != right {
                    let epochs = (left.map(|entry| entry.epoch), right.map(|entry| entry.epoch));
                    assert!(epochs.0 != epochs.1, "P1: two records at {offset} in one epoch");
                    differed.get_or_insert(offset);
                } else if let Some(before) = differed {
                    panic!("P1: same record at {offset}, different ones at {before}");
                }
            }
        }
    }

    /// P4.
    fn check_leader_counts_controllers_isr(&self) {
        let leader = self.controller.leader;
        let Some(core) = brokers().find(|&id| id == leader).and_then(|id| self.nodes[index(id)].core.as_ref()) else {
            return;
        };
        if core.leader_epoch() == self.controller.leader_epoch
            && let Some(maximal) = core.maximal_isr()
        {
            let maximal: BTreeSet<BrokerId> = maximal.into_iter().collect();
            let Controller { isr, elr, .. } = &self.controller;
            assert!(
                isr.union(elr).all(|member| maximal.contains(member)),
                "P4: leader {leader} counts {maximal:?}, the controller has ISR {isr:?} and ELR {elr:?}"
            );
        }
    }

    /// P3: what the current leader tells clients is never less than what any leader told before.
    fn check_exposed(&mut self) {
        for broker in brokers() {
            let Some(core) = &self.nodes[index(broker)].core else { continue };
            let Some(exposed) = core.exposed_high_watermark() else { continue };
            if broker == self.controller.leader && core.leader_epoch() == self.controller.leader_epoch {
                assert!(
                    exposed.get() >= self.exposed,
                    "P3: {broker} exposes {exposed}, clients were told {} before",
                    self.exposed
                );
            }
            self.exposed = self.exposed.max(exposed.get());
        }
    }

    /// Once faults have ended and everything came to rest.
    pub fn check_healed(&self) {
        let leader = self.controller.leader;
        assert!(leader != BrokerId::NONE, "liveness: no leader");
        assert_eq!(
            self.controller.isr, self.controller.replicas,
            "liveness: the ISR did not fill: {:?}",
            self.controller
        );
        assert!(
            self.controller.adding.is_empty() && self.controller.removing.is_empty(),
            "liveness: a reassignment hangs"
        );
        let end = self.nodes[index(leader)].log.end();
        for &broker in &self.controller.replicas {
            let node = &self.nodes[index(broker)];
            let core = node.core.as_ref().expect("all run");
            assert_eq!(node.log.end(), end, "liveness: {broker} did not catch up");
            assert_eq!(core.high_watermark().get(), end, "liveness: {broker}'s high watermark did not catch up");
            assert!(node.parked.is_empty(), "liveness: an append was never answered");
        }
        let leader_core = self.nodes[index(leader)].core.as_ref().expect("all run");
        assert!(leader_core.exposed_high_watermark().is_some());
        assert!(
            leader_core.isr().is_some_and(crate::IsrState::is_committed),
            "liveness: a change is in flight for ever"
        );
        assert!(self.acked.iter().all(|&offset| offset < self.committed.len() as i64));
    }
}
