//! The replicas' way to have their ISR changed.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use highwater_controller::{AlterPartition, AlterPartitionEntry, BrokerSession, IsrMember, PartitionIsrState};
use highwater_metadata::LeaderRecoveryState;
use highwater_quorum::{Command, CommandResponse, ControllerClient};
use highwater_replication::{AlterPartitionOutcome, AlterPartitionSender, IsrProposal, Lease};
use highwater_types::{BrokerId, ErrorCode};

/// [`AlterPartitionSender`] over the quorum's client.
pub(crate) struct IsrChanges {
    pub(crate) node_id: BrokerId,
    pub(crate) client: ControllerClient,
    pub(crate) lease: Arc<dyn Lease>,
}

type Answers = Result<Vec<Result<AlterPartitionOutcome, ErrorCode>>, ErrorCode>;

impl AlterPartitionSender for IsrChanges {
    fn alter_partition(&self, proposals: Vec<IsrProposal>) -> BoxFuture<'static, Answers> {
        let count = proposals.len();
        let session = BrokerSession { id: self.node_id, epoch: self.lease.broker_epoch() };
        let partitions = proposals.into_iter().map(entry).collect();
        let command = Command::AlterPartition(AlterPartition { session, partitions });
        let client = self.client.clone();
        async move {
            match client.submit(command).await {
                Ok(CommandResponse::AlterPartition(results)) if results.len() == count => {
                    Ok(results.into_iter().map(|one| one.result.map(outcome).map_err(|error| error.code)).collect())
                }
                Ok(_) => Err(ErrorCode::UnknownServerError),
                // Nobody knows whether it took effect.
                Err(error) if error.code == ErrorCode::RequestTimedOut => Err(error.code),
                // The command as a whole was refused: stale broker epoch, fenced.
                Err(error) => Ok(vec![Err(error.code); count]),
            }
        }
        .boxed()
    }
}

fn entry(proposal: IsrProposal) -> AlterPartitionEntry {
    AlterPartitionEntry {
        target: proposal.partition,
        leader_epoch: proposal.leader_epoch,
        partition_epoch: proposal.partition_epoch,
        new_isr: proposal.new_isr.into_iter().map(|(broker, epoch)| IsrMember { broker, epoch }).collect(),
        leader_recovery: match proposal.leader_recovering {
            true => LeaderRecoveryState::Recovering,
            false => LeaderRecoveryState::Recovered,
        },
    }
}

fn outcome(state: PartitionIsrState) -> AlterPartitionOutcome {
    AlterPartitionOutcome {
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        isr: state.isr,
        elr: state.elr,
        partition_epoch: state.partition_epoch,
    }
}
