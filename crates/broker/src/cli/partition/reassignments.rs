//! `highwater partition reassignments` and `highwater partition cancel`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::{Reassignment, TopicPartition};
use crate::cli::output::{Column, count, ids, table};
use crate::cli::{ClientArgs, Failure};

const LIST_EXAMPLES: &str = "\
Examples:
  highwater partition reassignments
  highwater partition reassignments --json | jq length";

const CANCEL_EXAMPLES: &str = "\
Examples:
  highwater partition cancel orders-0 orders-3
  highwater partition cancel --all";

#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CANCEL_EXAMPLES)]
pub(crate) struct CancelArgs {
    /// Partitions whose reassignment is to be cancelled.
    #[arg(value_name = "TOPIC-PARTITION", required_unless_present = "all", conflicts_with = "all")]
    partitions: Vec<TopicPartition>,
    /// All reassignments under way.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: ListArgs) -> Result<(), Failure> {
    let listed = args.client.connect().await?.reassignments().await?;
    args.client.print(|| listed.iter().map(reassignment_json).collect(), || text(&listed))
}

fn text(listed: &[Reassignment]) -> String {
    if listed.is_empty() {
        return "no reassignment is under way".to_owned();
    }
    let columns = [
        Column::Text("TOPIC"),
        Column::Number("PARTITION"),
        Column::Text("REPLICAS"),
        Column::Text("ADDING"),
        Column::Text("REMOVING"),
    ];
    let row = |one: &Reassignment| {
        let partition = one.id.partition.to_string();
        vec![one.id.topic.clone(), partition, ids(&one.replicas), ids(&one.adding), ids(&one.removing)]
    };
    table(&columns, listed.iter().map(row))
}

fn reassignment_json(one: &Reassignment) -> Value {
    json!({
        "topic": one.id.topic,
        "partition": one.id.partition,
        "replicas": one.replicas,
        "adding": one.adding,
        "removing": one.removing,
    })
}

pub(crate) async fn cancel(args: CancelArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let partitions = match args.all {
        true => client.reassignments().await?.into_iter().map(|one| one.id).collect(),
        false => args.partitions,
    };
    let targets: BTreeMap<TopicPartition, Option<Vec<i32>>> = partitions.into_iter().map(|id| (id, None)).collect();
    let outcomes = match targets.is_empty() {
        true => BTreeMap::new(),
        false => client.alter_reassignments(&targets, None).await?,
    };
    let (mut cancelled, mut refused) = (Vec::new(), Vec::new());
    for (id, outcome) in outcomes {
        match outcome {
            Ok(()) => cancelled.push(id.to_string()),
            Err(failure) => refused.push(failure),
        }
    }
    if !cancelled.is_empty() || refused.is_empty() {
        args.client.print(
            || json!({ "cancelled": cancelled }),
            || format!("cancelled {}: {}", count(cancelled.len(), "reassignment"), cancelled.join(" ")),
        )?;
    }
    Failure::all(refused).map_or(Ok(()), Err)
}
