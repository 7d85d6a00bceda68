//! Names of the files in a partition's directory, as Kafka writes them.

use std::path::{Path, PathBuf};

use highwater_types::{Offset, PartitionIndex, TopicName, TopicPartition};

/// Epochs and their start offsets.
pub(crate) const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
/// The topic id.
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
/// Ends the name of a directory whose partition was deleted and whose files are still to be removed.
pub(crate) const DELETED_SUFFIX: &str = "-delete";
/// Ends the name of a directory that was put aside because its data is damaged.
pub(crate) const QUARANTINED_SUFFIX: &str = "-quarantined";
/// Ends the name of a directory that was put aside because the cluster does not know it.
pub(crate) const STRAY_SUFFIX: &str = "-stray";
/// Ends the name of a directory with a copy of a log on its way into this log directory, as in Kafka.
pub(crate) const FUTURE_SUFFIX: &str = "-future";
/// Ends the name of a directory whose log is in another log directory now.
pub(crate) const MOVED_SUFFIX: &str = "-moved";
/// Longest file name that common file systems take, in bytes.
const MAX_FILE_NAME_BYTES: usize = 255;

/// What a file named by an offset holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    /// Record batches.
    Log,
    /// Offset -> position.
    OffsetIndex,
    /// Timestamp -> offset.
    TimeIndex,
    /// Producer state at the offset.
    ProducerSnapshot,
    /// Aborted transactions.
    TransactionIndex,
}

impl FileKind {
    const ALL: [Self; 5] =
        [Self::Log, Self::OffsetIndex, Self::TimeIndex, Self::ProducerSnapshot, Self::TransactionIndex];

    /// The files that belong to one segment, the log first: without it the others mean nothing.
    pub(crate) const OF_SEGMENT: [Self; 4] = [Self::Log, Self::OffsetIndex, Self::TimeIndex, Self::TransactionIndex];

    /// The indexes of a segment.
    pub(crate) const INDEXES: [Self; 3] = [Self::OffsetIndex, Self::TimeIndex, Self::TransactionIndex];

    fn extension(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::OffsetIndex => "index",
            Self::TimeIndex => "timeindex",
            Self::ProducerSnapshot => "snapshot",
            Self::TransactionIndex => "txnindex",
        }
    }

    /// The path of the file of this kind for `offset` in `dir`.
    pub(crate) fn path(self, dir: &Path, offset: Offset) -> PathBuf {
        dir.join(format!("{:020}.{}", offset.get(), self.extension()))
    }
}

/// What `name` is, if it is named by an offset.
pub(crate) fn parse_file_name(name: &str) -> Option<(Offset, FileKind)> {
    let (digits, extension) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let offset = Offset(digits.parse().ok()?);
    FileKind::ALL.into_iter().find(|kind| kind.extension() == extension).map(|kind| (offset, kind))
}

/// The partition that a directory named `name` holds, or `None` for anything else (deleted and stray ones included).
pub(crate) fn parse_partition_dir(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let canonical = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    if !canonical || (partition.len() > 1 && partition.starts_with('0')) {
        return None;
    }
    Some(TopicPartition { topic: TopicName::new(topic).ok()?, partition: PartitionIndex(partition.parse().ok()?) })
}

/// `<topic>-<partition>.<32 hex digits><suffix>`, the topic cut short where the name would grow too long (as in Kafka).
pub(crate) fn set_aside_dir(partition: &TopicPartition, unique: u128, suffix: &str) -> String {
    let tail = format!("-{}.{unique:032x}{suffix}", partition.partition);
    let topic = partition.topic.as_str();
    format!("{}{tail}", &topic[..topic.len().min(MAX_FILE_NAME_BYTES - tail.len())])
}

/// The index and the number in a name that [`set_aside_dir`] made with that suffix.
pub(crate) fn parse_set_aside_dir(name: &str, suffix: &str) -> Option<(PartitionIndex, u128)> {
    let (head, unique) = name.strip_suffix(suffix)?.rsplit_once('.')?;
    let (_, partition) = head.rsplit_once('-')?;
    let unique = u128::from_str_radix(unique, 16).ok().filter(|_| unique.len() == 32)?;
    Some((PartitionIndex(partition.parse().ok()?), unique))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names() {
        let path = FileKind::TimeIndex.path(Path::new("d"), Offset(170_210));
        assert_eq!(path, Path::new("d/00000000000000170210.timeindex"));
        assert_eq!(parse_file_name("00000000000000170210.timeindex"), Some((Offset(170_210), FileKind::TimeIndex)));
        for other in
            ["170210.log", "00000000000000170210.log.deleted", "leader-epoch-checkpoint", "99999999999999999999.log"]
        {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }

    #[test]
    fn directory_names() {
        let partition = parse_partition_dir("my-topic.v1-12").unwrap();
        assert_eq!((partition.topic.as_str(), partition.partition.get()), ("my-topic.v1", 12));
        for other in [
            "topic",
            "topic-",
            "topic-01",
            "-3",
            "topic-1.0123-delete",
            "topic-1.0123-quarantined",
            "topic-99999999999",
        ] {
            assert_eq!(parse_partition_dir(other), None, "{other}");
        }
        let deleted = set_aside_dir(&partition, 0xab, DELETED_SUFFIX);
        assert_eq!(deleted, "my-topic.v1-12.000000000000000000000000000000ab-delete");
        assert_eq!(parse_set_aside_dir(&deleted, DELETED_SUFFIX), Some((PartitionIndex(12), 0xab)));
        assert_eq!(parse_set_aside_dir(&deleted, FUTURE_SUFFIX), None);
        assert_eq!(parse_set_aside_dir("my-topic.v1-12.ab-future", FUTURE_SUFFIX), None);
        let long = TopicPartition { topic: TopicName::new(&"x".repeat(249)).unwrap(), partition: PartitionIndex(7) };
        assert_eq!(set_aside_dir(&long, 1, DELETED_SUFFIX).len(), 255);
    }
}
