//! What the metadata log says of one partition: the changes of its state, their reasons, and what happened to the brokers that
//! hold it.

use std::collections::{BTreeSet, VecDeque};

use highwater_types::{BrokerId, MetadataOffset, TopicIdPartition};

use crate::{MetadataEvent, MetadataRecord};

/// Entries that are kept; the oldest go first. Some screens full.
const KEPT: usize = 200;

/// One record that concerns the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Offset of the record in the metadata log.
    pub offset: MetadataOffset,
    /// Why it was written; `None` at levels of the metadata version that do not record it.
    pub event: Option<MetadataEvent>,
    /// The record.
    pub record: MetadataRecord,
}

/// Collects, from a stretch of the metadata log, the newest records that concern one partition.
#[derive(Debug, Clone)]
pub struct PartitionHistory {
    target: TopicIdPartition,
    /// Brokers whose coming and going counts.
    brokers: BTreeSet<BrokerId>,
    /// Where the stretch begins and ends; `None` before the first entry.
    from: Option<MetadataOffset>,
    end: MetadataOffset,
    entries: VecDeque<HistoryEntry>,
    /// There were more than are kept.
    is_cut: bool,
}

impl PartitionHistory {
    /// The history of a partition that these brokers hold, with nothing in it yet.
    pub fn new(target: TopicIdPartition, brokers: impl IntoIterator<Item = BrokerId>) -> Self {
        let (brokers, end) = (brokers.into_iter().collect(), MetadataOffset(0));
        Self { target, brokers, from: None, end, entries: VecDeque::new(), is_cut: false }
    }

    /// Takes in the next entry of the log. Entries that were decided over another state than the one they were committed to are
    /// no part of it: `base` tells.
    pub fn add(&mut self, base: MetadataOffset, records: &[MetadataRecord]) {
        if self.from.is_some() && base < self.end {
            return;
        }
        if self.from.is_none() || base > self.end {
            // The entry before, with which the stretch began, was such a one itself.
            self.entries.clear();
            self.from = Some(base);
        }
        let mut event = None;
        for (position, record) in (0..).zip(records) {
            if let MetadataRecord::Event(now) = record {
                event = Some(now.clone());
            } else if self.concerns(record) {
                let offset = MetadataOffset(base.get() + position);
                self.entries.push_back(HistoryEntry { offset, event: event.clone(), record: record.clone() });
            }
        }
        self.end = MetadataOffset(base.get() + records.len() as i64);
        self.is_cut |= self.entries.len() > KEPT;
        self.entries.drain(..self.entries.len().saturating_sub(KEPT));
    }

    fn concerns(&self, record: &MetadataRecord) -> bool {
        match record {
            MetadataRecord::Partition { topic_id, partition, .. } => {
                (*topic_id, *partition) == (self.target.topic_id, self.target.partition)
            }
            MetadataRecord::PartitionChange(change) => {
                (change.topic_id, change.partition) == (self.target.topic_id, self.target.partition)
            }
            MetadataRecord::RegisterBroker(registration) => self.brokers.contains(&registration.id),
            MetadataRecord::BrokerChange(change) => self.brokers.contains(&change.id),
            MetadataRecord::UnregisterBroker { id, .. } => self.brokers.contains(id),
            _ => false,
        }
    }

    /// What was found, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &HistoryEntry> {
        self.entries.iter()
    }

    /// From where on nothing is missing: where the stretch of the log begins, or the oldest of the entries that were kept.
    pub fn complete_from(&self) -> MetadataOffset {
        let oldest = self.entries.front().filter(|_| self.is_cut).map(|entry| entry.offset);
        oldest.or(self.from).unwrap_or(self.end)
    }
}

#[cfg(test)]
mod tests {
    use highwater_types::{BrokerEpoch, LeaderEpoch, PartitionEpoch, PartitionIndex, Timestamp, TopicId};

    use super::*;
    use crate::{BrokerChange, EventKind, PartitionChange};

    fn target() -> TopicIdPartition {
        TopicIdPartition { topic_id: TopicId::from_random(7), partition: PartitionIndex(3) }
    }

    fn change(partition: i32, epoch: i32) -> MetadataRecord {
        let id = TopicIdPartition { partition: PartitionIndex(partition), ..target() };
        let nothing = PartitionChange::nothing(id, LeaderEpoch(epoch), PartitionEpoch(epoch));
        MetadataRecord::PartitionChange(PartitionChange { leader: Some(BrokerId(2)), ..nothing })
    }

    fn fenced(id: i32) -> MetadataRecord {
        let (id, epoch) = (BrokerId(id), BrokerEpoch(1));
        let change = BrokerChange { id, epoch, fenced: Some(true), ..BrokerChange::nothing(id, epoch) };
        MetadataRecord::BrokerChange(change)
    }

    fn event(broker: i32) -> MetadataRecord {
        MetadataRecord::Event(MetadataEvent {
            at: Timestamp(1000),
            kind: EventKind::BrokerFenced,
            broker: Some(BrokerId(broker)),
            detail: String::new(),
        })
    }

    fn found(history: &PartitionHistory) -> Vec<(i64, Option<i32>)> {
        let broker = |entry: &HistoryEntry| entry.event.as_ref().and_then(|event| event.broker).map(BrokerId::get);
        history.entries().map(|entry| (entry.offset.get(), broker(entry))).collect()
    }

    #[test]
    fn records_of_the_partition_and_its_brokers_are_found_with_the_event_before_them() {
        let mut history = PartitionHistory::new(target(), [1, 2].map(BrokerId));
        history.add(MetadataOffset(10), &[change(3, 1), event(1), fenced(1), change(2, 1), change(3, 2)]);
        history.add(MetadataOffset(15), &[change(3, 3), event(9), fenced(9)]);
        assert_eq!(found(&history), [(10, None), (12, Some(1)), (14, Some(1)), (15, None)]);
        assert_eq!(history.complete_from(), MetadataOffset(10));
    }

    #[test]
    fn entries_that_changed_nothing_are_left_out_also_at_the_beginning() {
        let mut history = PartitionHistory::new(target(), []);
        history.add(MetadataOffset(10), &[change(3, 1)]);
        history.add(MetadataOffset(12), &[change(3, 2)]);
        history.add(MetadataOffset(12), &[change(3, 3)]);
        history.add(MetadataOffset(13), &[change(3, 4)]);
        assert_eq!(found(&history), [(12, None), (13, None)]);
        assert_eq!(history.complete_from(), MetadataOffset(12));
    }

    #[test]
    fn a_long_history_is_cut_and_says_so() {
        let mut history = PartitionHistory::new(target(), []);
        for epoch in 0..KEPT as i32 + 5 {
            history.add(MetadataOffset(i64::from(epoch)), &[change(3, epoch)]);
        }
        assert_eq!(history.entries().count(), KEPT);
        assert_eq!(history.complete_from(), MetadataOffset(5));
    }
}
