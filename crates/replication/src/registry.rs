//! The replicas of this broker, by topic id and partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_types::{PartitionIndex, TopicId, TopicIdPartition};

use crate::partition::Partition;

/// See the top of this file. By topic first: of partitions there are many, and an entry is then half as large.
#[derive(Default)]
pub(crate) struct PartitionRegistry {
    /// No entry is empty.
    topics: BTreeMap<TopicId, BTreeMap<PartitionIndex, Arc<Partition>>>,
}

impl PartitionRegistry {
    /// The replica of that partition.
    pub fn get(&self, id: TopicIdPartition) -> Option<&Arc<Partition>> {
        self.topics.get(&id.topic_id)?.get(&id.partition)
    }

    /// Adds a replica, in place of the one there was.
    pub fn insert(&mut self, partition: Arc<Partition>) {
        let TopicIdPartition { topic_id, partition: index } = partition.id;
        self.topics.entry(topic_id).or_default().insert(index, partition);
    }

    /// Takes it out.
    pub fn remove(&mut self, id: TopicIdPartition) -> Option<Arc<Partition>> {
        let topic = self.topics.get_mut(&id.topic_id)?;
        let removed = topic.remove(&id.partition);
        if topic.is_empty() {
            self.topics.remove(&id.topic_id);
        }
        removed
    }

    /// All of them, in ascending order of key.
    pub fn values(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.topics.values().flat_map(BTreeMap::values)
    }

    /// All of them, in ascending order of key.
    pub fn into_values(self) -> impl Iterator<Item = Arc<Partition>> {
        self.topics.into_values().flat_map(BTreeMap::into_values)
    }
}
