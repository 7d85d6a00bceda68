//! `highwater group`.

mod delete;
mod delete_offsets;
mod describe;
mod list;
mod members;
mod plan;
mod reset_offsets;

use clap::Subcommand;

pub(crate) use describe::{PartitionLag, lags};

use super::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List the consumer groups.
    List(list::ListArgs),
    /// Show committed offsets and lag of groups.
    Describe(describe::DescribeArgs),
    /// Show the members of a group and what they read.
    Members(members::MembersArgs),
    /// Set the offsets of a group that has no members.
    ResetOffsets(reset_offsets::ResetOffsetsArgs),
    /// Forget offsets that a group has committed.
    DeleteOffsets(delete_offsets::DeleteOffsetsArgs),
    /// Delete groups that have no members.
    Delete(delete::DeleteArgs),
}

pub(crate) async fn run(command: GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::List(args) => list::run(args).await,
        GroupCommand::Describe(args) => describe::run(args).await,
        GroupCommand::Members(args) => members::run(args).await,
        GroupCommand::ResetOffsets(args) => reset_offsets::run(args).await,
        GroupCommand::DeleteOffsets(args) => delete_offsets::run(args).await,
        GroupCommand::Delete(args) => delete::run(args).await,
    }
}
