//! How a partition hears that its log was flushed.

use std::sync::Weak;

use highwater_log::FlushListener;
use highwater_partition::Event;
use highwater_types::Offset;

use crate::partition::Partition;

/// Hears of flushes.
pub(crate) struct FlushedPartition(pub Weak<Partition>);

impl FlushListener for FlushedPartition {
    fn on_flushed(&self, _: Offset) {
        let Some(partition) = self.0.upgrade() else { return };
        partition.locked(|state, aftermath| {
            // Not what the flush reported: a truncation may have come between the flush and this call, and then the
            // offsets above the cut are other records. The log's own mark was lowered by it, under this lock.
            let Some(flushed) = state.log.cursors().map(|cursors| cursors.flushed) else { return };
            state.step(&partition, Event::Flushed { flushed }, aftermath);
        });
    }
}
