//! `highwater bench`: load from this machine, and how the cluster bears it. Figures are of client and cluster together.

mod consume;
mod figures;
mod produce;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Send records as fast as it goes, or at a rate, and show throughput and latency.
    Produce(produce::ProduceArgs),
    /// Read a topic as fast as it goes, and show throughput.
    Consume(consume::ConsumeArgs),
}

pub(crate) async fn run(command: BenchCommand) -> Result<(), Failure> {
    match command {
        BenchCommand::Produce(args) => produce::run(args).await,
        BenchCommand::Consume(args) => consume::run(args).await,
    }
}
