//! `highwater topic delete`.

use clap::Args;
use highwater_types::ErrorCode;
use serde_json::json;

use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater topic delete scratch
  highwater topic delete scratch-1 scratch-2 --if-exists";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// Names of the topics.
    #[arg(required = true)]
    names: Vec<String>,
    /// Do not mind topics that do not exist.
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: DeleteArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let outcomes = client.delete_topics(&args.names).await?;
    let (mut deleted, mut refused) = (Vec::new(), Vec::new());
    for (name, outcome) in outcomes {
        match outcome {
            Ok(()) => deleted.push(name),
            Err(failure) if args.if_exists && failure.is(ErrorCode::UnknownTopicOrPartition) => {}
            Err(failure) => refused.push(failure),
        }
    }
    if !deleted.is_empty() || refused.is_empty() {
        args.client.print(
            || json!({ "deleted": deleted }),
            || match deleted.as_slice() {
                [] => "nothing to delete".to_owned(),
                names => names.iter().map(|name| format!("deleted topic {name}")).collect::<Vec<_>>().join("\n"),
            },
        )?;
    }
    Failure::all(refused).map_or(Ok(()), Err)
}
