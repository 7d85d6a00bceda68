//! Totals that are kept elsewhere, as counters of the metrics.

use prometheus::IntCounter;

/// Brings a counter up to a total that only grows.
pub(crate) fn catch_up(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
