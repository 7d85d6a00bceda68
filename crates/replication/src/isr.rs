//! What the leader asks of the controller: a change of the in-sync replicas (KIP-497).

use futures::future::BoxFuture;
use highwater_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicIdPartition};

/// One proposal, to be accepted only if both epochs and all broker epochs are the controller's (compare-and-set).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrProposal {
    /// The partition.
    pub partition: TopicIdPartition,
    /// The epoch in which the proposer leads.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch the proposal builds on.
    pub partition_epoch: PartitionEpoch,
    /// The ISR after the change, each member with the broker epoch under which it replicates (KIP-903).
    pub new_isr: Vec<(BrokerId, BrokerEpoch)>,
    /// Whether the partition's leader still recovers from an unclean election (KIP-704). Always false once it proposes.
    pub leader_recovering: bool,
}

/// The partition after an accepted proposal, as the controller has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterPartitionOutcome {
    /// The leader.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// The in-sync replicas.
    pub isr: Vec<BrokerId>,
    /// The eligible leader replicas.
    pub elr: Vec<BrokerId>,
    /// The partition epoch.
    pub partition_epoch: PartitionEpoch,
}

/// The way to the active controller.
pub trait AlterPartitionSender: Send + Sync {
    /// Sends the proposals in one command; answers come in their order.
    ///
    /// The outer error means that the outcome is unknown (time-out, no active controller found): the proposal may still
    /// take effect, and the leader goes on counting the larger set. An inner error is the controller's refusal, and it must
    /// be final: no earlier attempt of the same proposal may be under way any more.
    fn alter_partition(
        &self,
        proposals: Vec<IsrProposal>,
    ) -> BoxFuture<'static, Result<Vec<Result<AlterPartitionOutcome, ErrorCode>>, ErrorCode>>;
}
