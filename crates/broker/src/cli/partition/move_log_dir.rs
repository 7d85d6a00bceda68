//! `highwater partition move-log-dir`.

use clap::Args;
use serde_json::json;

use crate::cli::client::TopicPartition;
use crate::cli::output::count;
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater broker log-dirs 2 --replicas                                    # which directory is full, and of what
  highwater partition move-log-dir orders-0 orders-3 --broker 2 --to /data/b
  highwater broker log-dirs 2 --replicas                                    # copies on their way, with their lag

The replicas go on serving meanwhile. To take a move back, move to the directory that the replica is in.
replica.alter.log.dirs.io.max.bytes.per.second throttles the copying.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MoveLogDirArgs {
    /// Partitions whose replicas are to move.
    #[arg(value_name = "TOPIC-PARTITION", required = true)]
    partitions: Vec<TopicPartition>,
    /// The broker whose replicas they are.
    #[arg(long)]
    broker: i32,
    /// The log directory of that broker, as it is in log.dirs.
    #[arg(long, value_name = "DIRECTORY")]
    to: String,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: MoveLogDirArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    // So that brokers are known by their ids.
    client.live_brokers().await?;
    let (mut moving, mut refused) = (Vec::new(), Vec::new());
    for (id, outcome) in client.alter_log_dirs(args.broker, &args.to, &args.partitions).await? {
        match outcome {
            Ok(()) => moving.push(id.to_string()),
            Err(failure) => refused.push(failure),
        }
    }
    if !moving.is_empty() {
        args.client.print(
            || json!({ "moving": moving, "broker": args.broker, "directory": args.to }),
            || format!("moving {} to {}: {}", count(moving.len(), "replica"), args.to, moving.join(" ")),
        )?;
    }
    Failure::all(refused).map_or(Ok(()), Err)
}
