//! `highwater topic`.

mod add_partitions;
mod alter;
mod create;
mod delete;
mod delete_records;
mod describe;
mod list;
mod offsets;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create a topic.
    Create(create::CreateArgs),
    /// List the topics.
    List(list::ListArgs),
    /// Show partitions, replicas and settings of topics.
    Describe(describe::DescribeArgs),
    /// Change settings of a topic.
    Alter(alter::AlterArgs),
    /// Add partitions to a topic.
    AddPartitions(add_partitions::AddPartitionsArgs),
    /// Show first and next offset of each partition, or the offsets of a point in time.
    Offsets(offsets::OffsetsArgs),
    /// Delete the oldest records of a topic.
    DeleteRecords(delete_records::DeleteRecordsArgs),
    /// Delete topics with all their records.
    Delete(delete::DeleteArgs),
}

pub(crate) async fn run(command: TopicCommand) -> Result<(), Failure> {
    match command {
        TopicCommand::Create(args) => create::run(args).await,
        TopicCommand::List(args) => list::run(args).await,
        TopicCommand::Describe(args) => describe::run(args).await,
        TopicCommand::Alter(args) => alter::run(args).await,
        TopicCommand::AddPartitions(args) => add_partitions::run(args).await,
        TopicCommand::Offsets(args) => offsets::run(args).await,
        TopicCommand::DeleteRecords(args) => delete_records::run(args).await,
        TopicCommand::Delete(args) => delete::run(args).await,
    }
}
