//! The in-sync replicas and the change in flight.
//!
//! Legal transitions:
//! - `Committed -> PendingExpand | PendingShrink`: proposed to the controller
//! - `PendingExpand -> Committed`: accepted, refused while its outcome was never in doubt, or settled by newer metadata
//! - `PendingExpand -> Settling`: refused, but an earlier attempt of it may still take effect
//! - `PendingShrink -> Committed`: accepted, refused, or settled by newer metadata
//! - `Settling -> Committed`: accepted, or settled by newer metadata

use highwater_types::{BrokerEpoch, BrokerId};

/// The in-sync replicas as this leader knows them. Sets are sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IsrState {
    /// Nothing is in flight.
    Committed {
        /// As the controller last said.
        isr: Vec<BrokerId>,
    },
    /// A replica is to join.
    PendingExpand {
        /// As the controller last said.
        isr: Vec<BrokerId>,
        /// Who is to join. Counts already: the controller may have agreed.
        added: BrokerId,
        /// The registration in which it was found to hold what is committed. The same in every attempt.
        ///
        /// Otherwise: (1) the outcome of an attempt is unknown; (2) broker 3 dies, loses its disk or what it had not flushed,
        /// registers anew and is unfenced; nobody had it in an ISR, so the partition epoch stays; (3) the leader asks again, for
        /// broker 3 as it is registered now; (4) the controller agrees, and broker 3 lacks committed records.
        broker_epoch: BrokerEpoch,
        /// An attempt was made of which nobody knows the outcome.
        in_doubt: bool,
    },
    /// Replicas are to leave.
    PendingShrink {
        /// As the controller last said. All of them still count: the controller may refuse.
        isr: Vec<BrokerId>,
        /// Who is to leave; never the leader.
        removed: Vec<BrokerId>,
    },
    /// An expansion in doubt was refused. The unchanged ISR is proposed, to use up the partition epoch: once that is
    /// accepted, no delayed attempt of the expansion can be.
    ///
    /// Without it: (1) the expansion by broker 3 is sent and delayed; (2) it is sent again and refused, because 3 is
    /// fenced; (3) the leader counts {1, 2} only; (4) 3 is unfenced; (5) the delayed attempt arrives, all epochs match, and
    /// the controller has {1, 2, 3} while the leader commits without 3.
    Settling {
        /// As the controller last said.
        isr: Vec<BrokerId>,
        /// Who may have joined.
        added: BrokerId,
    },
}

impl IsrState {
    /// The controller's ISR as last heard. `min.insync.replicas` is about this.
    pub fn committed(&self) -> &[BrokerId] {
        match self {
            Self::Committed { isr }
            | Self::PendingExpand { isr, .. }
            | Self::PendingShrink { isr, .. }
            | Self::Settling { isr, .. } => isr,
        }
    }

    /// A replica that may be in the controller's ISR beyond [`Self::committed`].
    pub fn added(&self) -> Option<BrokerId> {
        match self {
            Self::PendingExpand { added, .. } | Self::Settling { added, .. } => Some(*added),
            Self::Committed { .. } | Self::PendingShrink { .. } => None,
        }
    }

    /// All that may be in the controller's ISR. The high watermark counts these, and the ELR.
    pub fn maximal(&self) -> impl Iterator<Item = BrokerId> {
        self.committed().iter().copied().chain(self.added())
    }

    /// Whether no change is in flight.
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Committed { .. })
    }
}
