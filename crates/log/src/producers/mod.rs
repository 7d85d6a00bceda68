//! What a log knows of its idempotent and transactional producers (KIP-98, KIP-360): enough to refuse gaps and zombies and
//! to answer a retry with the offset of the original.
//!
//! Pure: the log calls [`ProducerStates::check`] before it writes a client's batch and [`ProducerStates::apply`] for each
//! batch it wrote, replicated ones and those found by recovery included.
//!
//! Architecture invariant: `apply` over the same batches gives the same state, however they were grouped and whether or not
//! a snapshot was in between. Only [`ProducerEntry::last_used`] may differ, which decides on nothing but forgetting, and what was refused.

mod active;
mod entry;
mod inspection;
mod snapshot;
mod undecided;

use std::collections::{BTreeMap, BTreeSet};

use highwater_records::{BatchHeader, EndTransactionMarker};
use highwater_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::aborted_transaction::{AbortedTransaction, EndedTransaction};
use crate::error::AppendError;
pub use active::ActiveProducer;
pub(crate) use entry::{AppendedBatch, ProducerEntry};
pub use inspection::SnapshotEntry;
pub(crate) use snapshot::SnapshotError;
use undecided::UndecidedTransactions;

/// All producers of one log.
#[derive(Debug, Default, Clone)]
pub(crate) struct ProducerStates {
    entries: BTreeMap<ProducerId, ProducerEntry>,
    undecided: UndecidedTransactions,
}

/// What of a log its producer state refers to: made anew from the log, the state must find it there.
#[derive(Debug, Default, Clone)]
pub(crate) struct RememberedBatches {
    /// Last offsets of data batches, of the producers that are remembered.
    pub(crate) last_offsets: BTreeSet<Offset>,
    /// Of the producers that are remembered, the epochs of which only a marker tells.
    pub(crate) epochs: BTreeMap<ProducerId, Option<ProducerEpoch>>,
}

impl RememberedBatches {
    /// Adds what an earlier state refers to, as far as the producers are remembered still.
    pub(crate) fn add(&mut self, earlier: &ProducerStates) {
        for (producer_id, entry) in &earlier.entries {
            if let Some(epoch) = self.epochs.get_mut(producer_id) {
                self.last_offsets.extend(entry.last_offsets());
                if entry.last_sequence() == Sequence::NONE {
                    epoch.get_or_insert(entry.epoch);
                }
            }
        }
    }
}

/// Epoch, remembered batches (last sequence, last offset), open transaction.
#[cfg(test)]
pub(crate) type KnownProducer = (ProducerEpoch, Vec<(Sequence, Offset)>, Option<Offset>);

/// How long a leader waits for what a producer sent before a batch that comes too soon. Clients send again after some
/// 100 ms (`retry.backoff.ms`).
const PATIENCE_MS: i64 = 1_000;

/// What to do with a client's batch that broke no rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Write it.
    Append,
    /// It is in the log already: answer as for the original.
    Duplicate(AppendedBatch),
}

impl ProducerStates {
    /// Judges a client's batch before it is written. Changes nothing.
    ///
    /// An unknown producer may start at any sequence: its state may have expired, or its records may have been deleted.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Verdict, AppendError> {
        let producer_id = header.producer_id;
        if producer_id < ProducerId(0) {
            return Ok(Verdict::Append);
        }
        let Some(entry) = self.entries.get(&producer_id) else { return Ok(Verdict::Append) };
        let first = header.base_sequence;
        if let Some(original) = entry.find_duplicate(header.producer_epoch, first, header.last_sequence()) {
            return Ok(Verdict::Duplicate(original));
        }
        if header.producer_epoch < entry.epoch {
            let (found, current) = (header.producer_epoch, entry.epoch);
            return Err(AppendError::InvalidProducerEpoch { producer_id, found, current });
        }
        if header.is_control() {
            return Ok(Verdict::Append);
        }
        let last = if header.producer_epoch == entry.epoch { entry.last_sequence() } else { Sequence::NONE };
        // An epoch of which the log has no data starts at sequence 0: -1 is followed by 0.
        if first != next_sequence(last) {
            return Err(AppendError::OutOfOrderSequence {
                producer_id,
                epoch: header.producer_epoch,
                last,
                found: first,
            });
        }
        if entry.open_transaction.is_some() && !header.is_transactional() {
            return Err(AppendError::InvalidTxnState { producer_id });
        }
        Ok(Verdict::Append)
    }

    /// Batches were refused that are to come again: of which producers, nobody knows.
    pub(crate) fn on_refusal(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.after_refusal = true);
    }

    /// Whether what lacks before this batch, which [`ProducerStates::check`] refused for its sequence, may be on its way still: the
    /// producer has written nothing since a change of leaders or a refusal (`is_former` tells offsets of before), so that what it
    /// sent earlier may have gone to the former leader, or come here too soon. Not for longer than [`PATIENCE_MS`] after the first
    /// batch that was ahead: then it is lost.
    pub(crate) fn may_precede(
        &mut self,
        header: &BatchHeader,
        leadership: LeaderEpoch,
        is_former: impl FnOnce(Offset) -> bool,
        now: Timestamp,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(&header.producer_id) else { return false };
        let newest = entry.batches.last();
        let is_ahead = header.producer_epoch > entry.epoch || is_after(header.base_sequence, entry.last_sequence());
        let may_lack = entry.after_refusal || newest.is_none_or(|newest| is_former(newest.last_offset));
        if !is_ahead || !may_lack {
            return false;
        }
        let known = entry.ahead_since.filter(|(known, _)| *known == leadership);
        let (_, since) = *entry.ahead_since.insert(known.unwrap_or((leadership, now)));
        (0..PATIENCE_MS).contains(&(now.0 - since.0))
    }

    /// Takes in a batch that is in the log, with the header as written. `marker` is its content if it is a control batch
    /// that ends a transaction. Returns the transaction that it ended; a marker that finds none open ends nothing.
    pub(crate) fn apply(
        &mut self,
        header: &BatchHeader,
        marker: Option<&EndTransactionMarker>,
        now: Timestamp,
    ) -> Option<EndedTransaction> {
        if header.producer_id < ProducerId(0) || (header.is_control() && marker.is_none()) {
            return None;
        }
        let entry = self.entries.entry(header.producer_id).or_insert_with(|| ProducerEntry::new(header.producer_epoch));
        entry.last_used = entry.last_used.max(now).max(header.max_timestamp);
        entry.last_timestamp = header.max_timestamp;
        let Some(marker) = marker else {
            entry.add_batch(header.producer_epoch, AppendedBatch::of(header));
            if header.is_transactional() && entry.open_transaction.is_none() {
                entry.open_transaction = Some(header.base_offset);
                self.undecided.on_begun(header.base_offset);
            }
            return None;
        };
        let first_offset = entry.end_transaction(header.producer_epoch, marker.coordinator_epoch)?;
        let last_offset = header.last_offset();
        self.undecided.on_ended(first_offset, last_offset);
        let transaction = AbortedTransaction {
            producer_id: header.producer_id,
            first_offset,
            last_offset,
            last_stable_offset: self.undecided.first_open().unwrap_or(header.next_offset()),
        };
        Some(EndedTransaction { transaction, committed: marker.committed })
    }

    /// Forgets producers that were neither used nor wrote a record within `expiration_ms` and have no transaction open.
    pub(crate) fn expire(&mut self, now: Timestamp, expiration_ms: i64) {
        let limit = now.0.saturating_sub(expiration_ms);
        self.entries.retain(|_, entry| entry.open_transaction.is_some() || entry.last_used.0 >= limit);
    }

    /// The first offset of the oldest transaction whose marker is not below `high_watermark`.
    pub(crate) fn first_undecided_transaction(&self, high_watermark: Offset) -> Option<Offset> {
        self.undecided.first_undecided(high_watermark)
    }

    /// Batches are about to be taken in again, of which those below `committed` are committed.
    pub(crate) fn expect_committed(&mut self, committed: Offset) {
        self.undecided.expect_committed(committed);
    }

    /// Everything below `high_watermark` is committed: markers there need no more memory.
    pub(crate) fn on_high_watermark(&mut self, high_watermark: Offset) {
        self.undecided.on_high_watermark(high_watermark);
    }

    /// This is the state of a log that was cut at `end`, where `before` was its state until then.
    pub(crate) fn inherit_undecided(&mut self, before: Self, end: Offset) {
        self.undecided.inherit(before.undecided, end);
    }

    /// First offsets of the open transactions, by producer.
    pub(crate) fn open_transactions(&self) -> BTreeMap<ProducerId, Offset> {
        self.entries.iter().filter_map(|(&id, entry)| Some((id, entry.open_transaction?))).collect()
    }

    /// Sets which transactions are open. Producers that are not remembered stay unknown.
    pub(crate) fn set_open_transactions(&mut self, open: &BTreeMap<ProducerId, Offset>) {
        for (id, entry) in &mut self.entries {
            entry.open_transaction = open.get(id).copied();
        }
        self.undecided = UndecidedTransactions::new(self.open_transactions().into_values());
    }

    /// Everyone who is remembered, by id.
    pub(crate) fn active(&self) -> Vec<ActiveProducer> {
        let active = self.entries.iter().map(|(&producer_id, entry)| ActiveProducer {
            producer_id,
            epoch: entry.epoch,
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            open_transaction: entry.open_transaction,
        });
        active.collect()
    }

    /// What must stay in the log when it is compacted.
    pub(crate) fn remembered_batches(&self) -> RememberedBatches {
        let mut remembered = RememberedBatches::default();
        for (&producer_id, entry) in &self.entries {
            remembered.last_offsets.extend(entry.last_offsets());
            let only_marker = entry.last_sequence() == Sequence::NONE;
            remembered.epochs.insert(producer_id, only_marker.then_some(entry.epoch));
        }
        remembered
    }

    #[cfg(test)]
    pub(crate) fn last_sequence_and_transaction(&self, id: ProducerId) -> (i32, Option<Offset>) {
        let entry = self.entries.get(&id);
        entry.map_or((-1, None), |entry| (entry.last_sequence().get(), entry.open_transaction))
    }

    #[cfg(test)]
    pub(crate) fn sequences_and_transaction(&self, id: ProducerId) -> Option<KnownProducer> {
        let entry = self.entries.get(&id)?;
        let batches = entry.batches().iter().map(|batch| (batch.last_sequence, batch.last_offset)).collect();
        Some((entry.epoch, batches, entry.open_transaction))
    }

    /// How many producers are remembered.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no producer is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The content of a `.snapshot` file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        snapshot::encode(&self.entries)
    }

    /// Reads a `.snapshot` file. All producers count as used just now.
    pub(crate) fn decode(bytes: &[u8], now: Timestamp) -> Result<Self, SnapshotError> {
        let entries = snapshot::decode(bytes, now)?;
        let undecided = UndecidedTransactions::new(entries.values().filter_map(|entry| entry.open_transaction));
        Ok(Self { entries, undecided })
    }
}

/// States are equal when they give the same answers; when they were last used is bookkeeping of this process.
impl PartialEq for ProducerStates {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&ProducerEntry, &ProducerEntry)| a.same_answers(b);
        self.entries.keys().eq(other.entries.keys()) && self.entries.values().zip(other.entries.values()).all(same)
    }
}

/// Whether `sequence` is one of the following half of all sequences, which wrap.
fn is_after(sequence: Sequence, last: Sequence) -> bool {
    let distance = sequence.get().wrapping_sub(next_sequence(last).get()) & i32::MAX;
    (1..1 << 30).contains(&distance)
}

fn next_sequence(last: Sequence) -> Sequence {
    if last < Sequence(0) { Sequence(0) } else { last.plus(1) }
}

#[cfg(test)]
mod tests;
