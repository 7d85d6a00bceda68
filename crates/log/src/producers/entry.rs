//! One producer.

use super::{BatchHeader, LeaderEpoch, Offset, ProducerEpoch, Sequence, Timestamp};

/// Batches remembered per producer: Kafka's, because clients keep at most this many requests in flight when idempotent
/// (`max.in.flight.requests.per.connection`).
pub(super) const REMEMBERED_BATCHES: usize = 5;

/// A data batch of an idempotent producer, as far as a retry of it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AppendedBatch {
    pub(crate) last_sequence: Sequence,
    pub(crate) last_offset: Offset,
    /// Last offset minus base offset.
    pub(crate) offset_delta: i32,
    /// The batch's largest timestamp: for LogAppendTime, when it was appended.
    pub(crate) timestamp: Timestamp,
}

impl AppendedBatch {
    pub(super) fn of(header: &BatchHeader) -> Self {
        Self {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        }
    }

    pub(crate) fn base_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }

    fn first_sequence(&self) -> Sequence {
        let first = self.last_sequence.get().wrapping_sub(self.offset_delta);
        // Below zero the sequence had wrapped from `i32::MAX` to 0 within the batch.
        Sequence(if first < 0 { first & i32::MAX } else { first })
    }
}

/// State of one producer id.
#[derive(Debug, Clone)]
pub(crate) struct ProducerEntry {
    /// Epoch of the newest batch.
    pub(crate) epoch: ProducerEpoch,
    /// The newest data batches of `epoch`, oldest first; at most [`REMEMBERED_BATCHES`].
    pub(super) batches: Vec<AppendedBatch>,
    /// Largest timestamp of the newest batch.
    pub(crate) last_timestamp: Timestamp,
    /// Epoch of the transaction coordinator that wrote the newest marker, or -1.
    pub(crate) coordinator_epoch: i32,
    /// Base offset of the first batch of the open transaction.
    pub(crate) open_transaction: Option<Offset>,
    /// When this process last had to do with the producer, or its newest timestamp if later. Wall clock, because old record
    /// timestamps must not make an active producer expire.
    pub(crate) last_used: Timestamp,
    /// In which leadership a batch came before its predecessor, and since when, see [`super::ProducerStates::may_precede`].
    pub(super) ahead_since: Option<(LeaderEpoch, Timestamp)>,
    /// Whether batches were refused, of whatever producer, since its newest one was written.
    pub(super) after_refusal: bool,
}

impl ProducerEntry {
    pub(super) fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            batches: Vec::new(),
            last_timestamp: Timestamp::NONE,
            coordinator_epoch: -1,
            open_transaction: None,
            last_used: Timestamp::NONE,
            ahead_since: None,
            after_refusal: false,
        }
    }

    /// Sequence of the last record of this epoch, -1 if there is none.
    pub(super) fn last_sequence(&self) -> Sequence {
        self.batches.last().map_or(Sequence::NONE, |batch| batch.last_sequence)
    }

    #[cfg(test)]
    pub(super) fn batches(&self) -> &[AppendedBatch] {
        &self.batches
    }

    /// Last offsets of the remembered batches.
    pub(super) fn last_offsets(&self) -> impl Iterator<Item = Offset> {
        self.batches.iter().map(|batch| batch.last_offset)
    }

    /// The remembered batch with exactly these sequences.
    pub(super) fn find_duplicate(
        &self,
        epoch: ProducerEpoch,
        first: Sequence,
        last: Sequence,
    ) -> Option<AppendedBatch> {
        let same = |batch: &&AppendedBatch| batch.last_sequence == last && batch.first_sequence() == first;
        if epoch == self.epoch { self.batches.iter().find(same).copied() } else { None }
    }

    pub(super) fn add_batch(&mut self, epoch: ProducerEpoch, batch: AppendedBatch) {
        self.enter_epoch(epoch);
        if self.batches.len() == REMEMBERED_BATCHES {
            self.batches.remove(0);
        }
        self.batches.push(batch);
        (self.ahead_since, self.after_refusal) = (None, false);
    }

    /// Returns where the transaction began, if one was open.
    pub(super) fn end_transaction(&mut self, epoch: ProducerEpoch, coordinator_epoch: i32) -> Option<Offset> {
        self.enter_epoch(epoch);
        self.coordinator_epoch = coordinator_epoch;
        self.open_transaction.take()
    }

    fn enter_epoch(&mut self, epoch: ProducerEpoch) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }

    pub(super) fn same_answers(&self, other: &Self) -> bool {
        self.epoch == other.epoch
            && self.batches == other.batches
            && self.last_timestamp == other.last_timestamp
            && self.coordinator_epoch == other.coordinator_epoch
            && self.open_transaction == other.open_transaction
    }
}
