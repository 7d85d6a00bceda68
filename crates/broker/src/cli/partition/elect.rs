//! `highwater partition elect-leader`.

use clap::Args;
use serde_json::json;

use crate::cli::client::{ElectionType, TopicPartition};
use crate::cli::output::count;
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater partition elect-leader --all                       # first replicas lead again, after restarts
  highwater partition elect-leader orders-0 orders-3
  highwater partition elect-leader orders-0 --type unclean     # when no in-sync replica will come back

An unclean election loses the records that only the missing replicas have. It is recorded, and counted by
kafka_controller_controllerstats_uncleanleaderelections.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ElectArgs {
    /// Partitions that shall get a leader.
    #[arg(value_name = "TOPIC-PARTITION", required_unless_present = "all", conflicts_with = "all")]
    partitions: Vec<TopicPartition>,
    /// All partitions of the cluster.
    #[arg(long)]
    all: bool,
    /// Who may be elected.
    #[arg(long = "type", value_enum, default_value = "preferred")]
    election: ElectionType,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: ElectArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let partitions = (!args.all).then_some(args.partitions.as_slice());
    let (mut elected, mut refused) = (Vec::new(), Vec::new());
    for (id, outcome) in client.elect_leaders(args.election, partitions).await? {
        match outcome {
            Ok(()) => elected.push(id.to_string()),
            Err(failure) => refused.push(failure),
        }
    }
    if !elected.is_empty() || refused.is_empty() {
        args.client.print(
            || json!({ "elected": elected }),
            || match elected.is_empty() {
                true => "no election was needed".to_owned(),
                false => format!("elected {}: {}", count(elected.len(), "leader"), elected.join(" ")),
            },
        )?;
    }
    Failure::all(refused).map_or(Ok(()), Err)
}
