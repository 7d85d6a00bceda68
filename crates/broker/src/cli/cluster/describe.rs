//! `highwater cluster describe`.

use clap::Args;
use serde_json::json;

use crate::cli::broker::{BrokerLine, broker_table};
use crate::cli::output::facts;
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater cluster describe
  highwater cluster describe --json | jq -r .cluster_id";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DescribeArgs {
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: DescribeArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let cluster = client.describe_cluster().await?;
    let topics = client.all_topics().await?;
    let partitions: Vec<_> = topics.iter().flat_map(|topic| &topic.partitions).collect();
    let under_replicated = partitions.iter().filter(|one| one.is_under_replicated()).count();
    let offline = partitions.iter().filter(|one| one.is_offline()).count();
    let lines = BrokerLine::of(cluster.brokers, &partitions);
    args.client.print(
        || {
            json!({
                "cluster_id": cluster.id,
                "controller": cluster.controller,
                "topics": topics.len(),
                "partitions": partitions.len(),
                "under_replicated_partitions": under_replicated,
                "offline_partitions": offline,
                "brokers": lines.iter().map(BrokerLine::json).collect::<Vec<_>>(),
            })
        },
        || {
            let health = format!("{} ({under_replicated} under-replicated, {offline} offline)", partitions.len());
            let head = facts([
                ("cluster", cluster.id.clone()),
                ("controller", cluster.controller.to_string()),
                ("topics", topics.len().to_string()),
                ("partitions", health),
            ]);
            format!("{head}\n\n{}", broker_table(&lines))
        },
    )
}
