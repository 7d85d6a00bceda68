//! Records of `__consumer_offsets`, byte for byte as Kafka 4.3 writes them.
//!
//! A key starts with its type: 0 and 1 for committed offsets, 2 for group metadata; all other types belong to group
//! kinds that are not served yet. A value starts with its version. Versions written: OffsetCommitValue 4 (1 when the
//! client asked for a retention time), GroupMetadataValue 3. Versions read: 0 to 4 of both.

mod group_metadata;
mod offset_commit;
mod wire;

use bytes::Bytes;
use highwater_types::PartitionIndex;
use wire::{Reader, Writer};

pub use group_metadata::{GroupMetadataValue, MemberMetadata};
pub use offset_commit::OffsetCommitValue;
pub use wire::SchemaError;

/// Key types 0 and 1: a committed offset. Kafka writes 1.
const OFFSET_COMMIT_KEYS: [i16; 2] = [0, 1];
/// Key type 2: metadata of a classic group.
const GROUP_METADATA_KEY: i16 = 2;

/// One record to append to `__consumer_offsets`. `value: None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoordinatorRecord {
    /// Encoded key.
    pub key: Bytes,
    /// Encoded value.
    pub value: Option<Bytes>,
}

impl CoordinatorRecord {
    /// The record of one committed offset.
    pub fn offset_commit(group: &str, topic: &str, partition: PartitionIndex, value: &OffsetCommitValue) -> Self {
        Self { key: offset_commit_key(group, topic, partition), value: Some(value.encode()) }
    }

    /// Forgets one committed offset.
    pub fn offset_commit_tombstone(group: &str, topic: &str, partition: PartitionIndex) -> Self {
        Self { key: offset_commit_key(group, topic, partition), value: None }
    }

    /// The record of a classic group.
    pub fn group_metadata(group: &str, value: &GroupMetadataValue) -> Self {
        Self { key: group_metadata_key(group), value: Some(value.encode()) }
    }

    /// Forgets a group.
    pub fn group_metadata_tombstone(group: &str) -> Self {
        Self { key: group_metadata_key(group), value: None }
    }

    /// Bytes of key and value, for splitting large writes.
    pub fn size_bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// A key read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordKey {
    /// Key types 0 and 1.
    OffsetCommit {
        /// The group.
        group: String,
        /// Name of the topic.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
    },
    /// Key type 2.
    GroupMetadata {
        /// The group.
        group: String,
    },
    /// A record of a group kind that is not served (KIP-848, KIP-932, KIP-1071).
    Unknown {
        /// Its key type.
        key_type: i16,
    },
}

impl RecordKey {
    /// Reads a key.
    pub fn decode(bytes: &[u8]) -> Result<Self, SchemaError> {
        let mut reader = Reader::new(bytes);
        let key_type = reader.i16()?;
        if OFFSET_COMMIT_KEYS.contains(&key_type) {
            let (group, topic, partition) = (reader.string()?, reader.string()?, PartitionIndex(reader.i32()?));
            Ok(Self::OffsetCommit { group, topic, partition })
        } else if key_type == GROUP_METADATA_KEY {
            Ok(Self::GroupMetadata { group: reader.string()? })
        } else {
            Ok(Self::Unknown { key_type })
        }
    }
}

fn offset_commit_key(group: &str, topic: &str, partition: PartitionIndex) -> Bytes {
    let mut writer = Writer::new(OFFSET_COMMIT_KEYS[1]);
    writer.string(group);
    writer.string(topic);
    writer.i32(partition.0);
    writer.finish()
}

fn group_metadata_key(group: &str) -> Bytes {
    let mut writer = Writer::new(GROUP_METADATA_KEY);
    writer.string(group);
    writer.finish()
}

#[cfg(test)]
mod tests;
