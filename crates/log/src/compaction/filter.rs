//! What stays of each batch. The rules are those of Kafka's log cleaner, with these differences:
//! - all batches that the producer state remembers stay, not only a producer's last one, so that the state made anew from
//!   the log answers a retry as before;
//! - a marker that alone keeps a producer's epoch stays as it is, not as a header without a record, for the same reason;
//! - a batch whose records cannot be read stays as it is: dropping it could lose the last value of a key;
//! - tombstones begin to age only once all of their batch is compacted;
//! - the first batch of a leader epoch stays, as a header at least, because a replica that gets the log anew learns from it where
//!   the epoch begins. Otherwise: (1) broker 3 leads in epoch 4, appends offset 100 for itself alone, and dies; (2) broker 1 leads in
//!   epoch 5 from offset 100 on; (3) of offsets 100 to 149, compaction leaves nothing; (4) broker 2 begins anew, and epoch 5
//!   with offset 150; (5) broker 2 leads, broker 3 is back: its epoch 4 ends in time, so it keeps its offset 100.

use std::collections::BTreeSet;

use bytes::Bytes;
use highwater_records::{BatchError, EndTransactionMarker, RecordBatch};
use highwater_types::{LeaderEpoch, Offset, ProducerId, Timestamp};

use super::offset_map::OffsetMap;
use super::transactions::TransactionOutcomes;
use crate::producers::RememberedBatches;

/// What is left of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All of it, as it was.
    Whole,
    /// Some of its records, or its header alone, or all of it with a delete horizon.
    Rewritten(Bytes),
    /// Nothing.
    Nothing,
}

/// Judges the batches of a log from its start, in their order.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) map: OffsetMap,
    pub(crate) outcomes: TransactionOutcomes,
    /// What the producer state refers to.
    pub(crate) remembered: RememberedBatches,
    /// The map knows of all records below.
    pub(crate) mapped_end: Offset,
    pub(crate) now: Timestamp,
    /// `delete.retention.ms`.
    pub(crate) delete_retention_ms: i64,
    /// Producers of which a transactional batch came since their last marker.
    pub(crate) seen: BTreeSet<ProducerId>,
    /// Leader epoch of the batch that was judged last.
    pub(crate) leader_epoch: LeaderEpoch,
    /// Batches whose records cannot be read.
    pub(crate) unreadable: u64,
}

impl Filter {
    /// Judges the next batch. A rewritten one is at most `most_bytes` long, where it is longer than it was.
    pub(crate) fn judge(&mut self, batch: &RecordBatch, most_bytes: usize) -> Kept {
        let header = batch.header();
        let before = std::mem::replace(&mut self.leader_epoch, header.partition_leader_epoch);
        let judged = match header.is_control() {
            true => self.judge_marker(batch),
            false => self.judge_data(batch, most_bytes),
        };
        let judged = judged.unwrap_or_else(|error| {
            self.unreadable += 1;
            tracing::warn!(offset = %header.base_offset, %error, "compaction keeps a batch that it cannot read");
            Kept::Whole
        });
        match judged {
            Kept::Nothing if before == header.partition_leader_epoch => Kept::Nothing,
            Kept::Nothing if header.record_count == 0 => Kept::Whole,
            Kept::Nothing => Kept::Rewritten(batch.emptied()),
            kept => kept,
        }
    }

    /// A marker goes after `delete.retention.ms` without a batch of its transaction.
    fn judge_marker(&mut self, batch: &RecordBatch) -> Result<Kept, BatchError> {
        let header = batch.header();
        let keeps_epoch = self.remembered.epochs.get(&header.producer_id) == Some(&Some(header.producer_epoch));
        let is_empty = header.record_count == 0;
        if !is_empty && EndTransactionMarker::from_batch(batch)?.is_none() {
            return Ok(Kept::Whole);
        }
        let needed = self.seen.remove(&header.producer_id) && !is_empty;
        if needed || keeps_epoch {
            return Ok(Kept::Whole);
        }
        match header.delete_horizon() {
            _ if is_empty => Ok(Kept::Nothing),
            Some(horizon) if horizon <= self.now => Ok(Kept::Nothing),
            Some(_) => Ok(Kept::Whole),
            None if header.next_offset() > self.mapped_end => Ok(Kept::Whole),
            None => {
                batch.records()?.retain(&vec![true; header.record_count as usize], self.horizon()).map(Kept::Rewritten)
            }
        }
    }

    fn judge_data(&mut self, batch: &RecordBatch, most_bytes: usize) -> Result<Kept, BatchError> {
        let header = batch.header();
        let is_remembered = header.has_producer_id() && self.remembered.last_offsets.contains(&header.last_offset());
        if header.is_transactional() {
            self.seen.insert(header.producer_id);
        }
        if header.record_count == 0 {
            return Ok(if is_remembered { Kept::Whole } else { Kept::Nothing });
        }
        let without_records = |batch: &RecordBatch| match is_remembered {
            true => Kept::Rewritten(batch.emptied()),
            false => Kept::Nothing,
        };
        if self.outcomes.is_aborted(header) {
            return Ok(without_records(batch));
        }
        if header.base_offset >= self.mapped_end {
            return Ok(Kept::Whole);
        }
        let records = batch.records()?;
        let (mut keep, mut tombstones) = (Vec::with_capacity(header.record_count as usize), false);
        let tombstones_go = header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        for record in &records {
            let record = record?;
            let stays = record.offset >= self.mapped_end
                || (self.is_newest(record.key, record.offset) && (record.value.is_some() || !tombstones_go));
            tombstones |= stays && record.value.is_none();
            keep.push(stays);
        }
        let begins_to_age = tombstones && header.delete_horizon().is_none() && header.next_offset() <= self.mapped_end;
        let horizon = if begins_to_age { self.horizon() } else { None };
        if !keep.contains(&true) {
            return Ok(without_records(batch));
        }
        let all = !keep.contains(&false);
        if let Some(horizon) = horizon {
            let rewritten = records.retain(&keep, Some(horizon))?;
            if rewritten.len() <= most_bytes.max(batch.bytes().len()) {
                return Ok(Kept::Rewritten(rewritten));
            }
        }
        if all { Ok(Kept::Whole) } else { records.retain(&keep, None).map(Kept::Rewritten) }
    }

    fn horizon(&self) -> Option<Timestamp> {
        Some(Timestamp(self.now.0.saturating_add(self.delete_retention_ms)))
    }

    /// Records without a key, of a time before the topic was compacted, are never the newest of anything.
    fn is_newest(&self, key: Option<&[u8]>, offset: Offset) -> bool {
        key.is_some_and(|key| self.map.get(key).is_none_or(|newest| offset >= newest))
    }
}
