//! `highwater group delete-offsets`.

use clap::Args;
use serde_json::json;

use super::plan::{TopicChoice, parse_topic_choice};
use crate::cli::client::TopicPartition;
use crate::cli::output::count;
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater group delete-offsets counters --topic orders
  highwater group delete-offsets counters --topic orders:0,2 --topic users";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteOffsetsArgs {
    /// Id of the group.
    group: String,
    /// Topic, or some of its partitions as TOPIC:0,2. May be repeated.
    #[arg(long, short = 't', required = true, value_name = "TOPIC[:PARTITIONS]", value_parser = parse_topic_choice)]
    topic: Vec<TopicChoice>,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: DeleteOffsetsArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let committed = client.committed_offsets(&args.group).await?;
    // Partitions of a topic that is gone can be named too.
    let mut partitions: Vec<TopicPartition> = Vec::new();
    for choice in &args.topic {
        match choice.partitions.is_empty() {
            true => partitions.extend(committed.keys().filter(|id| id.topic == choice.topic).cloned()),
            false => partitions.extend(choice.partitions.iter().map(|one| TopicPartition::new(&choice.topic, *one))),
        }
    }
    if partitions.is_empty() {
        let failure = Failure::new(format!("group {} has committed nothing there", args.group));
        return Err(failure.hint(format!("`highwater group describe {}` shows its offsets", args.group)));
    }
    let (mut deleted, mut refused) = (Vec::new(), Vec::new());
    for (id, outcome) in client.delete_offsets(&args.group, &partitions).await? {
        match outcome {
            Ok(()) => deleted.push(id.to_string()),
            Err(failure) => refused.push(failure),
        }
    }
    if !deleted.is_empty() {
        args.client.print(
            || json!({"group": args.group, "deleted": deleted}),
            || format!("deleted {} of group {}: {}", count(deleted.len(), "offset"), args.group, deleted.join(" ")),
        )?;
    }
    Failure::all(refused).map_or(Ok(()), Err)
}
