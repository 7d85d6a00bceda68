//! One offset per partition of a log directory, in Kafka's text format: `recovery-point-offset-checkpoint`,
//! `replication-offset-checkpoint` (high watermarks) and `log-start-offset-checkpoint`.

use std::collections::BTreeMap;

use highwater_types::{Offset, PartitionIndex, TopicName, TopicPartition};

use crate::text_file::{Lines, Malformed};

const VERSION: &str = "0";

/// Partition -> offset.
pub(crate) type Offsets = BTreeMap<TopicPartition, Offset>;

/// Reads a checkpoint file's text.
pub(crate) fn parse(text: &[u8]) -> Result<Offsets, Malformed> {
    let mut lines = Lines::new(text)?;
    lines.expect_version(VERSION)?;
    let count = lines.entry_count()?;
    let mut offsets = Offsets::new();
    for fields in lines {
        let fields = fields?;
        let [topic, partition, offset] = fields[..] else {
            return Err(Malformed::new("an entry needs topic, partition and offset"));
        };
        let topic = TopicName::new(topic).map_err(|error| Malformed::new(error.to_string()))?;
        let partition = partition.parse().map_err(|_| Malformed::new("a partition is no number"))?;
        let offset = offset.parse().map_err(|_| Malformed::new("an offset is no number"))?;
        offsets.insert(TopicPartition { topic, partition: PartitionIndex(partition) }, Offset(offset));
    }
    if offsets.len() != count {
        return Err(Malformed::new("the number of entries is not the one in the second line"));
    }
    Ok(offsets)
}

/// A checkpoint file's text.
pub(crate) fn encode(offsets: &Offsets) -> String {
    let mut text = format!("{VERSION}\n{}\n", offsets.len());
    for (partition, offset) in offsets {
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
}
