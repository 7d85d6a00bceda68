//! One offset per partition of a log directory, in Kafka's text format: `recovery-point-offset-checkpoint`,
//! `replication-offset-checkpoint` (high watermarks) and `log-start-offset-checkpoint`.

use std::collections::BTreeMap;

use highwater_types::{Offset, PartitionIndex, TopicName, TopicPartition};

use crate::text_file::{Lines, Malformed};

const VERSION: &str = "0";

/// Partition -> offset. By topic first: of partitions there are many, and an entry is then half as large.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    /// No entry is empty.
    topics: BTreeMap<TopicName, BTreeMap<PartitionIndex, Offset>>,
}

impl Offsets {
    /// The offset of a partition.
    pub(crate) fn get(&self, partition: &TopicPartition) -> Option<Offset> {
        self.topics.get(&partition.topic)?.get(&partition.partition).copied()
    }

    /// Sets it, and returns the one before.
    pub(crate) fn insert(&mut self, partition: &TopicPartition, offset: Offset) -> Option<Offset> {
        match self.topics.get_mut(&partition.topic) {
            Some(topic) => topic.insert(partition.partition, offset),
            None => {
                self.topics.insert(partition.topic.clone(), BTreeMap::from([(partition.partition, offset)]));
                None
            }
        }
    }

    /// Takes it out.
    pub(crate) fn remove(&mut self, partition: &TopicPartition) -> Option<Offset> {
        let topic = self.topics.get_mut(&partition.topic)?;
        let removed = topic.remove(&partition.partition);
        if topic.is_empty() {
            self.topics.remove(&partition.topic);
        }
        removed
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.topics.values().map(BTreeMap::len).sum()
    }

    /// All of them, in ascending order of partition.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TopicPartition, Offset)> {
        self.topics.iter().flat_map(|(topic, all)| {
            let named = |partition| TopicPartition { topic: topic.clone(), partition };
            all.iter().map(move |(&partition, &offset)| (named(partition), offset))
        })
    }
}

/// Reads a checkpoint file's text.
pub(crate) fn parse(text: &[u8]) -> Result<Offsets, Malformed> {
    let mut lines = Lines::new(text)?;
    lines.expect_version(VERSION)?;
    let count = lines.entry_count()?;
    let mut offsets = Offsets::default();
    for fields in lines {
        let fields = fields?;
        let [topic, partition, offset] = fields[..] else {
            return Err(Malformed::new("an entry needs topic, partition and offset"));
        };
        let topic = TopicName::new(topic).map_err(|error| Malformed::new(error.to_string()))?;
        let partition = partition.parse().map_err(|_| Malformed::new("a partition is no number"))?;
        let offset = offset.parse().map_err(|_| Malformed::new("an offset is no number"))?;
        offsets.insert(&TopicPartition { topic, partition: PartitionIndex(partition) }, Offset(offset));
    }
    if offsets.len() != count {
        return Err(Malformed::new("the number of entries is not the one in the second line"));
    }
    Ok(offsets)
}

/// A checkpoint file's text.
pub(crate) fn encode(offsets: &Offsets) -> String {
    let mut text = format!("{VERSION}\n{}\n", offsets.len());
    for (partition, offset) in offsets.iter() {
        text.push_str(&format!("{} {} {offset}\n", partition.topic, partition.partition));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let text = "0\n3\na-b 0 17\na-b 1 0\nz 10 9223372036854775807\n";
        let offsets = parse(text.as_bytes()).unwrap();
        assert_eq!(encode(&offsets), text);
        for broken in
            ["", "1\n0\n", "0\n1\n", "0\n1\na 0\n", "0\n1\na b 0\n", "0\n1\na/b 0 0\n", "0\n1\na 0 x\n", "0\n0\n\n"]
        {
            assert!(parse(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_topic_goes_with_its_last_partition() {
        let mut offsets = parse(b"0\n2\na 0 17\na 1 0\n").unwrap();
        let partition =
            |index| TopicPartition { topic: TopicName::new("a").unwrap(), partition: PartitionIndex(index) };
        assert_eq!(offsets.insert(&partition(1), Offset(5)), Some(Offset(0)));
        assert_eq!((offsets.remove(&partition(0)), offsets.remove(&partition(0))), (Some(Offset(17)), None));
        assert_eq!(
            (offsets.remove(&partition(1)), offsets.get(&partition(1)), offsets.len()),
            (Some(Offset(5)), None, 0)
        );
        assert!(offsets.topics.is_empty());
    }
}
