//! One topic with its partitions.

use std::sync::Arc;

use highwater_types::{PartitionIndex, TopicId, TopicName};
use imbl::Vector;

use crate::PartitionImage;

/// A topic. Cheap to clone: partitions are shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TopicImage {
    /// Name, unique in the cluster.
    pub name: TopicName,
    /// Id, never used again after the topic is deleted (M8).
    pub id: TopicId,
    /// Partitions by index, without gaps.
    pub partitions: Vector<Arc<PartitionImage>>,
}

impl TopicImage {
    /// The partition of that index.
    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<PartitionImage>> {
        usize::try_from(index.get()).ok().and_then(|index| self.partitions.get(index))
    }

    /// All partitions with their indexes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (PartitionIndex, &Arc<PartitionImage>)> {
        (0i32..).map(PartitionIndex).zip(self.partitions.iter())
    }

    /// How many partitions there are.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).expect("partition indexes are 32-bit")
    }
}
