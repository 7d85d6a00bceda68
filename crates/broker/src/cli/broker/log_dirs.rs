//! `highwater broker log-dirs`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::{LogDir, TopicPartition};
use crate::cli::output::{Column, Mood, Row, bytes, or_dash, table};
use crate::cli::{ClientArgs, Failure};

/// Free share of a volume below which its row calls for attention.
const LOW_SHARE: f64 = 0.15;

const EXAMPLES: &str = "\
Examples:
  highwater broker log-dirs                 # of all brokers that are up
  highwater broker log-dirs 2 --replicas    # what lies in them, the largest first
  highwater broker log-dirs --json | jq '.[] | {broker, usable_bytes}'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogDirsArgs {
    /// Ids of brokers; all that are up by default.
    brokers: Vec<i32>,
    /// Show the replicas too, the largest first.
    #[arg(long)]
    replicas: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: LogDirsArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let up = client.live_brokers().await?;
    let brokers = if args.brokers.is_empty() { up } else { args.brokers };
    let mut dirs = Vec::new();
    for broker in brokers {
        dirs.extend(client.log_dirs(broker).await?);
    }
    args.client.print(
        || dirs.iter().map(dir_json).collect(),
        || match args.replicas {
            true => format!("{}\n\n{}", dirs_table(&dirs), replicas_table(&dirs)),
            false => dirs_table(&dirs),
        },
    )
}

pub(crate) fn dirs_table(dirs: &[LogDir]) -> String {
    let columns = [
        Column::Number("BROKER"),
        Column::Text("DIRECTORY"),
        Column::Text("STATE"),
        Column::Number("REPLICAS"),
        Column::Number("SIZE"),
        Column::Number("FREE"),
        Column::Number("VOLUME"),
    ];
    let size = |known: Option<i64>| or_dash(known.map(|size| bytes(size as f64)));
    let row = |dir: &LogDir| {
        let cells = vec![
            dir.broker.to_string(),
            dir.path.clone(),
            dir.error.unwrap_or("online").to_owned(),
            dir.replicas.len().to_string(),
            bytes(dir.size_bytes() as f64),
            size(dir.usable_bytes),
            size(dir.total_bytes),
        ];
        let low = free_share(dir).is_some_and(|share| share < LOW_SHARE);
        let mood = match (dir.error, low) {
            (Some(_), _) => Mood::Alarm,
            (None, true) => Mood::Attention,
            (None, false) => Mood::Fine,
        };
        Row::new(cells, mood)
    };
    table(&columns, dirs.iter().map(row))
}

/// Which part of the volume is free.
pub(crate) fn free_share(dir: &LogDir) -> Option<f64> {
    let total = dir.total_bytes.filter(|total| *total > 0)?;
    Some(dir.usable_bytes? as f64 / total as f64)
}

fn replicas_table(dirs: &[LogDir]) -> String {
    let columns = [
        Column::Number("BROKER"),
        Column::Text("TOPIC"),
        Column::Number("PARTITION"),
        Column::Number("SIZE"),
        Column::Number("LAG"),
        Column::Text("DIRECTORY"),
    ];
    let mut replicas: Vec<_> =
        dirs.iter().flat_map(|dir| in_directory(dir).map(move |replica| (dir, replica))).collect();
    replicas.sort_by_key(|(dir, ((id, size, _), is_copy))| (-*size, id.clone(), dir.broker, *is_copy));
    let row = |(dir, ((id, size, lag), is_copy)): &(&LogDir, (&Replica, bool))| {
        let (partition, size) = (id.partition.to_string(), bytes(*size as f64));
        let path = if *is_copy { format!("{} (on its way)", dir.path) } else { dir.path.clone() };
        vec![dir.broker.to_string(), id.topic.clone(), partition, size, lag.to_string(), path]
    };
    table(&columns, replicas.iter().map(row))
}

/// Size in bytes, and how many records are missing.
type Replica = (TopicPartition, i64, i64);

/// The replicas of a directory, then the copies on their way there.
fn in_directory(dir: &LogDir) -> impl Iterator<Item = (&Replica, bool)> {
    let futures = dir.futures.iter().map(|replica| (replica, true));
    dir.replicas.iter().map(|replica| (replica, false)).chain(futures)
}

pub(crate) fn dir_json(dir: &LogDir) -> Value {
    let replica = |(id, size, lag): &Replica| json!({"topic": id.topic, "partition": id.partition, "size_bytes": size, "lag": lag});
    json!({
        "broker": dir.broker,
        "directory": dir.path,
        "error": dir.error,
        "size_bytes": dir.size_bytes(),
        "usable_bytes": dir.usable_bytes,
        "total_bytes": dir.total_bytes,
        "replicas": dir.replicas.iter().map(replica).collect::<Vec<_>>(),
        "on_their_way": dir.futures.iter().map(replica).collect::<Vec<_>>(),
    })
}
