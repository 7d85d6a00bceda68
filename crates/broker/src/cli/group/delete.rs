//! `highwater group delete`.

use clap::Args;
use serde_json::json;

use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater group delete old-readers
  highwater group delete test-1 test-2";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// Ids of the groups.
    #[arg(required = true)]
    groups: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: DeleteArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let (mut deleted, mut refused) = (Vec::new(), Vec::new());
    for group in &args.groups {
        match client.delete_group(group).await {
            Ok(()) => deleted.push(group),
            Err(failure) => refused.push(failure),
        }
    }
    if !deleted.is_empty() {
        args.client.print(
            || json!({ "deleted": deleted }),
            || deleted.iter().map(|group| format!("deleted group {group}")).collect::<Vec<_>>().join("\n"),
        )?;
    }
    Failure::all(refused).map_or(Ok(()), Err)
}
