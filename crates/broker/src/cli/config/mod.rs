//! `highwater config`.

mod change;
mod get;
mod list;
mod set;
mod target;

use clap::Subcommand;

pub(crate) use change::{ChangeArgs, parse_assignment_of_key};

use super::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show settings: values, where they come from, defaults, what they mean.
    Get(get::GetArgs),
    /// Set, append to or subtract from settings.
    Set(set::SetArgs),
    /// Take settings back, so that what lies below them counts again.
    Delete(set::DeleteArgs),
    /// List topics and brokers with the settings that were set on them.
    List(list::ListArgs),
}

pub(crate) async fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Get(args) => get::run(args).await,
        ConfigCommand::Set(args) => set::run(args).await,
        ConfigCommand::Delete(args) => set::run_delete(args).await,
        ConfigCommand::List(args) => list::run(args).await,
    }
}
