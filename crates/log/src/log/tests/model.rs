//! What a log must answer, kept as simply as can be: a list of batches.

use bytes::Bytes;
use highwater_records::{RecordBatch, split_batches};
use highwater_types::{LeaderEpoch, Offset, Timestamp};

use crate::leader_epochs::LeaderEpochs;
use crate::producers::ProducerStates;
use crate::{Log, ReadError};

use super::NOW;

/// See the top of this file.
#[derive(Debug, Default, Clone)]
pub(super) struct Model {
    /// Every batch since the log was begun; those below the log start too, as producers and epochs remember them.
    pub(super) batches: Vec<RecordBatch>,
    pub(super) log_start: Offset,
    pub(super) log_end: Offset,
    pub(super) flushed: Offset,
    /// Epochs below this offset may have been forgotten.
    pub(super) highest_log_start: Offset,
    /// An epoch that was assigned at the log end and has no batch.
    pub(super) assigned: Option<LeaderEpoch>,
}

impl Model {
    pub(super) fn append(&mut self, bytes: &Bytes) {
        for batch in split_batches(bytes) {
            let batch = batch.unwrap();
            self.log_end = batch.header().next_offset();
            self.batches.push(batch);
        }
        self.assigned = None;
    }

    /// Forgets the batches that reach `offset` or beyond.
    pub(super) fn truncate(&mut self, offset: Offset) {
        if offset <= self.log_end {
            self.batches.retain(|batch| batch.header().last_offset() < offset);
            self.assigned = None;
        }
    }

    pub(super) fn restart_at(&mut self, offset: Offset) {
        *self =
            Self { log_start: offset, log_end: offset, flushed: offset, highest_log_start: offset, ..Self::default() };
    }

    pub(super) fn set_log_start(&mut self, offset: Offset) {
        self.log_start = offset;
        self.highest_log_start = self.highest_log_start.max(offset);
    }

    /// The batches that were never below the log start: with no record left of it, an epoch may be forgotten.
    fn never_deleted(&self) -> impl Iterator<Item = &RecordBatch> {
        self.batches.iter().filter(|batch| batch.header().last_offset() >= self.highest_log_start)
    }

    fn epochs(&self) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for batch in self.never_deleted() {
            epochs.assign(batch.header().partition_leader_epoch, batch.header().base_offset);
        }
        if let Some(assigned) = self.assigned {
            epochs.assign(assigned, self.log_end);
        }
        epochs.truncate_from_start(self.highest_log_start);
        epochs
    }

    fn producers(&self) -> ProducerStates {
        let mut producers = ProducerStates::default();
        self.batches.iter().for_each(|batch| _ = producers.apply(batch.header(), None, NOW));
        producers
    }

    /// Offset, time and epoch of every readable record.
    fn records(&self) -> Vec<(Offset, Timestamp, LeaderEpoch)> {
        let mut all = Vec::new();
        for batch in &self.batches {
            let records = batch.records().unwrap();
            let epoch = batch.header().partition_leader_epoch;
            all.extend(
                records.iter().map(|record| record.unwrap()).map(|record| (record.offset, record.timestamp, epoch)),
            );
        }
        all.retain(|(offset, ..)| *offset >= self.log_start);
        all
    }

    /// Compares every kind of answer.
    pub(super) fn check(&self, log: &Log) {
        assert_eq!((log.log_start(), log.log_end()), (self.log_start, self.log_end));
        assert!(log.log_start() <= log.log_end() && log.flushed() <= log.log_end());
        assert!(log.flushed() >= self.flushed.min(self.log_end), "flushed went back");
        self.check_reads(log);
        self.check_times(log);
        self.check_epochs(log);
    }

    /// Producer state as a full scan gives it. Only for histories in which none was ever forgotten.
    pub(super) fn check_producers(&self, log: &Log) {
        assert_eq!(log.producers, self.producers(), "producer state differs from a full scan");
    }

    /// What a read must return.
    fn expected_read(&self, from: Offset, up_to: Offset, max_bytes: usize, min_one: bool) -> (Vec<u8>, Offset) {
        let (mut bytes, mut next) = (Vec::new(), from);
        for batch in self.batches.iter().filter(|batch| batch.header().last_offset() >= from) {
            let fits = bytes.len() + batch.bytes().len() <= max_bytes || (min_one && bytes.is_empty());
            if batch.header().last_offset() >= up_to || !fits {
                break;
            }
            bytes.extend_from_slice(batch.bytes());
            next = batch.header().next_offset();
        }
        (bytes, next)
    }

    fn check_reads(&self, log: &Log) {
        let reader = log.reader();
        for beyond in [self.log_start.plus(-1), self.log_end.plus(1)] {
            let read = reader.read(beyond, self.log_end, 1000, true);
            assert!(matches!(read, Err(ReadError::OutOfRange { .. })), "{beyond}: {read:?}");
        }
        let span = self.log_end.get() - self.log_start.get();
        let step = (span / 23).max(1);
        for from in (self.log_start.get()..=self.log_end.get()).step_by(step as usize).map(Offset) {
            let up_tos = [self.log_end, from.plus(span / 3), from.plus(1), from];
            for (number, up_to) in up_tos.into_iter().enumerate() {
                let up_to = up_to.min(self.log_end);
                for (max_bytes, min_one) in [(usize::MAX, true), (1500, true), (1500, false), (1, true), (0, false)] {
                    if number > 0 && max_bytes != 1500 {
                        continue;
                    }
                    let read = reader.read(from, up_to, max_bytes, min_one).unwrap();
                    let expected = self.expected_read(from, up_to, max_bytes, min_one);
                    let context = format!("read({from}, {up_to}, {max_bytes}, {min_one})");
                    assert_eq!(read.next_offset, expected.1, "{context}");
                    assert!(read.batches.concat() == expected.0, "{context}: other bytes");
                    assert_eq!(read.size, expected.0.len(), "{context}");
                }
            }
        }
    }

    fn check_times(&self, log: &Log) {
        let records = self.records();
        let found = |record: Option<crate::TimestampOffset>| record.map(|r| (r.offset, r.timestamp, r.leader_epoch));
        let mut latest: Option<(Offset, Timestamp, LeaderEpoch)> = None;
        for record in &records {
            if record.1 > latest.map_or(Timestamp::NONE, |latest| latest.1) {
                latest = Some(*record);
            }
        }
        assert_eq!(found(log.max_timestamp().unwrap()), latest);
        let step = (records.len() / 13).max(1);
        let mut targets: Vec<Timestamp> = records.iter().step_by(step).map(|record| record.1).collect();
        targets.extend([Timestamp(0), Timestamp(i64::MAX)]);
        targets.extend(latest.map(|latest| latest.1));
        for target in targets {
            let expected = records.iter().find(|record| record.1 >= target).copied();
            assert_eq!(found(log.offset_for_timestamp(target).unwrap()), expected, "first at or after {target:?}");
        }
    }

    fn check_epochs(&self, log: &Log) {
        let epochs = self.epochs();
        let Some(oldest) = self.never_deleted().next() else { return };
        let oldest = oldest.header().partition_leader_epoch;
        assert_eq!(log.latest_epoch(), epochs.latest());
        for epoch in (oldest.get()..=epochs.latest().get() + 1).map(LeaderEpoch) {
            assert_eq!(log.epoch_end(epoch), epochs.end_of(epoch, self.log_end), "end of epoch {epoch}");
        }
    }
}
