//! GroupMetadataValue, versions 0 to 4.

use bytes::Bytes;
use highwater_types::Timestamp;

use super::wire::{Reader, SchemaError, Writer};

/// A classic group as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadataValue {
    /// Empty for a group that never had a member.
    pub protocol_type: String,
    /// Generation id.
    pub generation: i32,
    /// The chosen protocol; `None` for an empty group.
    pub protocol: Option<String>,
    /// Member id of the leader; `None` for an empty group.
    pub leader: Option<String>,
    /// When the group entered its state; `Timestamp::NONE` before version 2.
    pub current_state_timestamp: Timestamp,
    /// The members.
    pub members: Vec<MemberMetadata>,
}

/// A member as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberMetadata {
    /// Member id.
    pub member_id: String,
    /// Static id (KIP-345), version 3 and later.
    pub group_instance_id: Option<String>,
    /// Client id.
    pub client_id: String,
    /// Host, as Kafka shows it.
    pub client_host: String,
    /// Milliseconds; -1 before version 1.
    pub rebalance_timeout_ms: i32,
    /// Milliseconds.
    pub session_timeout_ms: i32,
    /// Subscription to the chosen protocol.
    pub subscription: Bytes,
    /// Assignment.
    pub assignment: Bytes,
}

/// Kafka 4.3 writes the highest version that is not flexible.
const WRITTEN_VERSION: i16 = 3;

impl GroupMetadataValue {
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::new(WRITTEN_VERSION);
        writer.string(&self.protocol_type);
        writer.i32(self.generation);
        writer.nullable_string(self.protocol.as_deref());
        writer.nullable_string(self.leader.as_deref());
        writer.i64(self.current_state_timestamp.0);
        writer.i32(i32::try_from(self.members.len()).expect("a group has fewer than 2^31 members"));
        for member in &self.members {
            member.encode(&mut writer);
        }
        writer.finish()
    }

    /// Reads a value of any version.
    pub fn decode(bytes: &[u8]) -> Result<Self, SchemaError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if !(0..=4).contains(&version) {
            return Err(SchemaError::UnknownVersion { schema: "GroupMetadataValue", version });
        }
        let flexible = version >= 4;
        let protocol_type = if flexible { reader.compact_string()? } else { reader.string()? };
        let generation = reader.i32()?;
        let protocol = nullable_string(&mut reader, flexible)?;
        let leader = nullable_string(&mut reader, flexible)?;
        let current_state_timestamp = if version >= 2 { Timestamp(reader.i64()?) } else { Timestamp::NONE };
        let count = reader.count(flexible)?;
        let members = (0..count).map(|_| MemberMetadata::decode(&mut reader, version)).collect::<Result<_, _>>()?;
        if flexible {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        Ok(Self { protocol_type, generation, protocol, leader, current_state_timestamp, members })
    }
}

impl MemberMetadata {
    fn encode(&self, writer: &mut Writer) {
        writer.string(&self.member_id);
        writer.nullable_string(self.group_instance_id.as_deref());
        writer.string(&self.client_id);
        writer.string(&self.client_host);
        writer.i32(self.rebalance_timeout_ms);
        writer.i32(self.session_timeout_ms);
        writer.bytes(&self.subscription);
        writer.bytes(&self.assignment);
    }

    fn decode(reader: &mut Reader<'_>, version: i16) -> Result<Self, SchemaError> {
        let flexible = version >= 4;
        let string = |reader: &mut Reader<'_>| if flexible { reader.compact_string() } else { reader.string() };
        let bytes = |reader: &mut Reader<'_>| if flexible { reader.compact_bytes() } else { reader.bytes() };
        let member = Self {
            member_id: string(reader)?,
            group_instance_id: if version >= 3 { nullable_string(reader, flexible)? } else { None },
            client_id: string(reader)?,
            client_host: string(reader)?,
            rebalance_timeout_ms: if version >= 1 { reader.i32()? } else { -1 },
            session_timeout_ms: reader.i32()?,
            subscription: bytes(reader)?,
            assignment: bytes(reader)?,
        };
        if flexible {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        Ok(member)
    }
}

fn nullable_string(reader: &mut Reader<'_>, flexible: bool) -> Result<Option<String>, SchemaError> {
    if flexible { reader.compact_nullable_string() } else { reader.nullable_string() }
}
