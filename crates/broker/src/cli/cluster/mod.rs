//! `highwater cluster`.

mod controller;
mod describe;
mod features;
mod health;
mod quorum;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show id, brokers and how many partitions are unwell.
    Describe(describe::DescribeArgs),
    /// Say whether all is well: exit code 0 if so, 1 if not.
    Health(health::HealthArgs),
    /// Show the controllers; give one a vote or take it.
    #[command(subcommand)]
    Controller(controller::ControllerCommand),
    /// Show the metadata quorum: leader, voters, how far each is.
    Quorum(quorum::QuorumArgs),
    /// Show feature levels, or raise them after an upgrade.
    Features(features::FeaturesArgs),
}

pub(crate) async fn run(command: ClusterCommand) -> Result<(), Failure> {
    match command {
        ClusterCommand::Describe(args) => describe::run(args).await,
        ClusterCommand::Health(args) => health::run(args).await,
        ClusterCommand::Controller(command) => controller::run(command).await,
        ClusterCommand::Quorum(args) => quorum::run(args).await,
        ClusterCommand::Features(args) => features::run(args).await,
    }
}
