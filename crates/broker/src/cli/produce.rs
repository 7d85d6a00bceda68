//! `highwater produce`: an idempotent producer with acks=all.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use highwater_env::clock;
use highwater_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use highwater_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProducerId as WireProducerId};
use highwater_records::{BatchBuilder, Compression};
use highwater_types::{ErrorCode, ProducerEpoch, ProducerId, Sequence};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::time::{Instant, timeout_at};

use super::cluster_client::{ATTEMPTS, ClusterClient, RETRY_PAUSE, is_retriable, topic_name};
use super::partitioner::partition_for_key;
use super::{ClientArgs, Failure};

/// Lines that arrive within this time of the first are sent together.
const LINGER: Duration = Duration::from_millis(5);
/// Bytes after which a batch is sent without lingering further.
const BATCH_BYTES: usize = 256 * 1024;
/// acks=all.
const ACKS_ALL: i16 = -1;
/// How long the broker may wait for the replicas.
const REPLICATION_TIMEOUT_MS: i32 = 30_000;

#[derive(Debug, Args)]
pub(super) struct ProduceArgs {
    /// Topic to send to. It must exist.
    topic: String,
    /// Text between key and value of a line; without it, lines are values and keys are null.
    #[arg(long, short = 'k', value_name = "SEPARATOR")]
    key_separator: Option<String>,
    /// Send to this partition only.
    #[arg(long, short = 'p')]
    partition: Option<i32>,
    /// Codec of the batches: none, gzip, snappy, lz4 or zstd.
    #[arg(long, short = 'z', default_value = "none", value_parser = parse_codec)]
    compression: Compression,
    #[command(flatten)]
    client: ClientArgs,
}

fn parse_codec(name: &str) -> Result<Compression, String> {
    Compression::from_name(name).ok_or_else(|| "none, gzip, snappy, lz4 or zstd".to_owned())
}

/// One line, divided.
struct Line {
    key: Option<Vec<u8>>,
    value: Vec<u8>,
}

pub(super) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let mut producer = Producer::start(&args).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut sent = 0_u64;
    loop {
        let batch = next_lines(&mut lines, args.key_separator.as_deref()).await?;
        if batch.is_empty() {
            break;
        }
        sent += batch.len() as u64;
        producer.send(batch).await?;
    }
    if args.client.json {
        super::output::print_json(&serde_json::json!({"topic": args.topic, "records": sent}))
    } else {
        eprintln!("sent {sent} records to {}", args.topic);
        Ok(())
    }
}

/// The next lines to send together; none at the end of the input.
async fn next_lines(lines: &mut Lines<BufReader<Stdin>>, separator: Option<&str>) -> Result<Vec<Line>, Failure> {
    let mut batch = Vec::new();
    let Some(first) = lines.next_line().await? else { return Ok(batch) };
    let mut bytes = first.len();
    batch.push(divide(first, separator)?);
    let deadline = Instant::now() + LINGER;
    while bytes < BATCH_BYTES {
        match timeout_at(deadline, lines.next_line()).await {
            Ok(line) => match line? {
                Some(line) => {
                    bytes += line.len();
                    batch.push(divide(line, separator)?);
                }
                None => break,
            },
            Err(_) => break,
        }
    }
    Ok(batch)
}

fn divide(line: String, separator: Option<&str>) -> Result<Line, Failure> {
    match separator {
        None => Ok(Line { key: None, value: line.into_bytes() }),
        Some(separator) => match line.split_once(separator) {
            Some((key, value)) => Ok(Line { key: Some(key.into()), value: value.into() }),
            None => Err(Failure::usage(format!("no key separator {separator:?} in the line {line:?}"))),
        },
    }
}

struct Producer {
    client: ClusterClient,
    topic: String,
    compression: Compression,
    only_partition: Option<i32>,
    id: ProducerId,
    epoch: ProducerEpoch,
    /// Leader by partition.
    leaders: BTreeMap<i32, i32>,
    sequences: BTreeMap<i32, Sequence>,
    /// Where the next batch of records without keys goes.
    sticky: i32,
}

impl Producer {
    async fn start(args: &ProduceArgs) -> Result<Self, Failure> {
        let mut client = args.client.connect().await?;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id(WireProducerId(-1))
            .with_producer_epoch(-1);
        let mut response = client.call(&request, 0..=4).await?;
        for _ in 1..ATTEMPTS {
            if !is_retriable(response.error_code) {
                break;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
            response = client.call(&request, 0..=4).await?;
        }
        if response.error_code != 0 {
            return Err(Failure::refused("producer id", response.error_code, None));
        }
        let mut producer = Self {
            client,
            topic: args.topic.clone(),
            compression: args.compression,
            only_partition: args.partition,
            id: ProducerId(response.producer_id.0),
            epoch: ProducerEpoch(response.producer_epoch),
            leaders: BTreeMap::new(),
            sequences: BTreeMap::new(),
            sticky: 0,
        };
        producer.learn_leaders().await?;
        if let Some(partition) = args.partition
            && !producer.leaders.contains_key(&partition)
        {
            let count = producer.leaders.len();
            return Err(Failure::usage(format!("topic {} has {count} partitions, none is {partition}", args.topic)));
        }
        Ok(producer)
    }

    async fn learn_leaders(&mut self) -> Result<(), Failure> {
        let topic = self.client.topic(&self.topic).await?;
        self.leaders = topic.partitions.iter().map(|one| (one.partition_index, one.leader_id.0)).collect();
        match self.leaders.is_empty() {
            true => Err(Failure::new(format!("topic {} has no partitions", self.topic))),
            false => Ok(()),
        }
    }

    async fn send(&mut self, lines: Vec<Line>) -> Result<(), Failure> {
        let partitions = self.leaders.len() as i32;
        self.sticky = (self.sticky + 1) % partitions;
        let mut builders: BTreeMap<i32, BatchBuilder> = BTreeMap::new();
        let now = clock::wall_ms();
        for line in lines {
            let chosen = match (&line.key, self.only_partition) {
                (_, Some(partition)) => partition,
                (Some(key), None) => partition_for_key(key, partitions),
                (None, None) => self.sticky,
            };
            let builder = builders.entry(chosen).or_insert_with(|| {
                let sequence = self.sequences.get(&chosen).copied().unwrap_or(Sequence(0));
                BatchBuilder::new(self.compression).producer(self.id, self.epoch, sequence)
            });
            builder.append(now, line.key.as_deref(), Some(&line.value), &[]);
        }
        for (partition, builder) in builders {
            let count = builder.record_count();
            self.deliver(partition, builder.build()).await?;
            let sequence = self.sequences.entry(partition).or_insert(Sequence(0));
            *sequence = sequence.plus(count);
        }
        Ok(())
    }

    /// Sends one batch until the cluster has it. Trying again is safe: the sequence number stays the same.
    async fn deliver(&mut self, partition: i32, batch: Bytes) -> Result<(), Failure> {
        let what = format!("topic {} partition {partition}", self.topic);
        for attempt in 1.. {
            let failure = match self.try_deliver(partition, batch.clone()).await {
                Ok((0, _)) => return Ok(()),
                Ok((code, _)) if code == ErrorCode::DuplicateSequenceNumber as i16 => return Ok(()),
                Ok((code, message)) if !is_retriable(code) => {
                    return Err(Failure::refused(&what, code, message.as_deref()));
                }
                Ok((code, message)) => Failure::refused(&what, code, message.as_deref()),
                Err(failure) => failure,
            };
            if attempt >= ATTEMPTS {
                return Err(failure);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
            // The leader may be another one now; if nobody can say, the old one is asked again.
            let _ = self.learn_leaders().await;
        }
        unreachable!("the loop ends by returning")
    }

    /// The partition's error code and message.
    async fn try_deliver(&mut self, partition: i32, batch: Bytes) -> Result<(i16, Option<String>), Failure> {
        let leader = self.leaders.get(&partition).copied().unwrap_or(-1);
        if leader < 0 {
            return Ok((ErrorCode::LeaderNotAvailable as i16, None));
        }
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        let topic = TopicProduceData::default().with_name(topic_name(&self.topic)).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(ACKS_ALL)
            .with_timeout_ms(REPLICATION_TIMEOUT_MS)
            .with_topic_data(vec![topic]);
        let response = self.client.call_broker(leader, &request, 8..=12).await?;
        let answer =
            response.responses.into_iter().next().and_then(|topic| topic.partition_responses.into_iter().next());
        let answer = answer.ok_or_else(|| Failure::new("the broker says nothing of the partition"))?;
        let of_record = answer.record_errors.into_iter().find_map(|error| error.batch_index_error_message);
        let message = of_record.or(answer.error_message).map(|message| message.to_string());
        Ok((answer.error_code, message))
    }
}
