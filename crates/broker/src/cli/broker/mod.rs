//! `highwater broker`.

mod decommission;
mod describe;
mod drain;
mod list;
mod log_dirs;

use clap::Subcommand;

pub(crate) use list::{BrokerLine, broker_table};
pub(crate) use log_dirs::free_share;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum BrokerCommand {
    /// List the brokers with what they lead and hold.
    List(list::ListArgs),
    /// Show a broker: address, settings of its own, directories.
    Describe(describe::DescribeArgs),
    /// Show log directories: size, free space, replicas.
    LogDirs(log_dirs::LogDirsArgs),
    /// Move leadership and replicas away from a broker.
    Drain(drain::DrainArgs),
    /// Empty a broker, wait until it is stopped, and make the cluster forget it.
    Decommission(decommission::DecommissionArgs),
    /// Make the cluster forget a broker that is stopped and holds nothing.
    Unregister(decommission::UnregisterArgs),
}

pub(crate) async fn run(command: BrokerCommand) -> Result<(), Failure> {
    match command {
        BrokerCommand::List(args) => list::run(args).await,
        BrokerCommand::Describe(args) => describe::run(args).await,
        BrokerCommand::LogDirs(args) => log_dirs::run(args).await,
        BrokerCommand::Drain(args) => drain::run(args).await,
        BrokerCommand::Decommission(args) => decommission::run(args).await,
        BrokerCommand::Unregister(args) => decommission::run_unregister(args).await,
    }
}
