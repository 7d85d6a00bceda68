//! `highwater log`: looks at the files of partitions without a node. Works on Apache Kafka's directories too.

mod dump;
mod index;
mod verify;

use clap::Subcommand;
use highwater_log::inspection::InspectionError;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print what is in the files of a partition.
    Dump(dump::DumpArgs),
    /// Check the files of partitions against each other; exit code 1 if something is wrong.
    Verify(verify::VerifyArgs),
    /// Compare the indexes of partitions with those that their batches give, or write these.
    Index(index::IndexArgs),
}

/// Runs the command. Blocks for the disk: nothing else runs in this process.
pub(crate) fn run(command: LogCommand) -> Result<(), Failure> {
    match command {
        LogCommand::Dump(args) => dump::run(&args),
        LogCommand::Verify(args) => verify::run(&args),
        LogCommand::Index(args) => index::run(&args),
    }
}

impl From<InspectionError> for Failure {
    fn from(error: InspectionError) -> Self {
        Self::new(error.to_string())
    }
}
