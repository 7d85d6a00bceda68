//! OffsetCommitValue, versions 0 to 4.

use bytes::Bytes;
use highwater_types::{LeaderEpoch, Offset, Timestamp, TopicId};

use super::wire::{Reader, SchemaError, Writer};

/// A committed offset as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitValue {
    /// The next offset to read.
    pub offset: Offset,
    /// Epoch of the last record read; `LeaderEpoch::NONE` when unknown. Not stored in version 1.
    pub leader_epoch: LeaderEpoch,
    /// The client's own text.
    pub metadata: String,
    /// When the commit was made.
    pub commit_timestamp: Timestamp,
    /// Set when the client asked for a retention time; forces version 1, which has neither epoch nor topic id.
    pub expire_timestamp: Option<Timestamp>,
    /// Id of the topic; `TopicId::ZERO` when unknown. Version 4 only.
    pub topic_id: TopicId,
}

/// Tag of the topic id in version 4.
const TOPIC_ID_TAG: usize = 0;

impl OffsetCommitValue {
    pub(super) fn encode(&self) -> Bytes {
        if let Some(expire) = self.expire_timestamp {
            let mut writer = Writer::new(1);
            writer.i64(self.offset.0);
            writer.string(&self.metadata);
            writer.i64(self.commit_timestamp.0);
            writer.i64(expire.0);
            return writer.finish();
        }
        let mut writer = Writer::new(4);
        writer.i64(self.offset.0);
        writer.i32(self.leader_epoch.0);
        writer.compact_string(&self.metadata);
        writer.i64(self.commit_timestamp.0);
        if self.topic_id.is_zero() {
            writer.unsigned_varint(0);
        } else {
            writer.unsigned_varint(1);
            writer.unsigned_varint(TOPIC_ID_TAG);
            writer.unsigned_varint(16);
            writer.raw(&self.topic_id.to_bytes());
        }
        writer.finish()
    }

    /// Reads a value of any version.
    pub fn decode(bytes: &[u8]) -> Result<Self, SchemaError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if !(0..=4).contains(&version) {
            return Err(SchemaError::UnknownVersion { schema: "OffsetCommitValue", version });
        }
        let offset = Offset(reader.i64()?);
        let leader_epoch = if version >= 3 { LeaderEpoch(reader.i32()?) } else { LeaderEpoch::NONE };
        let metadata = if version >= 4 { reader.compact_string()? } else { reader.string()? };
        let commit_timestamp = Timestamp(reader.i64()?);
        let expire_timestamp = if version == 1 { Some(Timestamp(reader.i64()?)) } else { None };
        let mut topic_id = TopicId::ZERO;
        if version >= 4 {
            reader.tagged_fields(|tag, content| {
                if tag == TOPIC_ID_TAG {
                    topic_id = TopicId::from_bytes(Reader::new(content).array()?);
                }
                Ok(())
            })?;
        }
        let expire_timestamp = expire_timestamp.filter(|expire| *expire != Timestamp::NONE);
        Ok(Self { offset, leader_epoch, metadata, commit_timestamp, expire_timestamp, topic_id })
    }
}
