//! `highwater topic create`.

use clap::Args;
use serde_json::json;

use crate::cli::client::{NewTopic, parse_assignment};
use crate::cli::config::parse_assignment_of_key;
use crate::cli::output::count;
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater topic create orders --partitions 6 --replication-factor 3
  highwater topic create users --config cleanup.policy=compact --config min.insync.replicas=2
  highwater topic create pinned --replica-assignment 1:2:3,2:3:1   # two partitions, brokers given
  highwater topic create orders --partitions 600 --validate-only";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateArgs {
    /// Name of the topic.
    name: String,
    /// Partitions; the cluster's num.partitions by default.
    #[arg(long, short = 'p', value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Replicas of each partition; the cluster's default.replication.factor by default.
    #[arg(long, short = 'r', value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// Broker ids of each partition's replicas, as 1:2:3,2:3:1. The first of each leads.
    #[arg(long, value_name = "IDS", conflicts_with_all = ["partitions", "replication_factor"])]
    replica_assignment: Option<String>,
    /// A topic setting, such as retention.ms=3600000. May be repeated.
    #[arg(long, short = 'c', value_name = "KEY=VALUE", value_parser = parse_assignment_of_key)]
    config: Vec<(String, String)>,
    /// Succeed if the topic exists already, and change nothing.
    #[arg(long)]
    if_not_exists: bool,
    /// Check only; create nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: CreateArgs) -> Result<(), Failure> {
    let assignment = args.replica_assignment.as_deref().map(parse_assignment).transpose().map_err(Failure::usage)?;
    let mut client = args.client.connect().await?;
    if args.if_not_exists
        && let [existing] = client.existing_topics(std::slice::from_ref(&args.name)).await?.as_slice()
    {
        return report(&args, existing.partitions.len(), existing.replication_factor(), false);
    }
    let topic = NewTopic {
        name: args.name.clone(),
        partitions: args.partitions,
        replication_factor: args.replication_factor,
        assignment: assignment.unwrap_or_default(),
        configs: args.config.clone(),
    };
    let (partitions, replicas) = client.create_topic(&topic, args.validate_only).await?;
    report(&args, usize::try_from(partitions).unwrap_or(0), usize::try_from(replicas).unwrap_or(0), !args.validate_only)
}

fn report(args: &CreateArgs, partitions: usize, replicas: usize, created: bool) -> Result<(), Failure> {
    let verb = match (created, args.validate_only) {
        (true, _) => "created topic",
        (false, true) => "would create topic",
        (false, false) => "exists already: topic",
    };
    args.client.print(
        || json!({"name": args.name, "partitions": partitions, "replication_factor": replicas, "created": created}),
        || format!("{verb} {} with {} and {}", args.name, count(partitions, "partition"), count(replicas, "replica")),
    )
}
