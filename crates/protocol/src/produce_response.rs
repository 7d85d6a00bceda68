//! ProduceResponse, encoded by hand: it is the answer on the hot path.

use highwater_types::{ErrorCode, Offset, PartitionIndex, Timestamp, TopicId};
use kafka_protocol::protocol::StrBytes;

use crate::encode_error::EncodeError;
use crate::node_endpoint::{LeaderIdAndEpoch, NodeEndpoint, encode_node_endpoints};
use crate::writer::{EncodeBody, SegmentWriter};

/// Body of a ProduceResponse (versions 3 to 13).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProduceResponseBody {
    /// One entry per topic of the request, in its order.
    pub topics: Vec<ProduceTopicResponse>,
    /// How long the client is throttled for quota, in milliseconds.
    pub throttle_time_ms: i32,
    /// Where the leaders named in `current_leader` listen (KIP-951); sent from version 10.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic of a [`ProduceResponseBody`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProduceTopicResponse {
    /// Name as in the request; sent up to version 12.
    pub name: StrBytes,
    /// Id as in the request; sent from version 13.
    pub topic_id: TopicId,
    /// One entry per partition of the request, in its order.
    pub partitions: Vec<ProducePartitionResponse>,
}

/// One partition of a [`ProduceTopicResponse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducePartitionResponse {
    /// Index of the partition.
    pub index: PartitionIndex,
    /// `None` if the batch was appended.
    pub error: ErrorCode,
    /// Offset of the first record, or -1 after an error.
    pub base_offset: Offset,
    /// The broker's time of the append for `LogAppendTime` topics, else -1.
    pub log_append_time: Timestamp,
    /// First offset of the log, or -1 if unknown; sent from version 5.
    pub log_start_offset: Offset,
    /// The records that made the batch be refused (KIP-467); sent from version 8.
    pub record_errors: Vec<BatchIndexAndErrorMessage>,
    /// Why the batch was refused, or null; sent from version 8.
    pub error_message: Option<String>,
    /// Who leads the partition if this broker does not (KIP-951); sent from version 10.
    pub current_leader: Option<LeaderIdAndEpoch>,
}

/// One refused record (KIP-467).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchIndexAndErrorMessage {
    /// Position of the record in its batch, from 0.
    pub batch_index: i32,
    /// Why it was refused.
    pub message: Option<String>,
}

impl ProducePartitionResponse {
    /// The answer for a batch that was appended.
    pub fn appended(index: PartitionIndex, base_offset: Offset, log_append_time: Timestamp, log_start: Offset) -> Self {
        Self {
            base_offset,
            log_append_time,
            log_start_offset: log_start,
            ..Self::refused(index, ErrorCode::None, None)
        }
    }

    /// The answer for a batch that was not appended.
    pub fn refused(index: PartitionIndex, error: ErrorCode, message: Option<String>) -> Self {
        Self {
            index,
            error,
            base_offset: Offset::NONE,
            log_append_time: Timestamp::NONE,
            log_start_offset: Offset::NONE,
            record_errors: Vec::new(),
            error_message: message,
            current_leader: None,
        }
    }
}

impl ProduceResponseBody {
    fn encode_partition(
        partition: &ProducePartitionResponse,
        writer: &mut SegmentWriter,
        version: i16,
    ) -> Result<(), EncodeError> {
        writer.i32(partition.index.get());
        writer.i16(partition.error.code());
        writer.i64(partition.base_offset.get());
        writer.i64(partition.log_append_time.0);
        if version >= 5 {
            writer.i64(partition.log_start_offset.get());
        }
        if version >= 8 {
            writer.array_length(partition.record_errors.len())?;
            for error in &partition.record_errors {
                writer.i32(error.batch_index);
                writer.nullable_string(error.message.as_deref())?;
                writer.no_tagged_fields();
            }
            writer.nullable_string(partition.error_message.as_deref())?;
        }
        match &partition.current_leader {
            Some(leader) if version >= 10 && !leader.is_default() => {
                writer.unsigned_varint(1);
                writer.tagged_field(0, |writer| leader.encode(writer))?;
            }
            _ => writer.no_tagged_fields(),
        }
        Ok(())
    }
}

impl EncodeBody for ProduceResponseBody {
    fn encode_body(self, _api: &'static str, writer: &mut SegmentWriter, version: i16) -> Result<(), EncodeError> {
        writer.array_length(self.topics.len())?;
        for topic in &self.topics {
            if version >= 13 {
                writer.uuid(topic.topic_id.to_bytes());
            } else {
                writer.string(&topic.name)?;
            }
            writer.array_length(topic.partitions.len())?;
            for partition in &topic.partitions {
                Self::encode_partition(partition, writer, version)?;
            }
            writer.no_tagged_fields();
        }
        writer.i32(self.throttle_time_ms);
        if version >= 10 && !self.node_endpoints.is_empty() {
            writer.unsigned_varint(1);
            writer.tagged_field(0, |writer| encode_node_endpoints(&self.node_endpoints, writer))?;
        } else {
            writer.no_tagged_fields();
        }
        Ok(())
    }
}
