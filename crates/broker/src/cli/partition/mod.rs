//! `highwater partition`.

mod elect;
mod list;
mod move_log_dir;
mod moves;
mod reassign;
mod reassignments;
mod spread;

use clap::Subcommand;

use super::Failure;

pub(crate) use list::{State, count_states, judge};
pub(crate) use moves::Moves;
pub(crate) use reassign::MoveArgs;
pub(crate) use spread::{Spread, empty_broker};

#[derive(Debug, Subcommand)]
pub(crate) enum PartitionCommand {
    /// List partitions, all or those in a certain state.
    List(list::ListArgs),
    /// Give partitions other replicas.
    Reassign(reassign::ReassignArgs),
    /// Spread replicas and leaders evenly over brokers, with few moves.
    Rebalance(reassign::RebalanceArgs),
    /// List the reassignments under way.
    Reassignments(reassignments::ListArgs),
    /// Cancel reassignments: the replicas become what they were before.
    Cancel(reassignments::CancelArgs),
    /// Move replicas to another log directory of their broker.
    MoveLogDir(move_log_dir::MoveLogDirArgs),
    /// Elect leaders: the preferred ones, or any that live.
    ElectLeader(elect::ElectArgs),
}

pub(crate) async fn run(command: PartitionCommand) -> Result<(), Failure> {
    match command {
        PartitionCommand::List(args) => list::run(args).await,
        PartitionCommand::Reassign(args) => reassign::run(args).await,
        PartitionCommand::Rebalance(args) => reassign::run_rebalance(args).await,
        PartitionCommand::Reassignments(args) => reassignments::run(args).await,
        PartitionCommand::Cancel(args) => reassignments::cancel(args).await,
        PartitionCommand::MoveLogDir(args) => move_log_dir::run(args).await,
        PartitionCommand::ElectLeader(args) => elect::run(args).await,
    }
}
