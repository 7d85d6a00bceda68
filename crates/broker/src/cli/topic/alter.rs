//! `highwater topic alter`.

use clap::Args;

use crate::cli::client::Resource;
use crate::cli::config::ChangeArgs;
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater topic alter orders --set retention.ms=86400000
  highwater topic alter users --append cleanup.policy=delete --delete max.message.bytes
  highwater topic alter orders --set min.insync.replicas=9 --validate-only";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AlterArgs {
    /// Name of the topic.
    name: String,
    #[command(flatten)]
    changes: ChangeArgs,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: AlterArgs) -> Result<(), Failure> {
    args.changes.apply(Resource::Topic(args.name), &args.client).await
}
