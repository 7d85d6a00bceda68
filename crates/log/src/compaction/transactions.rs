//! Which batches of the part that is being compacted belong to aborted transactions.
//!
//! Only the part that was never compacted is looked at: what was aborted in the rest is gone. There, a transaction's batches
//! lie between two markers of its producer, so one walk over the headers tells.

use std::collections::BTreeMap;

use highwater_records::{BatchHeader, EndTransactionMarker};
use highwater_types::{Offset, ProducerId};

/// See the top of this file.
#[derive(Debug, Default)]
pub(crate) struct TransactionOutcomes {
    /// Per producer: first batch and marker of each aborted transaction, ascending.
    aborted: BTreeMap<ProducerId, Vec<(Offset, Offset)>>,
    /// First batch of transactions without a marker so far.
    open: BTreeMap<ProducerId, Offset>,
}

impl TransactionOutcomes {
    /// Takes in the next batch; `marker` is what a control batch holds.
    pub(crate) fn add(&mut self, header: &BatchHeader, marker: Option<&EndTransactionMarker>) {
        if !header.is_transactional() {
            return;
        }
        if !header.is_control() {
            self.open.entry(header.producer_id).or_insert(header.base_offset);
        } else if let Some(first) = self.open.remove(&header.producer_id)
            && marker.is_some_and(|marker| !marker.committed)
        {
            self.aborted.entry(header.producer_id).or_default().push((first, header.base_offset));
        }
    }

    /// The first batch whose outcome is not known.
    pub(crate) fn first_undecided(&self) -> Option<Offset> {
        self.open.values().min().copied()
    }

    /// Whether a data batch was aborted.
    pub(crate) fn is_aborted(&self, header: &BatchHeader) -> bool {
        if !header.is_transactional() || header.is_control() {
            return false;
        }
        let Some(aborted) = self.aborted.get(&header.producer_id) else { return false };
        let begun = aborted.partition_point(|(first, _)| *first <= header.base_offset);
        begun.checked_sub(1).is_some_and(|last| header.base_offset < aborted[last].1)
    }
}
