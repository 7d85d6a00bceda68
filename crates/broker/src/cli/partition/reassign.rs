//! `highwater partition reassign` and `highwater partition rebalance`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use highwater_env::Fs;
use serde::Deserialize;
use serde_json::{Value, json};

use super::moves::Moves;
use super::spread::{Spread, even_out};
use crate::cli::client::{ClusterClient, ElectionType, Partition, TopicPartition};
use crate::cli::output::count;
use crate::cli::size::parse_bytes;
use crate::cli::{ClientArgs, Failure};

const REASSIGN_EXAMPLES: &str = "\
Examples:
  highwater partition reassign orders-0=1,2,4 orders-1=2,4,1
  highwater partition reassign --from-file moves.json --at-once 5     # Kafka's format of reassignments
  highwater partition reassign orders-0=1,2,4 --dry-run
  highwater partition reassign orders-0=1,2,4 --throttle 20MB
  highwater partition reassign orders-0=1,2,4 --no-wait; highwater partition reassignments";

const REBALANCE_EXAMPLES: &str = "\
Examples:
  highwater partition rebalance --dry-run           # after adding a broker: what would move
  highwater partition rebalance --at-once 10
  highwater partition rebalance orders users --brokers 1,2,3

Replicas are moved until no broker holds two more than another, never into a rack that has one already unless it was so
before; then first places are exchanged until leaders are even, and the first replicas are elected.";

/// How moves are carried out.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// Show what would be moved, and move nothing.
    #[arg(long)]
    dry_run: bool,
    /// Move this many partitions at a time.
    #[arg(long, default_value = "20", value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    /// Bytes per second that each broker sends to, and takes in for, the replicas that are added, such as 20MB. Ends with the
    /// reassignment, also when it is cancelled.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    throttle: Option<u64>,
    /// Start all moves at once and do not wait for them.
    #[arg(long, conflicts_with = "at_once")]
    no_wait: bool,
}

#[derive(Debug, Args)]
#[command(after_help = REASSIGN_EXAMPLES)]
pub(crate) struct ReassignArgs {
    /// New replicas, the preferred leader first.
    #[arg(value_name = "TOPIC-PARTITION=IDS", value_parser = parse_target, required_unless_present = "from_file")]
    targets: Vec<(TopicPartition, Vec<i32>)>,
    /// A file as Kafka's kafka-reassign-partitions takes it: {"partitions":[{"topic":"t","partition":0,"replicas":[1,2]}]}.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    #[command(flatten)]
    moves: MoveArgs,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = REBALANCE_EXAMPLES)]
pub(crate) struct RebalanceArgs {
    /// Only these topics; all, internal ones too, by default.
    topics: Vec<String>,
    /// Brokers to spread over; all that are up by default.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    brokers: Vec<i32>,
    #[command(flatten)]
    moves: MoveArgs,
    #[command(flatten)]
    client: ClientArgs,
}

fn parse_target(text: &str) -> Result<(TopicPartition, Vec<i32>), String> {
    let (id, replicas) = text.split_once('=').ok_or("expected TOPIC-PARTITION=IDS such as orders-0=1,2,3")?;
    let replicas: Option<Vec<i32>> = replicas.split(',').map(|id| id.trim().parse().ok()).collect();
    Ok((id.parse()?, replicas.ok_or_else(|| format!("{text:?}: expected broker ids such as 1,2,3"))?))
}

/// Kafka's file of reassignments, as far as it matters.
#[derive(Debug, Deserialize)]
struct ReassignmentFile {
    partitions: Vec<ReassignmentEntry>,
}

#[derive(Debug, Deserialize)]
struct ReassignmentEntry {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
}

fn read_file(path: &Path) -> Result<Vec<(TopicPartition, Vec<i32>)>, Failure> {
    let shown = path.display();
    let content = Fs::Real.read(path).map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let file: ReassignmentFile =
        serde_json::from_slice(&content).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    Ok(file.partitions.into_iter().map(|one| (TopicPartition::new(&one.topic, one.partition), one.replicas)).collect())
}

pub(crate) async fn run(args: ReassignArgs) -> Result<(), Failure> {
    let mut targets: BTreeMap<TopicPartition, Vec<i32>> = args.targets.into_iter().collect();
    if let Some(path) = &args.from_file {
        targets.extend(read_file(path)?);
    }
    let mut client = args.client.connect().await?;
    let names: BTreeSet<String> = targets.keys().map(|id| id.topic.clone()).collect();
    let now = partitions_of(&mut client, &Vec::from_iter(names)).await?;
    if let Some(unknown) = targets.keys().find(|id| now.iter().all(|one| one.id != **id)) {
        return Err(Failure::usage(format!("there is no partition {unknown}")));
    }
    args.moves.run(&mut client, Moves::new(targets, &now), &args.client).await
}

async fn partitions_of(client: &mut ClusterClient, topics: &[String]) -> Result<Vec<Partition>, Failure> {
    Ok(client.topics(topics).await?.into_iter().flat_map(|topic| topic.partitions).collect())
}

pub(crate) async fn run_rebalance(args: RebalanceArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let cluster = client.describe_cluster().await?;
    let up: BTreeSet<i32> = cluster.brokers.iter().filter(|broker| !broker.fenced).map(|broker| broker.id).collect();
    let targets: BTreeSet<i32> =
        if args.brokers.is_empty() { up.clone() } else { args.brokers.iter().copied().collect() };
    if let Some(down) = targets.difference(&up).next() {
        return Err(Failure::usage(format!("broker {down} is not up"))
            .hint("`highwater broker list` shows which are; `--brokers` names those to spread over"));
    }
    let partitions = partitions_of(&mut client, &args.topics).await?;
    let mut spread = Spread::new(&cluster.brokers, &targets, &partitions);
    let moves = Moves::new(even_out(&mut spread, &partitions), &partitions);
    let moved = moves.ids();
    let elect = args.moves.waits() && !moved.is_empty();
    args.moves.run(&mut client, moves, &args.client).await?;
    if elect {
        let outcomes = client.elect_leaders(ElectionType::Preferred, Some(&moved)).await?;
        return Failure::all(outcomes.into_values().filter_map(Result::err).collect()).map_or(Ok(()), Err);
    }
    Ok(())
}

impl MoveArgs {
    /// Whether moves are complete when [`MoveArgs::run`] returns.
    pub(crate) fn waits(&self) -> bool {
        !self.dry_run && !self.no_wait
    }

    /// Carries the moves out unless only asked to show them, and reports them.
    pub(crate) async fn run(&self, client: &mut ClusterClient, moves: Moves, args: &ClientArgs) -> Result<(), Failure> {
        self.perform(client, &moves).await?;
        args.print(|| self.json(&moves), || self.text(&moves))
    }

    /// Carries the moves out unless only asked to show them.
    pub(crate) async fn perform(&self, client: &mut ClusterClient, moves: &Moves) -> Result<(), Failure> {
        let moves = moves.clone().throttled_at(self.throttle);
        match (self.dry_run || moves.is_empty(), self.no_wait) {
            (true, _) => Ok(()),
            (false, true) => moves.start(client).await,
            (false, false) => moves.carry_out(client, usize::from(self.at_once)).await,
        }
    }

    fn state(&self) -> &'static str {
        match (self.dry_run, self.no_wait) {
            (true, _) => "planned",
            (false, true) => "started",
            (false, false) => "completed",
        }
    }

    /// The moves and what became of them.
    pub(crate) fn json(&self, moves: &Moves) -> Value {
        json!({"state": self.state(), "moves": moves.json()})
    }

    /// The moves and what became of them.
    pub(crate) fn text(&self, moves: &Moves) -> String {
        match moves.is_empty() {
            true => "nothing to move".to_owned(),
            false => format!("{}\n\n{}: {}", moves.text(), self.state(), count(moves.len(), "partition")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_a_partition_and_its_brokers() {
        let parsed = parse_target("my-topic-0=3,1,2");
        assert_eq!(parsed, Ok((TopicPartition::new("my-topic", 0), vec![3, 1, 2])));
        for wrong in ["t-0", "t=1", "t-0=", "t-0=1,x"] {
            assert!(parse_target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn kafkas_file_is_read() {
        let text =
            r#"{"version":1,"partitions":[{"topic":"t","partition":1,"replicas":[1,2],"log_dirs":["any","any"]}]}"#;
        let file: ReassignmentFile = serde_json::from_str(text).unwrap();
        assert_eq!((file.partitions[0].topic.as_str(), file.partitions[0].replicas.as_slice()), ("t", &[1, 2][..]));
    }
}
