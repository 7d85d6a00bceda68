//! Committed offsets of one group, and when they expire.

use std::collections::BTreeMap;

use highwater_types::{PartitionIndex, Timestamp};

use crate::GroupState;
use crate::classic::ClassicGroup;
use crate::schema::OffsetCommitValue;

/// Offsets by topic and partition. No topic is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupOffsets {
    topics: BTreeMap<String, BTreeMap<PartitionIndex, OffsetCommitValue>>,
}

impl GroupOffsets {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn get(&self, topic: &str, partition: PartitionIndex) -> Option<&OffsetCommitValue> {
        self.topics.get(topic)?.get(&partition)
    }

    pub(crate) fn insert(&mut self, topic: String, partition: PartitionIndex, value: OffsetCommitValue) {
        self.topics.entry(topic).or_default().insert(partition, value);
    }

    pub(crate) fn remove(&mut self, topic: &str, partition: PartitionIndex) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    /// Topics by name, each with its offsets by partition.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&String, &BTreeMap<PartitionIndex, OffsetCommitValue>)> {
        self.topics.iter()
    }

    /// Every offset, by topic and partition.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, PartitionIndex, &OffsetCommitValue)> {
        self.topics
            .iter()
            .flat_map(|(topic, partitions)| partitions.iter().map(move |(&partition, value)| (topic, partition, value)))
    }

    /// Partitions of a topic that have an offset.
    pub(crate) fn partitions_of(&self, topic: &str) -> impl Iterator<Item = PartitionIndex> {
        self.topics.get(topic).into_iter().flat_map(|partitions| partitions.keys().copied())
    }
}

/// From when the retention time of a group's offsets counts (KIP-211).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetentionBase {
    /// Offsets are in use, or may be: nothing expires.
    Never,
    /// From the commit: simple groups, and topics a stable consumer group no longer reads.
    Commit,
    /// From the time the group lost its last member.
    GroupEmptied(Timestamp),
}

impl RetentionBase {
    /// The rule for a group in its present state.
    pub(crate) fn of(group: &ClassicGroup) -> Self {
        if group.is_simple() {
            return Self::Commit;
        }
        match group.state() {
            GroupState::Empty => group.state_timestamp().map_or(Self::Commit, Self::GroupEmptied),
            GroupState::Stable if group.uses_consumer_protocol() && group.knows_subscribed_topics() => Self::Commit,
            _ => Self::Never,
        }
    }

    /// Whether an offset is due at `now`. An expiry time of its own (OffsetCommit 2 to 4) goes before the broker's rule.
    pub(crate) fn is_expired(self, value: &OffsetCommitValue, now: Timestamp, retention_ms: i64) -> bool {
        let base = match self {
            Self::Never => return false,
            Self::Commit => value.commit_timestamp,
            Self::GroupEmptied(at) => at,
        };
        match value.expire_timestamp {
            Some(expire) => now >= expire,
            None => now.0.saturating_sub(base.0) >= retention_ms,
        }
    }
}
