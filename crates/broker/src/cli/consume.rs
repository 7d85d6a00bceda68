//! `highwater consume`: reads partitions directly. With a group it starts at the group's committed offsets and commits, but
//! takes no part in rebalances: all partitions come to this process.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;
use highwater_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use highwater_protocol::messages::fetch_response::PartitionData;
use highwater_protocol::messages::{BrokerId, FetchRequest};
use highwater_records::{RecordView, split_batches};
use highwater_types::ErrorCode;
use serde_json::json;

use super::cluster_client::{ATTEMPTS, ClusterClient, RETRY_PAUSE, is_retriable, topic_name};
use super::group::{commit_offsets, committed_offsets};
use super::{ClientArgs, Failure};

/// How long a broker waits for new records before it answers that there are none.
const WAIT_MS: i32 = 250;
/// Most bytes per answer, and per partition in it.
const ANSWER_BYTES: i32 = 32 * 1024 * 1024;
const PARTITION_BYTES: i32 = 4 * 1024 * 1024;
/// Timestamps that ListOffsets takes for "first offset" and "high watermark".
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

#[derive(Debug, Args)]
pub(super) struct ConsumeArgs {
    /// Topic to read.
    topic: String,
    /// Where to start: beginning, end, or an offset. With --group: where partitions without a committed offset start.
    #[arg(long, short = 'f', default_value = "end", value_parser = parse_start)]
    from: Start,
    /// Short for --from beginning.
    #[arg(long, conflicts_with = "from")]
    from_beginning: bool,
    /// Read this partition only.
    #[arg(long, short = 'p')]
    partition: Option<i32>,
    /// Stop after this many records.
    #[arg(long = "max-messages", short = 'n', value_name = "COUNT")]
    count: Option<u64>,
    /// Stop at the end instead of waiting for more.
    #[arg(long, short = 'e')]
    exit: bool,
    /// Start at the offsets that this consumer group has committed, and commit what was printed.
    #[arg(long, short = 'g')]
    group: Option<String>,
    /// Print keys too, with this text between key and value.
    #[arg(long, short = 'k', value_name = "SEPARATOR")]
    key_separator: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Beginning,
    End,
    Offset(i64),
}

fn parse_start(text: &str) -> Result<Start, String> {
    match text {
        "beginning" => Ok(Start::Beginning),
        "end" => Ok(Start::End),
        offset => match offset.parse() {
            Ok(offset) if offset >= 0 => Ok(Start::Offset(offset)),
            _ => Err("beginning, end, or an offset".to_owned()),
        },
    }
}

/// One partition being read.
#[derive(Debug)]
struct Position {
    leader: i32,
    next_offset: i64,
    /// As of the last answer; nothing is known before the first.
    high_watermark: Option<i64>,
}

struct Consumer {
    args: ConsumeArgs,
    client: ClusterClient,
    positions: BTreeMap<i32, Position>,
    printed: u64,
    /// Rounds in a row in which something failed that may pass.
    failures: u32,
    /// The last round brought nothing: brokers may wait for new records before they answer.
    idle: bool,
}

pub(super) async fn run(args: ConsumeArgs) -> Result<(), Failure> {
    let mut consumer = Consumer::start(args).await?;
    while !consumer.is_done() {
        consumer.round().await?;
    }
    Ok(())
}

impl Consumer {
    async fn start(args: ConsumeArgs) -> Result<Self, Failure> {
        let mut client = args.client.connect().await?;
        let topic = client.topic(&args.topic).await?;
        let wanted = |index: &i32| args.partition.is_none_or(|partition| partition == *index);
        let leaders: BTreeMap<i32, i32> = topic
            .partitions
            .iter()
            .filter(|one| wanted(&one.partition_index))
            .map(|one| (one.partition_index, one.leader_id.0))
            .collect();
        if leaders.is_empty() {
            let (name, count) = (&args.topic, topic.partitions.len());
            return Err(Failure::usage(format!("topic {name} has {count} partitions, not the one asked for")));
        }
        let committed = match &args.group {
            Some(group) => committed_offsets(&mut client, group).await?,
            None => BTreeMap::new(),
        };
        let starts = match if args.from_beginning { Start::Beginning } else { args.from } {
            Start::Beginning => client.list_offsets(&args.topic, &leaders, EARLIEST).await?,
            Start::End => client.list_offsets(&args.topic, &leaders, LATEST).await?,
            Start::Offset(offset) => leaders.keys().map(|partition| (*partition, offset)).collect(),
        };
        let position = |(&partition, &leader): (&i32, &i32)| {
            let committed = committed.get(&(args.topic.clone(), partition)).copied();
            let next_offset = committed.or_else(|| starts.get(&partition).copied()).unwrap_or(0);
            (partition, Position { leader, next_offset, high_watermark: None })
        };
        let positions = leaders.iter().map(position).collect();
        Ok(Self { args, client, positions, printed: 0, failures: 0, idle: false })
    }

    fn is_done(&self) -> bool {
        let at_end = |position: &Position| position.high_watermark.is_some_and(|end| position.next_offset >= end);
        let enough = self.args.count.is_some_and(|count| self.printed >= count);
        enough || self.args.exit && self.positions.values().all(at_end)
    }

    /// Asks each leader once for its partitions.
    async fn round(&mut self) -> Result<(), Failure> {
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (&partition, position) in &self.positions {
            by_leader.entry(position.leader).or_default().push(partition);
        }
        let mut trouble = None;
        let before = self.printed;
        for (leader, partitions) in by_leader {
            if self.is_done() {
                break;
            }
            match self.fetch(leader, &partitions).await {
                Ok(answers) => {
                    for answer in answers {
                        trouble = self.take(answer)?.or(trouble);
                    }
                }
                Err(failure) => trouble = Some(failure),
            }
        }
        self.idle = self.printed == before;
        if !self.idle
            && let Some(group) = self.args.group.clone()
        {
            let offsets =
                self.positions.iter().map(|(partition, position)| (*partition, position.next_offset)).collect();
            commit_offsets(&mut self.client, &group, &self.args.topic, offsets).await?;
        }
        self.recover(trouble).await
    }

    async fn recover(&mut self, trouble: Option<Failure>) -> Result<(), Failure> {
        let Some(failure) = trouble else {
            self.failures = 0;
            return Ok(());
        };
        self.failures += 1;
        if self.failures >= ATTEMPTS {
            return Err(failure);
        }
        tokio::time::sleep(RETRY_PAUSE).await;
        if let Ok(topic) = self.client.topic(&self.args.topic).await {
            for partition in topic.partitions {
                if let Some(position) = self.positions.get_mut(&partition.partition_index) {
                    position.leader = partition.leader_id.0;
                }
            }
        }
        Ok(())
    }

    async fn fetch(&mut self, leader: i32, partitions: &[i32]) -> Result<Vec<PartitionData>, Failure> {
        let ask = |partition: &i32| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(self.positions[partition].next_offset)
                .with_last_fetched_epoch(-1)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(PARTITION_BYTES)
        };
        let topic = FetchTopic::default()
            .with_topic(topic_name(&self.args.topic))
            .with_partitions(partitions.iter().map(ask).collect());
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(if self.idle { WAIT_MS } else { 0 })
            .with_min_bytes(1)
            .with_max_bytes(ANSWER_BYTES)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let response = self.client.call_broker(leader, &request, 4..=12).await?;
        match response.error_code {
            0 => Ok(response.responses.into_iter().flat_map(|topic| topic.partitions).collect()),
            code => Err(Failure::refused(&format!("broker {leader}"), code, None)),
        }
    }

    /// Prints the records of one partition. Gives back an error that may pass.
    fn take(&mut self, answer: PartitionData) -> Result<Option<Failure>, Failure> {
        let what = format!("topic {} partition {}", self.args.topic, answer.partition_index);
        if answer.error_code != 0 {
            let failure = Failure::refused(&what, answer.error_code, None);
            let passes = is_retriable(answer.error_code) && answer.error_code != ErrorCode::OffsetOutOfRange as i16;
            return if passes { Ok(Some(failure)) } else { Err(failure) };
        }
        let Some(position) = self.positions.get_mut(&answer.partition_index) else { return Ok(None) };
        position.high_watermark = Some(answer.high_watermark);
        let remaining = self.args.count.map_or(u64::MAX, |count| count - self.printed);
        let mut output = Vec::new();
        let mut printed = 0;
        // Bytes that are no batch at the end are the start of one that did not fit.
        'batches: for batch in split_batches(&answer.records.unwrap_or_default()).map_while(Result::ok) {
            let records = batch.records().map_err(|error| Failure::new(format!("{what}: {error}")))?;
            for record in &records {
                let record = record.map_err(|error| Failure::new(format!("{what}: {error}")))?;
                if record.offset.0 < position.next_offset || batch.header().attributes.is_control() {
                    continue;
                }
                if printed == remaining {
                    break 'batches;
                }
                write_record(&mut output, &self.args, answer.partition_index, &record);
                position.next_offset = record.offset.0 + 1;
                printed += 1;
            }
            position.next_offset = position.next_offset.max(batch.header().last_offset().0 + 1);
        }
        self.printed += printed;
        match std::io::stdout().lock().write_all(&output) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            result => result.map(|()| None).map_err(Failure::from),
        }
    }
}

fn write_record(output: &mut Vec<u8>, args: &ConsumeArgs, partition: i32, record: &RecordView<'_>) {
    if args.client.json {
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let line = json!({
            "partition": partition,
            "offset": record.offset.0,
            "timestamp": record.timestamp.0,
            "key": text(record.key),
            "value": text(record.value),
        });
        output.extend_from_slice(line.to_string().as_bytes());
    } else {
        if let Some(separator) = &args.key_separator {
            output.extend_from_slice(record.key.unwrap_or_default());
            output.extend_from_slice(separator.as_bytes());
        }
        output.extend_from_slice(record.value.unwrap_or_default());
    }
    output.push(b'\n');
}
