//! `highwater explain`: why the cluster is as it is.

mod story;

use std::time::Duration;

use clap::{Args, Subcommand};
use highwater_types::ErrorCode;
use serde_json::json;

use super::client::{ClusterClient, TopicPartition, http_address, http_get};
use super::{ClientArgs, Failure};
use crate::history_page::HistoryPage;

/// The controllers read all of their logs.
const PATIENCE: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  highwater explain partition orders-3                  # who leads, who is in sync, and which events made it so
  highwater explain partition orders-3 --history 50
  highwater explain partition orders-3 --json | jq '.entries[-1]'

The answer comes from the controllers' metadata log, which keeps at least the last 100,000 entries, through the HTTP listener of a
broker (highwater.http.listener). It says from where on nothing is missing. Reasons are recorded from version 2 of the feature
highwater.metadata.version on (`highwater cluster features`).";

#[derive(Debug, Subcommand)]
pub(crate) enum ExplainCommand {
    /// Say why a partition has its leader and its in-sync replicas: which event, when, at which epoch.
    Partition(PartitionArgs),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PartitionArgs {
    /// The partition.
    #[arg(value_name = "TOPIC-PARTITION")]
    partition: TopicPartition,
    /// How many of the last events to list.
    #[arg(long, value_name = "COUNT", default_value = "10")]
    history: usize,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(command: ExplainCommand) -> Result<(), Failure> {
    let ExplainCommand::Partition(args) = command;
    let mut client = args.client.connect().await?;
    let page = fetch(&mut client, &args.partition).await?;
    args.client.print(|| json!(page), || story::tell(&page, args.history))
}

/// The page of any broker that serves it.
async fn fetch(client: &mut ClusterClient, id: &TopicPartition) -> Result<HistoryPage, Failure> {
    let path = format!("/partitions/{}/{}/history", id.topic, id.partition);
    let mut problems = Vec::new();
    for broker in client.describe_cluster().await?.brokers.into_iter().filter(|broker| !broker.fenced) {
        let Some(address) = http_address(client, &broker).await else {
            problems.push(format!("broker {} serves no HTTP", broker.id));
            continue;
        };
        match http_get(&address, &path, PATIENCE).await {
            Ok(page) if page.status == 200 => match serde_json::from_str(&page.body) {
                Ok(page) => return Ok(page),
                Err(error) => problems.push(format!("http://{address}{path}: {error}")),
            },
            Ok(page) if page.status == 404 && page.body.starts_with("there is no partition") => {
                let code = ErrorCode::UnknownTopicOrPartition.code();
                return Err(Failure::refused(&id.to_string(), code, None));
            }
            Ok(page) => problems.push(format!("http://{address}{path}: {} ({})", page.body, page.status)),
            Err(problem) => problems.push(problem),
        }
    }
    let hint = "this goes through highwater.http.listener of a broker: can it be reached from here, and is it of this version?";
    Err(Failure::unreachable(problems.join("\n       ")).hint(hint))
}
