//! The right to serve, as the broker's link to the controller sees it.

use highwater_types::BrokerEpoch;

/// Whether this broker may serve. A fenced broker acknowledges no produce and answers no fetch (M9).
pub trait Lease: Send + Sync {
    /// Whether the lease holds now. Read on every append, acknowledgement and fetch: must be cheap.
    fn is_valid(&self) -> bool;

    /// The epoch of this broker's registration; [`BrokerEpoch::NONE`] before the first one.
    fn broker_epoch(&self) -> BrokerEpoch;
}
