//! P6: an acks=all reply means that min.insync.replicas replicas hold the record, flushed, at that moment.
//! M9: a broker that the metadata says is fenced acknowledges nothing, and holds no lease: whatever controller granted it, it has
//! lapsed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use highwater_types::{BrokerId, MonoMs, Offset, PartitionIndex};

use super::View;
use crate::workload::TOPIC;

/// `min.insync.replicas` of the workload's topic.
const MIN_ISR: usize = 2;
/// What a replica flushed between the last look at it and its end is not known. For so long, in which what it said of that can have
/// led to an acknowledgement, it may have been anything.
const UNSEEN: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Promises {
    /// Each replica as last seen: a node that has just died keeps what it had flushed.
    seen: BTreeMap<(BrokerId, PartitionIndex), Seen>,
}

struct Seen {
    flushed: Offset,
    at: MonoMs,
}

impl Seen {
    /// Whether the replica has `offset` flushed, as far as anybody can tell.
    fn holds(&self, offset: Offset, now: MonoMs) -> bool {
        self.flushed > offset || (self.at < now && now - self.at < UNSEEN)
    }
}

impl Promises {
    pub fn check(&mut self, view: &View<'_>) -> Result<()> {
        for node in view.nodes {
            // Once it knows that it holds a partition no more, it has deleted it.
            let topic = node.image.topic_by_name(TOPIC);
            self.seen.retain(|(broker, index), _| {
                let assigned = topic.and_then(|topic| topic.partition(*index));
                *broker != node.node || assigned.is_none_or(|partition| partition.replicas.contains(broker))
            });
            for replica in node.replicas.iter().filter(|replica| replica.topic.as_str() == TOPIC) {
                self.seen.insert((node.node, replica.partition), Seen { flushed: replica.flushed, at: view.now });
            }
        }
        for node in view.nodes.iter().filter(|node| node.lease_until > view.now) {
            let registered = view.newest.broker(node.node).filter(|broker| broker.epoch == node.broker_epoch);
            ensure!(
                registered.is_none_or(|broker| !broker.fenced),
                "M9: broker {} is fenced at metadata offset {}, and has a lease for {} ms more",
                node.node,
                view.newest.offset(),
                (node.lease_until - view.now).as_millis()
            );
        }
        for acknowledged in view.acknowledged {
            let partition = acknowledged.partition;
            let holds = |seen: &Seen| seen.holds(acknowledged.offset, view.now);
            let holders = self.seen.iter().filter(|((_, index), seen)| *index == partition && holds(seen)).count();
            ensure!(
                holders >= MIN_ISR,
                "P6: {TOPIC}-{partition} offset {} was acknowledged, {holders} replica(s) have it flushed",
                acknowledged.offset
            );
            let node = BrokerId(i32::try_from(acknowledged.node)? + 1);
            let fenced = view.newest.broker(node).is_some_and(|broker| broker.fenced);
            let registered = view.nodes.iter().find(|seen| seen.node == node).map(|seen| seen.broker_epoch);
            let same = registered == Some(view.newest.broker_epoch(node));
            ensure!(
                !(fenced && same),
                "M9: fenced broker {node} acknowledged {TOPIC}-{partition} offset {}",
                acknowledged.offset
            );
        }
        Ok(())
    }
}
