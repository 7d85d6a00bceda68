//! A producer as tools are shown it.

use super::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// An idempotent producer that a log remembers (DescribeProducers, KIP-664).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Who.
    pub producer_id: ProducerId,
    /// Epoch of its newest batch.
    pub epoch: ProducerEpoch,
    /// Sequence of its last record in that epoch, NONE if it has none.
    pub last_sequence: Sequence,
    /// Largest timestamp of its newest batch.
    pub last_timestamp: Timestamp,
    /// Epoch of the transaction coordinator that wrote its newest marker, -1 if none did.
    pub coordinator_epoch: i32,
    /// Base offset of its open transaction.
    pub open_transaction: Option<Offset>,
}
