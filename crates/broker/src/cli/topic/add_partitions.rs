//! `highwater topic add-partitions`.

use clap::Args;
use serde_json::json;

use crate::cli::client::parse_assignment;
use crate::cli::output::count;
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater topic add-partitions orders --total 12
  highwater topic add-partitions orders --total 8 --replica-assignment 1:2:3,2:3:1   # where the two new ones go
  highwater topic add-partitions orders --total 12 --validate-only

Records with a key go to another partition from then on: order by key does not reach across the change.
Partitions cannot be taken away again.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AddPartitionsArgs {
    /// Name of the topic.
    name: String,
    /// How many partitions it shall have.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    total: i32,
    /// Broker ids of each new partition's replicas, as 1:2:3,2:3:1.
    #[arg(long, value_name = "IDS")]
    replica_assignment: Option<String>,
    /// Check only; change nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: AddPartitionsArgs) -> Result<(), Failure> {
    let assignment = args.replica_assignment.as_deref().map(parse_assignment).transpose().map_err(Failure::usage)?;
    let assignment = assignment.unwrap_or_default();
    let mut client = args.client.connect().await?;
    let before = client.topic(&args.name).await?.partitions.len();
    client.create_partitions(&args.name, args.total, &assignment, args.validate_only).await?;
    let verb = if args.validate_only { "would have" } else { "now has" };
    args.client.print(
        || {
            json!({
                "name": args.name,
                "partitions_before": before,
                "partitions": args.total,
                "changed": !args.validate_only,
            })
        },
        || format!("topic {} {verb} {} (had {before})", args.name, count(args.total, "partition")),
    )
}
