//! `highwater topic delete-records`.

use std::collections::BTreeMap;

use clap::Args;
use highwater_env::clock;
use serde_json::json;

use crate::cli::client::{ClusterClient, LATEST, Partition, TopicPartition};
use crate::cli::output::{Column, table};
use crate::cli::time::parse_time;
use crate::cli::{ClientArgs, Failure};

/// DeleteRecords' word for "all that is committed".
const HIGH_WATERMARK: i64 = -1;

const EXAMPLES: &str = "\
Examples:
  highwater topic delete-records orders --partition 0 --before-offset 1000
  highwater topic delete-records orders --before-time '7d ago'
  highwater topic delete-records scratch --all

What is deleted cannot be had back. Offsets of the remaining records stay the same.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteRecordsArgs {
    /// Name of the topic.
    name: String,
    /// Only in this partition. May be repeated.
    #[arg(long, short = 'p')]
    partition: Vec<i32>,
    #[command(flatten)]
    before: Before,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Before {
    /// Delete the records below this offset.
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    before_offset: Option<i64>,
    /// Delete the records before the first one of this time or later.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    before_time: Option<String>,
    /// Delete all records that are committed now.
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(args: DeleteRecordsArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let partitions = client.topic(&args.name).await?.select(&args.partition)?;
    let before = args.before.offsets(&mut client, &partitions).await?;
    let (mut first, mut refused) = (Vec::new(), Vec::new());
    for (id, outcome) in client.delete_records(&partitions, &before).await? {
        match outcome {
            Ok(offset) => first.push((id.partition, offset)),
            Err(failure) => refused.push(failure),
        }
    }
    if !first.is_empty() {
        let json = |(partition, offset): &(i32, i64)| json!({"partition": partition, "first": offset});
        args.client.print(
            || json!({"name": args.name, "partitions": first.iter().map(json).collect::<Vec<_>>()}),
            || {
                let columns = [Column::Number("PARTITION"), Column::Number("FIRST OFFSET NOW")];
                table(&columns, first.iter().map(|(partition, offset)| vec![partition.to_string(), offset.to_string()]))
            },
        )?;
    }
    Failure::all(refused).map_or(Ok(()), Err)
}

impl Before {
    async fn offsets(
        &self,
        client: &mut ClusterClient,
        partitions: &[Partition],
    ) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
        let same = |offset: i64| partitions.iter().map(|one| (one.id.clone(), offset)).collect();
        if let Some(offset) = self.before_offset {
            return Ok(same(offset));
        }
        let Some(text) = &self.before_time else { return Ok(same(HIGH_WATERMARK)) };
        let time = parse_time(text, clock::wall_ms().0).map_err(Failure::usage)?;
        // Partitions whose records are all older lose all of them.
        let mut found = client.offsets_at(partitions, LATEST).await?;
        found.extend(client.offsets_at(partitions, time).await?);
        Ok(found.into_iter().map(|(id, found)| (id, found.offset)).collect())
    }
}
