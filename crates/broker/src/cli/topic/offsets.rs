//! `highwater topic offsets`.

use std::collections::BTreeMap;

use clap::Args;
use highwater_env::clock;
use serde_json::{Value, json};

use crate::cli::client::{ClusterClient, EARLIEST, FoundOffset, LATEST, MAX_TIMESTAMP, Partition, TopicPartition};
use crate::cli::output::{Column, Mood, Row, or_dash, table};
use crate::cli::time::{format_time, parse_time};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater topic offsets orders
  highwater topic offsets orders --partition 0 --partition 3
  highwater topic offsets orders --at 2026-11-21T06:00:00Z
  highwater topic offsets orders --at '2h ago' --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct OffsetsArgs {
    /// Name of the topic.
    name: String,
    /// Only this partition. May be repeated.
    #[arg(long, short = 'p')]
    partition: Vec<i32>,
    /// Also the first offset at or after this time: 2026-11-21T06:00:00Z, milliseconds since 1970, or '2h ago'.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

type Found = BTreeMap<TopicPartition, FoundOffset>;

/// Offsets of one partition; `None` where there is no leader to say.
struct Line {
    partition: i32,
    first: Option<i64>,
    next: Option<i64>,
    newest_timestamp: Option<i64>,
    at: Option<i64>,
}

impl Line {
    /// At most: compaction and transactions leave gaps.
    fn records(&self) -> Option<i64> {
        Some(self.next? - self.first?)
    }
}

pub(crate) async fn run(args: OffsetsArgs) -> Result<(), Failure> {
    let at = args.at.as_deref().map(|text| parse_time(text, clock::wall_ms().0)).transpose().map_err(Failure::usage)?;
    let mut client = args.client.connect().await?;
    let partitions = client.topic(&args.name).await?.select(&args.partition)?;
    let lines = lines(&mut client, &partitions, at).await?;
    args.client.print(|| lines.iter().map(|line| line_json(line, at)).collect(), || text(&lines, at.is_some()))
}

async fn lines(client: &mut ClusterClient, partitions: &[Partition], at: Option<i64>) -> Result<Vec<Line>, Failure> {
    let first = client.offsets_at(partitions, EARLIEST).await?;
    let next = client.offsets_at(partitions, LATEST).await?;
    let newest = client.offsets_at(partitions, MAX_TIMESTAMP).await?;
    let by_time = match at {
        Some(time) => client.offsets_at(partitions, time).await?,
        None => Found::new(),
    };
    let offset = |found: &Found, id: &TopicPartition| found.get(id).map(|found| found.offset);
    let line = |partition: &Partition| Line {
        partition: partition.id.partition,
        first: offset(&first, &partition.id),
        next: offset(&next, &partition.id),
        newest_timestamp: newest.get(&partition.id).and_then(|found| found.timestamp),
        // No record is that young: reading from then on starts at the end.
        at: offset(&by_time, &partition.id).or_else(|| at.and_then(|_| offset(&next, &partition.id))),
    };
    Ok(partitions.iter().map(line).collect())
}

fn text(lines: &[Line], with_time: bool) -> String {
    let mut columns = vec![
        Column::Number("PARTITION"),
        Column::Number("FIRST"),
        Column::Number("NEXT"),
        Column::Number("RECORDS"),
        Column::Text("NEWEST TIMESTAMP"),
    ];
    if with_time {
        columns.insert(3, Column::Number("AT TIME"));
    }
    let row = |line: &Line| {
        let mut cells = vec![
            line.partition.to_string(),
            or_dash(line.first),
            or_dash(line.next),
            or_dash(line.records()),
            or_dash(line.newest_timestamp.map(format_time)),
        ];
        if with_time {
            cells.insert(3, or_dash(line.at));
        }
        Row::new(cells, if line.next.is_none() { Mood::Alarm } else { Mood::Fine })
    };
    table(&columns, lines.iter().map(row))
}

fn line_json(line: &Line, at: Option<i64>) -> Value {
    let mut json = json!({
        "partition": line.partition,
        "first": line.first,
        "next": line.next,
        "records_at_most": line.records(),
        "newest_timestamp": line.newest_timestamp,
    });
    if at.is_some() {
        json["at_time"] = line.at.into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::plain;

    #[test]
    fn a_partition_without_a_leader_has_dashes() {
        let lines = [
            Line { partition: 0, first: Some(5), next: Some(12), newest_timestamp: Some(0), at: Some(7) },
            Line { partition: 1, first: None, next: None, newest_timestamp: None, at: None },
        ];
        let expected = "\
PARTITION  FIRST  NEXT  AT TIME  RECORDS  NEWEST TIMESTAMP
        0      5    12        7        7  1970-01-01T00:00:00.000Z
        1      -     -        -        -  -";
        assert_eq!(plain(&text(&lines, true)), expected);
        let json = line_json(&lines[1], None);
        assert_eq!(
            json.to_string(),
            r#"{"first":null,"newest_timestamp":null,"next":null,"partition":1,"records_at_most":null}"#
        );
    }
}
