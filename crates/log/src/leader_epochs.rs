//! Leader epochs of a log and the offsets they start at (KIP-101, KIP-279), in Kafka's `leader-epoch-checkpoint`.
//!
//! Invariants, after each change:
//! - epochs and start offsets both strictly increase;
//! - no entry starts below the log start or (once something was truncated) at or beyond the log end.

use highwater_types::{LeaderEpoch, Offset};

use crate::text_file::{Lines, Malformed};

/// Version in the first line of the checkpoint file.
const VERSION: &str = "0";

/// One line of the cache: the epoch's first record has this offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochStart {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) start: Offset,
}

/// The cache. Pure: the log writes it to its file when [`LeaderEpochs::is_dirty`] and an append is about to happen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<EpochStart>,
    dirty: bool,
}

impl LeaderEpochs {
    /// Reads the checkpoint file's text.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut lines = Lines::new(text)?;
        lines.expect_version(VERSION)?;
        let count = lines.entry_count()?;
        let mut entries: Vec<EpochStart> = Vec::new();
        for fields in lines {
            let fields = fields?;
            let [epoch, start] = fields[..] else {
                return Err(Malformed::new("an entry needs an epoch and an offset"));
            };
            let entry = EpochStart {
                epoch: LeaderEpoch(epoch.parse().map_err(|_| Malformed::new("an epoch is no number"))?),
                start: Offset(start.parse().map_err(|_| Malformed::new("an offset is no number"))?),
            };
            let grows = entries.last().is_none_or(|last| entry.epoch > last.epoch && entry.start > last.start);
            if !grows || entry.epoch < LeaderEpoch(0) || entry.start < Offset::ZERO {
                return Err(Malformed::new("epochs or offsets do not grow"));
            }
            entries.push(entry);
        }
        if entries.len() != count {
            return Err(Malformed::new("the number of entries is not the one in the second line"));
        }
        Ok(Self { entries, dirty: false })
    }

    /// The checkpoint file's text.
    pub(crate) fn encode(&self) -> String {
        let mut text = format!("{VERSION}\n{}\n", self.entries.len());
        for entry in &self.entries {
            text.push_str(&format!("{} {}\n", entry.epoch, entry.start));
        }
        text
    }

    /// Epochs and where they start.
    pub(crate) fn starts(&self) -> impl Iterator<Item = (LeaderEpoch, Offset)> {
        self.entries.iter().map(|entry| (entry.epoch, entry.start))
    }

    /// Whether the file is behind.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The file now holds what [`LeaderEpochs::encode`] returned.
    pub(crate) fn on_persisted(&mut self) {
        self.dirty = false;
    }

    /// The newest epoch, or `NONE`.
    pub(crate) fn latest(&self) -> LeaderEpoch {
        self.entries.last().map_or(LeaderEpoch::NONE, |entry| entry.epoch)
    }

    /// Where the newest epoch starts.
    pub(crate) fn latest_start(&self) -> Option<Offset> {
        self.entries.last().map(|entry| entry.start)
    }

    /// Notes that `epoch` starts at `start`, the log end. An epoch that turned out to have no record gives way.
    ///
    /// # Panics
    /// If a newer epoch has records already.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if epoch == self.latest() || epoch < LeaderEpoch(0) {
            return;
        }
        self.truncate_from_end(start);
        if epoch == self.latest() {
            return;
        }
        assert!(epoch > self.latest(), "epoch {epoch} starts at {start} after epoch {}", self.latest());
        if self.entries.is_empty() {
            // Most logs have one: no room for more.
            self.entries.reserve_exact(1);
        }
        self.entries.push(EpochStart { epoch, start });
        self.dirty = true;
    }

    /// The log now ends at `end`: forgets the epochs that start there or beyond.
    pub(crate) fn truncate_from_end(&mut self, end: Offset) {
        let kept = self.entries.partition_point(|entry| entry.start < end);
        self.dirty |= kept < self.entries.len();
        self.entries.truncate(kept);
    }

    /// The log now starts at `start`: forgets epochs that ended before it; the one it falls into starts there.
    pub(crate) fn truncate_from_start(&mut self, start: Offset) {
        let begun = self.entries.partition_point(|entry| entry.start <= start);
        let Some(current) = begun.checked_sub(1) else { return };
        if current > 0 || self.entries[current].start != start {
            self.entries[current].start = start;
            self.entries.drain(..current);
            self.dirty = true;
        }
    }

    /// Forgets everything: the log starts anew.
    pub(crate) fn clear(&mut self) {
        self.dirty |= !self.entries.is_empty();
        self.entries.clear();
    }

    /// The largest epoch not above `requested` and the offset where it ends, given the log end (KIP-101, KIP-279):
    /// - `requested` is the newest: it and the log end;
    /// - it is older than all: it and the start of the oldest;
    /// - it is newer than all, or unknown: `(NONE, NONE)`.
    pub(crate) fn end_of(&self, requested: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        const UNDEFINED: (LeaderEpoch, Offset) = (LeaderEpoch::NONE, Offset::NONE);
        if requested < LeaderEpoch(0) {
            return UNDEFINED;
        }
        if requested == self.latest() {
            return (requested, log_end);
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= requested);
        let Some(next) = self.entries.get(above) else { return UNDEFINED };
        match above.checked_sub(1) {
            Some(floor) => (self.entries[floor].epoch, next.start),
            None => (requested, next.start),
        }
    }

    /// The epoch of the record at `offset`, or `NONE` below the first entry.
    pub(crate) fn epoch_of(&self, offset: Offset) -> LeaderEpoch {
        let begun = self.entries.partition_point(|entry| entry.start <= offset);
        begun.checked_sub(1).map_or(LeaderEpoch::NONE, |index| self.entries[index].epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(i32, i64)]) -> LeaderEpochs {
        let entries =
            entries.iter().map(|&(epoch, start)| EpochStart { epoch: LeaderEpoch(epoch), start: Offset(start) });
        LeaderEpochs { entries: entries.collect(), dirty: false }
    }

    #[test]
    fn text_round_trips() {
        let epochs = cache(&[(0, 0), (3, 10), (4, 1000)]);
        assert_eq!(epochs.encode(), "0\n3\n0 0\n3 10\n4 1000\n");
        assert_eq!(LeaderEpochs::parse(epochs.encode().as_bytes()), Ok(epochs));
        assert_eq!(LeaderEpochs::parse(b"0\n0\n"), Ok(LeaderEpochs::default()));
        let broken: [&[u8]; 9] = [
            b"",
            b"1\n0\n",
            b"0\n2\n1 1\n",
            b"0\nx\n",
            b"0\n1\n1\n",
            b"0\n2\n1 1\n1 2\n",
            b"0\n2\n1 5\n2 5\n",
            b"0\n1\n-1 0\n",
            b"\xff",
        ];
        for text in broken {
            assert!(LeaderEpochs::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn end_of_epoch() {
        let epochs = cache(&[(2, 5), (4, 10), (7, 30)]);
        let table = [
            (-1, (-1, -1)),
            (0, (0, 5)),
            (1, (1, 5)),
            (2, (2, 10)),
            (3, (2, 10)),
            (4, (4, 30)),
            (6, (4, 30)),
            (7, (7, 42)),
            (8, (-1, -1)),
        ];
        for (requested, (epoch, end)) in table {
            let expected = (LeaderEpoch(epoch), Offset(end));
            assert_eq!(epochs.end_of(LeaderEpoch(requested), Offset(42)), expected, "epoch {requested}");
        }
        assert_eq!(LeaderEpochs::default().end_of(LeaderEpoch(0), Offset(0)), (LeaderEpoch::NONE, Offset::NONE));
    }

    #[test]
    fn assigning_and_truncating() {
        let mut epochs = LeaderEpochs::default();
        epochs.assign(LeaderEpoch(1), Offset(0));
        epochs.assign(LeaderEpoch(1), Offset(9));
        epochs.assign(LeaderEpoch(2), Offset(9));
        epochs.assign(LeaderEpoch(3), Offset(9));
        assert_eq!(epochs.entries, cache(&[(1, 0), (3, 9)]).entries, "an epoch without records gives way");
        epochs.assign(LeaderEpoch(5), Offset(20));
        epochs.assign(LeaderEpoch(3), Offset(20));
        assert_eq!(epochs.entries, cache(&[(1, 0), (3, 9)]).entries, "also for an older one that goes on");
        epochs.assign(LeaderEpoch(5), Offset(20));
        epochs.on_persisted();
        epochs.truncate_from_end(Offset(21));
        assert!(!epochs.is_dirty());
        epochs.truncate_from_end(Offset(20));
        assert!(epochs.is_dirty());
        assert_eq!(epochs.latest(), LeaderEpoch(3));
        epochs.truncate_from_start(Offset(12));
        assert_eq!(epochs.entries, cache(&[(3, 12)]).entries);
        epochs.truncate_from_start(Offset(4));
        assert_eq!(epochs.epoch_of(Offset(12)), LeaderEpoch(3));
        assert_eq!(epochs.epoch_of(Offset(11)), LeaderEpoch::NONE);
    }
}
