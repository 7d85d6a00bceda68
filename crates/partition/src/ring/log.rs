//! A model log: a vector of entries, a flushed mark, and Kafka's epoch cache.

use highwater_types::{LeaderEpoch, Offset};

use crate::{EpochEnd, LogCursors};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub epoch: LeaderEpoch,
    pub value: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ModelLog {
    /// Offset of `entries[0]`.
    base: i64,
    entries: Vec<Entry>,
    log_start: i64,
    flushed: i64,
    /// (epoch, start), ascending in both. Durable at once.
    epochs: Vec<(LeaderEpoch, i64)>,
}

impl ModelLog {
    pub fn cursors(&self) -> LogCursors {
        LogCursors { log_start: Offset(self.log_start), flushed: Offset(self.flushed), log_end: Offset(self.end()) }
    }

    pub fn start(&self) -> i64 {
        self.log_start
    }

    pub fn flushed(&self) -> i64 {
        self.flushed
    }

    pub fn end(&self) -> i64 {
        self.base + self.entries.len() as i64
    }

    pub fn entry(&self, offset: i64) -> Option<Entry> {
        usize::try_from(offset - self.base).ok().and_then(|index| self.entries.get(index)).copied()
    }

    pub fn from(&self, offset: i64, count: usize) -> Vec<Entry> {
        let index = usize::try_from(offset - self.base).expect("not below the base");
        self.entries[index..].iter().copied().take(count).collect()
    }

    pub fn append(&mut self, entry: Entry) {
        let latest = self.latest_epoch();
        assert!(entry.epoch >= latest, "P7: epoch {} appended after {latest}", entry.epoch);
        if entry.epoch > latest {
            self.epochs.push((entry.epoch, self.end()));
        }
        self.entries.push(entry);
    }

    pub fn start_epoch(&mut self, epoch: LeaderEpoch, start: i64) {
        assert_eq!(start, self.end());
        assert!(epoch > self.latest_epoch(), "P7: epoch {epoch} begins after {}", self.latest_epoch());
        self.epochs.retain(|&(_, begin)| begin < start);
        self.epochs.push((epoch, start));
    }

    pub fn flush(&mut self, to: i64) {
        self.flushed = self.flushed.max(to.min(self.end()));
    }

    pub fn truncate(&mut self, offset: i64) {
        self.entries.truncate(usize::try_from(offset - self.base).expect("not below the base"));
        self.flushed = self.flushed.min(offset);
        self.epochs.retain(|&(_, start)| start < offset);
    }

    pub fn start_at(&mut self, offset: i64) {
        *self = Self { base: offset, log_start: offset, flushed: offset, ..Self::default() };
    }

    pub fn set_log_start(&mut self, offset: i64) {
        self.log_start = self.log_start.max(offset);
        let first = self.epochs.iter().rposition(|&(_, start)| start <= self.log_start).unwrap_or(0);
        self.epochs.drain(..first);
        if let Some((_, start)) = self.epochs.first_mut() {
            *start = (*start).max(self.log_start);
        }
    }

    /// The process died with the power: of what was not flushed, the first `kept` entries reached the disk.
    pub fn crash(&mut self, kept: i64) {
        let end = (self.flushed + kept).min(self.end());
        self.entries.truncate(usize::try_from(end - self.base).expect("not below the base"));
        self.flushed = end;
        self.epochs.retain(|&(_, start)| start < end);
        if end < self.log_start {
            // Recovery starts an empty log where the deleted records ended.
            self.start_at(self.log_start);
        }
    }

    pub fn latest_epoch(&self) -> LeaderEpoch {
        self.epochs.last().map_or(LeaderEpoch::NONE, |&(epoch, _)| epoch)
    }

    pub fn epoch_end(&self, epoch: LeaderEpoch) -> EpochEnd {
        let none = EpochEnd { epoch: LeaderEpoch::NONE, end_offset: Offset::NONE };
        if epoch == LeaderEpoch::NONE || epoch > self.latest_epoch() {
            return none;
        }
        if epoch == self.latest_epoch() {
            return EpochEnd { epoch, end_offset: Offset(self.end()) };
        }
        let next = self.epochs.iter().position(|&(other, _)| other > epoch).expect("the latest is higher");
        let found = if next == 0 { epoch } else { self.epochs[next - 1].0 };
        EpochEnd { epoch: found, end_offset: Offset(self.epochs[next].1) }
    }
}
