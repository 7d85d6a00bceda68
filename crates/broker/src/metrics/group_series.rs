//! Single groups: members, committed offsets, and how far they are behind, in records and in seconds.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_coordinator_runtime::{CommittedOffset, GroupCoordinator};
use highwater_env::clock;
use highwater_env::lock::Mutex;
use highwater_metrics::Family;
use highwater_metrics::table::groups;
use highwater_replication::Replicas;
use highwater_types::{Offset, PartitionIndex, Timestamp};

/// Most timestamps looked up for one scrape. One takes a few reads of a header, from the page cache as a rule, since the
/// group reads there too; a thousand take some ten milliseconds.
const MAX_LOOK_UPS: usize = 1000;

/// Group, topic and partition of a committed offset.
type Key = (String, String, PartitionIndex);

/// When the record that a group reads next was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next {
    offset: Offset,
    timestamp: Option<Timestamp>,
}

/// Lag of the groups that this broker coordinates.
pub(crate) struct GroupSeries {
    groups: Arc<GroupCoordinator>,
    replicas: Arc<Replicas>,
    /// What was looked up before, for offsets that are still committed.
    known: Mutex<BTreeMap<Key, Next>>,
    per_partition: bool,
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Lag {
    records: u64,
    seconds: Option<f64>,
}

impl GroupSeries {
    /// Without `per_partition`, only sums by topic are shown.
    pub(crate) fn new(groups: Arc<GroupCoordinator>, replicas: Arc<Replicas>, per_partition: bool) -> Self {
        Self { groups, replicas, known: Mutex::default(), per_partition }
    }

    /// The text of all families. May read the disk.
    pub(crate) fn write(&self) -> String {
        let mut text = self.write_groups();
        let committed = self.groups.committed_offsets();
        let lags = self.lags(&committed);
        let (mut sums, mut maxima) = (Family::new(&groups::LAG_SUM), Family::new(&groups::LAG_SECONDS_MAX));
        let of_topic = |a: &(&CommittedOffset, Option<Lag>), b: &(&CommittedOffset, Option<Lag>)| {
            a.0.group_id == b.0.group_id && a.0.topic == b.0.topic
        };
        let pairs: Vec<_> = committed.iter().zip(lags.iter().copied()).collect();
        for topic in pairs.chunk_by(of_topic) {
            let labels: [&dyn std::fmt::Display; 2] = [&topic[0].0.group_id, &topic[0].0.topic];
            let known = || topic.iter().filter_map(|(_, lag)| *lag);
            if known().next().is_some() {
                sums.add(&labels, known().map(|lag| lag.records).sum::<u64>());
            }
            if let Some(seconds) = known().filter_map(|lag| lag.seconds).reduce(f64::max) {
                maxima.add(&labels, seconds);
            }
        }
        text += &sums.into_text();
        text += &maxima.into_text();
        if self.per_partition {
            text += &write_partitions(&pairs);
        }
        text
    }

    fn write_groups(&self) -> String {
        let (mut members, mut generations) = (Family::new(&groups::MEMBERS), Family::new(&groups::GENERATION));
        for group in self.groups.group_figures() {
            members.add(&[&group.group_id], group.members);
            generations.add(&[&group.group_id], group.generation);
        }
        members.into_text() + &generations.into_text()
    }

    /// The lag of each offset, where a replica here tells. What was looked up for offsets that are gone is forgotten.
    fn lags(&self, committed: &[CommittedOffset]) -> Vec<Option<Lag>> {
        let mut known = self.known.lock();
        let before = std::mem::take(&mut *known);
        let now = clock::wall_ms();
        let mut look_ups = 0;
        let mut lag_of = |committed: &CommittedOffset| {
            let CommittedOffset { group_id, topic, partition, offset, .. } = committed;
            let records = self.replicas.records_behind(topic, *partition, *offset)?;
            if records == 0 {
                return Some(Lag { records, seconds: Some(0.0) });
            }
            let key = (group_id.clone(), topic.clone(), *partition);
            let next = match before.get(&key) {
                Some(next) if next.offset == *offset || look_ups >= MAX_LOOK_UPS => Some(*next),
                None if look_ups >= MAX_LOOK_UPS => None,
                _ => {
                    look_ups += 1;
                    let timestamp = self.replicas.timestamp_near(topic, *partition, *offset);
                    Some(Next { offset: *offset, timestamp })
                }
            };
            let timestamp = next.and_then(|next| next.timestamp);
            known.extend(next.map(|next| (key, next)));
            Some(Lag { records, seconds: timestamp.map(|timestamp| (now.0 - timestamp.0).max(0) as f64 / 1000.0) })
        };
        committed.iter().map(&mut lag_of).collect()
    }
}

fn write_partitions(pairs: &[(&CommittedOffset, Option<Lag>)]) -> String {
    let mut offsets = Family::new(&groups::CURRENT_OFFSET);
    let (mut records, mut seconds) = (Family::new(&groups::LAG), Family::new(&groups::LAG_SECONDS));
    for (committed, lag) in pairs {
        let labels: [&dyn std::fmt::Display; 3] = [&committed.group_id, &committed.topic, &committed.partition];
        offsets.add(&labels, committed.offset);
        if let Some(lag) = lag {
            records.add(&labels, lag.records);
            lag.seconds.into_iter().for_each(|value| seconds.add(&labels, value));
        }
    }
    offsets.into_text() + &records.into_text() + &seconds.into_text()
}
