//! How a partition hears that its log was flushed.

use highwater_log::FlushListener;
use highwater_types::Offset;

/// Calls what it holds. The offset is not passed on: a truncation may have come between the flush and the call, and then the
/// offsets above the cut are other records.
pub(crate) struct OnFlushed<F>(pub F);

impl<F: Fn() + Send + Sync> FlushListener for OnFlushed<F> {
    fn on_flushed(&self, _: Offset) {
        (self.0)();
    }
}
