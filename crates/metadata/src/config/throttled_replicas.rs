//! `leader.replication.throttled.replicas` and `follower.replication.throttled.replicas` (KIP-73).

use std::collections::BTreeSet;

use highwater_types::{BrokerId, PartitionIndex};

use super::value::split_list;

/// Which replicas of a topic are throttled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ThrottledReplicas {
    /// All of them.
    All,
    /// These replicas of these partitions.
    Only(BTreeSet<(PartitionIndex, BrokerId)>),
}

impl ThrottledReplicas {
    /// Whether the replica of the partition on that broker is throttled.
    pub fn contains(&self, partition: PartitionIndex, broker: BrokerId) -> bool {
        match self {
            Self::All => true,
            Self::Only(replicas) => replicas.contains(&(partition, broker)),
        }
    }

    /// A value that was checked; other elements than `partition:broker` name nothing.
    pub(super) fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::All;
        }
        let pair = |element: &str| {
            let (partition, broker) = element.split_once(':')?;
            Some((PartitionIndex(partition.parse().ok()?), BrokerId(broker.parse().ok()?)))
        };
        Self::Only(split_list(text).into_iter().filter_map(pair).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_single_replicas_and_a_star_all() {
        let contains = |text: &str, partition, broker| {
            ThrottledReplicas::parse(text).contains(PartitionIndex(partition), BrokerId(broker))
        };
        assert!(contains("0:1, 7:2", 0, 1) && contains("0:1, 7:2", 7, 2));
        assert!(!contains("0:1,7:2", 0, 2) && !contains("0:1,7:2", 7, 1) && !contains("", 0, 1));
        assert!(contains("*", 9, 9) && contains(" * ", 9, 9));
        assert!(!contains("x:1,0,0:,:1,*:1", 0, 1));
    }
}
