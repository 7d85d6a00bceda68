//! `highwater produce`: an idempotent producer with acks=all, unless told otherwise.

mod input;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, ValueEnum};
use highwater_env::clock;
use highwater_records::{BatchBuilder, Compression, Header};
use highwater_types::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use input::{Input, LineFormat};

use super::client::{Acks, Producer, partition_for_key};
use super::json_record::{InputRecord, OwnedHeader};
use super::output::count;
use super::time::parse_time;
use super::{ClientArgs, Failure};

/// Bytes after which a batch is sent without lingering further.
const BATCH_BYTES: usize = 256 * 1024;

const EXAMPLES: &str = "\
Examples:
  echo 'hello' | highwater produce greetings
  tail -F access.log | highwater produce clicks --compression zstd
  printf 'k1:one\\nk2:two\\n' | highwater produce users --key-separator : --header source=import
  highwater consume orders --from-beginning -e --json | highwater produce orders-copy --json-lines
  seq 100000 | highwater produce numbers --rate 500
  printf 'k1:\\n' | highwater produce users --key-separator : --null-value ''         # a tombstone

Each line is a record. Records with a key go where Kafka's own clients put that key. Lines that arrive within 5 ms are sent
together; with acks=all, trying again never writes a record twice.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProduceArgs {
    /// Topic to send to. It must exist.
    topic: String,
    /// Text between key and value of a line; without it, lines are values and keys are null.
    #[arg(long, short = 'k', value_name = "SEPARATOR")]
    key_separator: Option<String>,
    /// Lines are JSON objects as `consume --json` prints them: key, value, headers, timestamp, partition.
    #[arg(long, short = 'J', conflicts_with_all = ["key_separator", "null_value"])]
    json_lines: bool,
    /// A value that means null, a tombstone in a compacted topic.
    #[arg(long, value_name = "TEXT")]
    null_value: Option<String>,
    /// A header for every record. May be repeated.
    #[arg(long, short = 'H', value_name = "KEY=VALUE", value_parser = parse_header)]
    header: Vec<OwnedHeader>,
    /// Timestamp of the records: 2026-11-21T06:00:00Z, milliseconds since 1970, or '2h ago'; now by default.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timestamp: Option<String>,
    /// Send to this partition only.
    #[arg(long, short = 'p')]
    partition: Option<i32>,
    /// Which replicas must have a record before it counts as sent.
    #[arg(long, value_enum, default_value = "all")]
    acks: AcksArg,
    /// Codec of the batches: none, gzip, snappy, lz4 or zstd.
    #[arg(long, short = 'z', default_value = "none", value_parser = parse_codec)]
    compression: Compression,
    /// Send at most so many records a second.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    #[command(flatten)]
    client: ClientArgs,
}

/// `acks`, as Kafka writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AcksArg {
    /// All in-sync replicas; retries never write a record twice.
    All,
    /// The leader alone; a retry can write a record twice.
    #[value(name = "1")]
    One,
    /// None: nothing is known of what becomes of a record.
    #[value(name = "0")]
    None,
}

impl AcksArg {
    pub(crate) fn acks(self) -> Acks {
        match self {
            Self::All => Acks::All,
            Self::One => Acks::Leader,
            Self::None => Acks::None,
        }
    }
}

pub(crate) fn parse_codec(name: &str) -> Result<Compression, String> {
    Compression::from_name(name).ok_or_else(|| "none, gzip, snappy, lz4 or zstd".to_owned())
}

fn parse_header(text: &str) -> Result<OwnedHeader, String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value")?;
    Ok((key.to_owned(), Some(value.as_bytes().to_vec())))
}

/// When the next record may go.
pub(crate) struct Pace {
    start: Instant,
    per_second: Option<u64>,
}

impl Pace {
    pub(crate) fn new(per_second: Option<u64>) -> Self {
        Self { start: Instant::now(), per_second }
    }

    /// When record number `index`, counted from 0, is due.
    pub(crate) fn due(&self, index: u64) -> Instant {
        match self.per_second {
            None => self.start,
            Some(rate) => self.start + Duration::from_secs_f64(index as f64 / rate as f64),
        }
    }
}

pub(crate) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let timestamp = args.timestamp.as_deref().map(|text| parse_time(text, clock::wall_ms().0));
    let timestamp = timestamp.transpose().map_err(Failure::usage)?;
    let format = match args.json_lines {
        true => LineFormat::Json,
        false => LineFormat::Text { separator: args.key_separator.clone(), null_value: args.null_value.clone() },
    };
    let client = args.client.connect().await?;
    let producer = Producer::start(client, &args.topic, args.acks.acks(), args.compression).await?;
    let partitions = producer.partitions();
    let sender = Sender { producer, args: &args, timestamp, partitions, sticky: 0 };
    if let Some(partition) = args.partition {
        sender.check_partition(partition)?;
    }
    let mut input = Input::new(format, Pace::new(args.rate));
    let sent = sender.send_all(&mut input).await?;
    if args.client.json {
        super::output::print_json(&json!({"topic": args.topic, "records": sent}))
    } else {
        eprintln!("sent {} to {}", count(sent, "record"), args.topic);
        Ok(())
    }
}

struct Sender<'a> {
    producer: Producer,
    args: &'a ProduceArgs,
    timestamp: Option<i64>,
    partitions: i32,
    /// Where the next records without keys go.
    sticky: i32,
}

impl Sender<'_> {
    fn check_partition(&self, partition: i32) -> Result<(), Failure> {
        if (0..self.partitions).contains(&partition) {
            return Ok(());
        }
        let (topic, partitions) = (&self.args.topic, self.partitions);
        Err(Failure::usage(format!("topic {topic} has {partitions} partitions, none is {partition}")))
    }

    async fn send_all(mut self, input: &mut Input) -> Result<u64, Failure> {
        let mut sent = 0_u64;
        loop {
            let records = input.next_records(BATCH_BYTES).await?;
            if records.is_empty() {
                return Ok(sent);
            }
            let count = records.len() as u64;
            // What went before is stored, whatever becomes of this.
            self.send(records).await.map_err(|failure| failure.context(&format!("after {sent} records")))?;
            sent += count;
        }
    }

    async fn send(&mut self, records: Vec<InputRecord>) -> Result<(), Failure> {
        self.sticky = (self.sticky + 1) % self.partitions;
        let mut by_partition: BTreeMap<i32, Vec<InputRecord>> = BTreeMap::new();
        for record in records {
            let chosen = match (self.args.partition.or(record.partition), &record.key) {
                (Some(partition), _) => partition,
                (None, Some(key)) => partition_for_key(key, self.partitions),
                (None, None) => self.sticky,
            };
            self.check_partition(chosen)?;
            by_partition.entry(chosen).or_default().push(record);
        }
        for (partition, records) in by_partition {
            let mut batch = self.producer.batch(partition);
            for record in &records {
                if batch.record_count() > 0 && batch.uncompressed_size_in_bytes() + record.size() > BATCH_BYTES {
                    self.producer.send(partition, batch).await?;
                    batch = self.producer.batch(partition);
                }
                self.append(&mut batch, record);
            }
            self.producer.send(partition, batch).await?;
        }
        Ok(())
    }

    fn append(&self, batch: &mut BatchBuilder, record: &InputRecord) {
        let timestamp = self.timestamp.or(record.timestamp).map_or_else(clock::wall_ms, Timestamp);
        let headers: Vec<Header<'_>> = record
            .headers
            .iter()
            .chain(&self.args.header)
            .map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() })
            .collect();
        batch.append(timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
    }
}
