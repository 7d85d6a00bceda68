//! What keeps the last stable offset back.

use std::collections::{BTreeMap, BTreeSet};

use super::Offset;

/// The transactions of one log that are open, and those that were ended by a marker which may not be committed yet: were the
/// marker lost with this leader, the transaction would be open again.
///
/// Takes a pointer where there are none: most logs never see a transaction.
#[derive(Debug, Clone, Default)]
pub(super) struct UndecidedTransactions(Option<Box<Undecided>>);

#[derive(Debug, Clone, Default)]
struct Undecided {
    /// First offsets of open transactions.
    open: BTreeSet<Offset>,
    /// Offset of the marker -> first offset, for markers at or above `committed`.
    ended: BTreeMap<Offset, Offset>,
    /// Markers below are committed.
    committed: Offset,
}

impl UndecidedTransactions {
    /// With these open, and none ended.
    pub(super) fn new(open: impl IntoIterator<Item = Offset>) -> Self {
        let open: BTreeSet<Offset> = open.into_iter().collect();
        Self((!open.is_empty()).then(|| Box::new(Undecided { open, ..Undecided::default() })))
    }

    pub(super) fn on_begun(&mut self, first: Offset) {
        self.0.get_or_insert_default().open.insert(first);
    }

    pub(super) fn on_ended(&mut self, first: Offset, marker: Offset) {
        let undecided = self.0.get_or_insert_default();
        undecided.open.remove(&first);
        if marker >= undecided.committed {
            undecided.ended.insert(marker, first);
        }
    }

    /// The first offset of the oldest open transaction.
    pub(super) fn first_open(&self) -> Option<Offset> {
        self.0.as_ref()?.open.first().copied()
    }

    /// Batches are about to be taken in of which those below `committed` are committed.
    pub(super) fn expect_committed(&mut self, committed: Offset) {
        self.0.get_or_insert_default().committed = committed;
    }

    /// Markers below `high_watermark` are committed.
    pub(super) fn on_high_watermark(&mut self, high_watermark: Offset) {
        let Some(undecided) = &mut self.0 else { return };
        undecided.committed = high_watermark;
        if !undecided.ended.is_empty() {
            undecided.ended = undecided.ended.split_off(&high_watermark);
        }
        if undecided.open.is_empty() && undecided.ended.is_empty() {
            self.0 = None;
        }
    }

    /// Takes over what `before` remembers of markers below `end`, where the log was cut.
    pub(super) fn inherit(&mut self, before: Self, end: Offset) {
        if let Some(before) = before.0 {
            let undecided = self.0.get_or_insert_default();
            undecided.committed = before.committed.min(end);
            undecided.ended.extend(before.ended.into_iter().filter(|(marker, _)| *marker < end));
        }
    }

    /// The first offset of the oldest transaction that is open where only what is below `high_watermark` counts.
    pub(super) fn first_undecided(&self, high_watermark: Offset) -> Option<Offset> {
        let undecided = self.0.as_ref()?;
        let ended = undecided.ended.range(high_watermark..).map(|(_, first)| *first).min();
        self.first_open().into_iter().chain(ended).min()
    }
}
