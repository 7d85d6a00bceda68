//! `highwater topic list`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::Topic;
use crate::cli::output::{Column, Mood, Row, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater topic list
  highwater topic list --contains click --json | jq -r '.[].name'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {
    /// Show internal topics too.
    #[arg(long)]
    internal: bool,
    /// Only topics whose name contains this text.
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: ListArgs) -> Result<(), Failure> {
    let mut topics = args.client.connect().await?.all_topics().await?;
    topics.retain(|topic| args.internal || !topic.internal);
    topics.retain(|topic| args.contains.as_ref().is_none_or(|text| topic.name.contains(text.as_str())));
    args.client.print(|| topics.iter().map(topic_json).collect(), || text(&topics))
}

fn under_replicated(topic: &Topic) -> usize {
    topic.partitions.iter().filter(|one| one.is_under_replicated()).count()
}

fn offline(topic: &Topic) -> usize {
    topic.partitions.iter().filter(|one| one.is_offline()).count()
}

fn text(topics: &[Topic]) -> String {
    let columns = [
        Column::Text("TOPIC"),
        Column::Number("PARTITIONS"),
        Column::Number("REPLICAS"),
        Column::Number("UNDER-REPLICATED"),
        Column::Number("OFFLINE"),
    ];
    let row = |topic: &Topic| {
        let (lacking, offline) = (under_replicated(topic), offline(topic));
        let numbers = [topic.partitions.len(), topic.replication_factor(), lacking, offline];
        let cells = [topic.name.clone()].into_iter().chain(numbers.map(|number| number.to_string())).collect();
        let mood = match (lacking, offline) {
            (0, 0) => Mood::Fine,
            (_, 0) => Mood::Attention,
            _ => Mood::Alarm,
        };
        Row::new(cells, mood)
    };
    table(&columns, topics.iter().map(row))
}

fn topic_json(topic: &Topic) -> Value {
    json!({
        "name": topic.name,
        "id": topic.id.to_string(),
        "internal": topic.internal,
        "partitions": topic.partitions.len(),
        "replication_factor": topic.replication_factor(),
        "under_replicated_partitions": under_replicated(topic),
        "offline_partitions": offline(topic),
    })
}
