//! FetchResponse, encoded by hand: record data is never copied.

use bytes::Bytes;
use highwater_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};
use kafka_protocol::protocol::StrBytes;

use crate::encode_error::EncodeError;
use crate::node_endpoint::{LeaderIdAndEpoch, NodeEndpoint, encode_node_endpoints};
use crate::writer::{EncodeBody, SegmentWriter};

/// Body of a FetchResponse (versions 4 to 18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchResponseBody {
    /// How long the client is throttled for quota, in milliseconds.
    pub throttle_time_ms: i32,
    /// Error of the whole request; sent from version 7.
    pub error: ErrorCode,
    /// Fetch session (KIP-227), 0 for none; sent from version 7.
    pub session_id: i32,
    /// Topics in the order of the request.
    pub topics: Vec<FetchTopicResponse>,
    /// Where the leaders named in `current_leader` listen (KIP-951); sent from version 16.
    pub node_endpoints: Vec<NodeEndpoint>,
}

impl Default for FetchResponseBody {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error: ErrorCode::None,
            session_id: 0,
            topics: Vec::new(),
            node_endpoints: Vec::new(),
        }
    }
}

/// One topic of a [`FetchResponseBody`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchTopicResponse {
    /// Name as in the request; sent up to version 12.
    pub name: StrBytes,
    /// Id as in the request; sent from version 13.
    pub topic_id: TopicId,
    /// Partitions in the order of the request.
    pub partitions: Vec<FetchPartitionResponse>,
}

/// One partition of a [`FetchTopicResponse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPartitionResponse {
    /// Index of the partition.
    pub index: PartitionIndex,
    /// `None` if the partition was read.
    pub error: ErrorCode,
    /// High watermark, or -1 after an error.
    pub high_watermark: Offset,
    /// Last stable offset (KIP-98), or -1 after an error.
    pub last_stable_offset: Offset,
    /// First offset of the log, or -1 if unknown; sent from version 5.
    pub log_start_offset: Offset,
    /// Aborted transactions within the records, for read_committed; `None` is null.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// The replica the client should read from (KIP-392), or -1; sent from version 11.
    pub preferred_read_replica: BrokerId,
    /// Where the client's log and this one part (KIP-595); sent from version 12.
    pub diverging_epoch: Option<EpochEndOffset>,
    /// Who leads the partition if this broker does not (KIP-951); sent from version 12.
    pub current_leader: Option<LeaderIdAndEpoch>,
    /// Whole batches in the order of the wire; each piece leaves as it is.
    pub records: Vec<Bytes>,
}

/// One aborted transaction (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer_id: ProducerId,
    /// Offset of its first record in the partition.
    pub first_offset: Offset,
}

/// End of an epoch in this broker's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEndOffset {
    /// The largest epoch not above the client's last.
    pub epoch: LeaderEpoch,
    /// Its end offset.
    pub end_offset: Offset,
}

impl FetchPartitionResponse {
    /// The answer for a partition that could not be read.
    pub fn failed(index: PartitionIndex, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            high_watermark: Offset::NONE,
            last_stable_offset: Offset::NONE,
            log_start_offset: Offset::NONE,
            aborted_transactions: None,
            preferred_read_replica: BrokerId::NONE,
            diverging_epoch: None,
            current_leader: None,
            records: Vec::new(),
        }
    }

    fn encode(self, writer: &mut SegmentWriter, version: i16) -> Result<(), EncodeError> {
        writer.i32(self.index.get());
        writer.i16(self.error.code());
        writer.i64(self.high_watermark.get());
        writer.i64(self.last_stable_offset.get());
        if version >= 5 {
            writer.i64(self.log_start_offset.get());
        }
        match &self.aborted_transactions {
            None => writer.null_array(),
            Some(aborted) => {
                writer.array_length(aborted.len())?;
                for transaction in aborted {
                    writer.i64(transaction.producer_id.get());
                    writer.i64(transaction.first_offset.get());
                    writer.no_tagged_fields();
                }
            }
        }
        if version >= 11 {
            writer.i32(self.preferred_read_replica.get());
        }
        writer.records(self.records)?;
        if version < 12 {
            return Ok(());
        }
        let diverging = self.diverging_epoch;
        let leader = self.current_leader.filter(|leader| !leader.is_default());
        writer.unsigned_varint(u32::from(diverging.is_some()) + u32::from(leader.is_some()));
        if let Some(EpochEndOffset { epoch, end_offset }) = diverging {
            writer.tagged_field(0, |writer| {
                writer.i32(epoch.get());
                writer.i64(end_offset.get());
                writer.no_tagged_fields();
                Ok(())
            })?;
        }
        if let Some(leader) = leader {
            writer.tagged_field(1, |writer| leader.encode(writer))?;
        }
        Ok(())
    }
}

impl EncodeBody for FetchResponseBody {
    fn encode_body(self, _api: &'static str, writer: &mut SegmentWriter, version: i16) -> Result<(), EncodeError> {
        writer.i32(self.throttle_time_ms);
        if version >= 7 {
            writer.i16(self.error.code());
            writer.i32(self.session_id);
        }
        writer.array_length(self.topics.len())?;
        for topic in self.topics {
            if version >= 13 {
                writer.uuid(topic.topic_id.to_bytes());
            } else {
                writer.string(&topic.name)?;
            }
            writer.array_length(topic.partitions.len())?;
            for partition in topic.partitions {
                partition.encode(writer, version)?;
            }
            writer.no_tagged_fields();
        }
        if version >= 16 && !self.node_endpoints.is_empty() {
            writer.unsigned_varint(1);
            writer.tagged_field(0, |writer| encode_node_endpoints(&self.node_endpoints, writer))?;
        } else {
            writer.no_tagged_fields();
        }
        Ok(())
    }
}
