//! `highwater config set` and `highwater config delete`.

use clap::Args;

use super::change::{alter, parse_assignment_of_key};
use super::target::TargetArgs;
use crate::cli::client::{Alteration, Operation};
use crate::cli::{ClientArgs, Failure};

const SET_EXAMPLES: &str = "\
Examples:
  highwater config set --topic orders retention.ms=86400000 cleanup.policy=delete
  highwater config set --broker 1 log.cleaner.io.max.bytes.per.second=10485760
  highwater config set --cluster min.insync.replicas=2
  highwater config set --topic users --append cleanup.policy=compact
  highwater config set --topic orders retention.ms=soon --validate-only";

const DELETE_EXAMPLES: &str = "\
Examples:
  highwater config delete --topic orders retention.ms
  highwater config delete --cluster min.insync.replicas";

#[derive(Debug, Args)]
#[command(after_help = SET_EXAMPLES)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Settings as key=value. All are changed, or none.
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = parse_assignment_of_key)]
    settings: Vec<(String, String)>,
    /// Add the values to lists instead of replacing them.
    #[arg(long, conflicts_with = "subtract")]
    append: bool,
    /// Take the values from lists instead of replacing them.
    #[arg(long)]
    subtract: bool,
    /// Check only; change nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = DELETE_EXAMPLES)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Keys.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Check only; change nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: SetArgs) -> Result<(), Failure> {
    let operation = match (args.append, args.subtract) {
        (true, _) => Operation::Append,
        (_, true) => Operation::Subtract,
        _ => Operation::Set,
    };
    let alteration = |(key, value)| Alteration { key, operation, value: Some(value) };
    let alterations = args.settings.into_iter().map(alteration).collect();
    alter(args.target.resource(), alterations, args.validate_only, &args.client).await
}

pub(crate) async fn run_delete(args: DeleteArgs) -> Result<(), Failure> {
    let alteration = |key| Alteration { key, operation: Operation::Delete, value: None };
    let alterations = args.keys.into_iter().map(alteration).collect();
    alter(args.target.resource(), alterations, args.validate_only, &args.client).await
}
