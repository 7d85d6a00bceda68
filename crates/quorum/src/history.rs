//! What was decided about a partition: read from the metadata log that a controller has, and asked for by other nodes.
//!
//! The log reaches back by at least [`KEEP_BEHIND_SNAPSHOT`](crate::node) entries, but on a controller that was given a snapshot
//! because it was further behind. So the answer says from where on it is complete, and
//! [`ControllerClient::history`](crate::ControllerClient::history) asks on until somebody knows how the partition came to be.

use std::io;

use highwater_env::run_blocking;
use highwater_metadata::{HistoryEntry, MetadataImage, MetadataRecord, PartitionHistory};
use highwater_rpc::metadata::{decode_records, encode_records};
use highwater_rpc::pb::quorum as pb;
use highwater_types::{MetadataOffset, PartitionIndex, TopicId, TopicIdPartition};
use openraft::EntryPayload;

use crate::controller_core::Core;
use crate::store::LogReader;
use crate::wire::damaged;

/// What is known of a partition's past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHistory {
    /// Records that concern it, oldest first.
    pub entries: Vec<HistoryEntry>,
    /// From this offset of the metadata log on nothing is missing.
    pub complete_from: MetadataOffset,
}

impl KnownHistory {
    fn of(history: &PartitionHistory) -> Self {
        Self { entries: history.entries().cloned().collect(), complete_from: history.complete_from() }
    }

    /// Whether it begins with the partition's creation, so that nobody can know more.
    pub fn is_whole(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.record, MetadataRecord::Partition { .. }))
    }
}

impl Core {
    /// What this controller's log says of the partition. One reading at a time: it takes memory and CPU.
    pub(crate) async fn history(&self, target: TopicIdPartition) -> io::Result<KnownHistory> {
        let _one_at_a_time = self.reading_history.lock().await;
        let applied = self.raft_metrics().last_applied.map_or(0, |log_id| log_id.index());
        let (image, log) = (self.feed.image(), self.log.clone());
        let history = run_blocking(move || read(&log, applied, &image, target)).await?;
        Ok(KnownHistory::of(&history))
    }
}

/// Reads the log up to and with the entry `applied`.
fn read(
    log: &LogReader,
    applied: u64,
    image: &MetadataImage,
    target: TopicIdPartition,
) -> io::Result<PartitionHistory> {
    let holders = image.topic_partition(target).map(|partition| partition.replicas.clone()).unwrap_or_default();
    let mut history = PartitionHistory::new(target, holders);
    let mut next = 0;
    loop {
        let entries = log.read_some(next, applied + 1)?;
        let Some(last) = entries.last() else { return Ok(history) };
        next = last.log_id.index() + 1;
        for entry in entries {
            if let EntryPayload::Normal(decided) = entry.payload {
                let records = decode_records(&decided.records).map_err(|error| damaged("a log entry", &error))?;
                history.add(decided.base_offset, &records);
            }
        }
    }
}

pub(crate) fn request(target: TopicIdPartition) -> pb::HistoryRequest {
    pb::HistoryRequest { topic_id: target.topic_id.to_bytes().to_vec().into(), partition: target.partition.0 }
}

/// The partition that is asked for; `None` when the request makes no sense.
pub(crate) fn target_of(request: &pb::HistoryRequest) -> Option<TopicIdPartition> {
    let topic_id = TopicId::from_bytes(request.topic_id.as_ref().try_into().ok()?);
    Some(TopicIdPartition { topic_id, partition: PartitionIndex(request.partition) })
}

pub(crate) fn to_pb(history: &KnownHistory) -> pb::HistoryResponse {
    let entry = |entry: &HistoryEntry| {
        let event = entry.event.clone().map(MetadataRecord::Event);
        let records: Vec<MetadataRecord> = event.into_iter().chain([entry.record.clone()]).collect();
        pb::HistoryEntry { offset: entry.offset.0, records: encode_records(&records) }
    };
    pb::HistoryResponse { entries: history.entries.iter().map(entry).collect(), complete_from: history.complete_from.0 }
}

pub(crate) fn from_pb(response: pb::HistoryResponse) -> Option<KnownHistory> {
    let entry = |entry: pb::HistoryEntry| {
        let mut records = decode_records(&entry.records).ok()?;
        let record = records.pop()?;
        let event = match records.pop() {
            Some(MetadataRecord::Event(event)) => Some(event),
            _ => None,
        };
        Some(HistoryEntry { offset: MetadataOffset(entry.offset), event, record })
    };
    let entries = response.entries.into_iter().map(entry).collect::<Option<_>>()?;
    Some(KnownHistory { entries, complete_from: MetadataOffset(response.complete_from) })
}
