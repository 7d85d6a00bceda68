//! `highwater bench produce`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use highwater_env::{clock, rng};
use highwater_records::Compression;
use rand::RngCore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::figures::Figures;
use crate::cli::client::Producer;
use crate::cli::produce::{AcksArg, Pace, parse_codec};
use crate::cli::progress::Progress;
use crate::cli::size::parse_bytes;
use crate::cli::{ClientArgs, Failure};

/// At a given rate, how long a record waits for others to go along with: Kafka's `linger.ms`.
const LINGER: Duration = Duration::from_millis(5);
/// Pause between two steps of the progress bar.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  highwater topic create bench --partitions 8 --replication-factor 3
  highwater bench produce bench --records 1000000 --record-bytes 1KiB
  highwater bench produce bench --records 200000 --rate 20000 --connections 8
  highwater bench produce bench --records 1000 --batch-bytes 1 --connections 1      # one record in flight
  highwater bench produce bench --records 1000000 --acks 1 --compression lz4 --json

Each connection has one request in flight. Latency is that of the whole request; with --rate it counts from the time at
which a record was due, so that a cluster that cannot follow shows it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProduceArgs {
    /// Topic to send to. It must exist.
    topic: String,
    /// How many records.
    #[arg(long, short = 'n', default_value = "100000", value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Bytes of a record's value.
    #[arg(long, default_value = "1KiB", value_name = "BYTES", value_parser = parse_bytes)]
    record_bytes: u64,
    /// Bytes of a batch, about; one record at least.
    #[arg(long, default_value = "64KiB", value_name = "BYTES", value_parser = parse_bytes)]
    batch_bytes: u64,
    /// Connections, each a producer of its own.
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u64).range(1..=256))]
    connections: u64,
    /// Records a second, of all connections together; as fast as it goes by default.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Which replicas must have a record before it is acknowledged.
    #[arg(long, value_enum, default_value = "all")]
    acks: AcksArg,
    /// Codec: none, gzip, snappy, lz4 or zstd. The values are random hexadecimal digits, which compress to about half.
    #[arg(long, short = 'z', default_value = "none", value_parser = parse_codec)]
    compression: Compression,
    #[command(flatten)]
    client: ClientArgs,
}

/// What each worker needs to know.
#[derive(Clone)]
struct Work {
    records_per_batch: u64,
    rate: Option<u64>,
    connections: u64,
    value: Arc<Vec<u8>>,
    sent: Arc<AtomicU64>,
}

pub(crate) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    client.topic(&args.topic).await?;
    let record_bytes = usize::try_from(args.record_bytes).unwrap_or(usize::MAX);
    let work = Work {
        records_per_batch: (args.batch_bytes / args.record_bytes.max(1)).max(1),
        rate: args.rate,
        connections: args.connections,
        value: Arc::new(digits(record_bytes)),
        sent: Arc::new(AtomicU64::new(0)),
    };
    let mut producers = Vec::new();
    for _ in 0..args.connections {
        let client = client.another().await?;
        producers.push(Producer::start(client, &args.topic, args.acks.acks(), args.compression).await?);
    }
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for (index, producer) in (0_u64..).zip(producers) {
        let share = args.records / args.connections + u64::from(index < args.records % args.connections);
        workers.spawn(send(producer, index, share, work.clone()));
    }
    let figures = collect(workers, args.records, &work.sent).await?;
    let elapsed = start.elapsed();
    args.client.print(|| figures.json(elapsed), || figures.text(elapsed, "latency"))
}

fn digits(length: usize) -> Vec<u8> {
    let mut value = vec![0; length];
    rng::get().fill_bytes(&mut value);
    value.iter_mut().for_each(|byte| *byte = b"0123456789abcdef"[usize::from(*byte & 15)]);
    value
}

/// Sums what the workers measured, and shows how far they are.
pub(crate) async fn collect(
    mut workers: JoinSet<Result<Figures, Failure>>,
    total: u64,
    done: &AtomicU64,
) -> Result<Figures, Failure> {
    let progress = Progress::new(total, "records");
    let mut figures = Figures::new()?;
    while !workers.is_empty() {
        tokio::select! {
            Some(worker) = workers.join_next() => {
                let worker = worker.map_err(|error| Failure::new(error.to_string()))?;
                figures.add(&worker?)?;
            }
            () = tokio::time::sleep(PROGRESS_PAUSE) => {}
        }
        progress.done(done.load(Ordering::Relaxed));
    }
    Ok(figures)
}

/// Sends `records` in batches to one partition after the other.
async fn send(mut producer: Producer, worker: u64, records: u64, work: Work) -> Result<Figures, Failure> {
    let mut figures = Figures::new()?;
    let partitions = u64::try_from(producer.partitions()).unwrap_or(1).max(1);
    // Each worker has its share of the rate; together they are at the whole.
    let pace = Pace::new(work.rate);
    let due = |index: u64| pace.due(index * work.connections + worker);
    let mut turn = worker;
    while figures.records < records {
        let first = figures.records;
        let mut count = work.records_per_batch.min(records - first);
        let partition = i32::try_from(turn % partitions).unwrap_or(0);
        turn += 1;
        if work.rate.is_some() {
            sleep_until(due(first) + LINGER).await;
            let now = Instant::now();
            count = (first + 1..first + count).take_while(|index| due(*index) <= now).count() as u64 + 1;
        }
        let begun = Instant::now();
        let mut batch = producer.batch(partition);
        for _ in 0..count {
            batch.append(clock::wall_ms(), None, Some(&work.value), &[]);
        }
        producer.send(partition, batch).await?;
        let end = Instant::now();
        match work.rate {
            None => figures.took(end - begun, count),
            Some(_) => {
                (first..first + count).for_each(|index| figures.took(end.saturating_duration_since(due(index)), 1))
            }
        }
        figures.records += count;
        figures.bytes += count * work.value.len() as u64;
        work.sent.fetch_add(count, Ordering::Relaxed);
    }
    Ok(figures)
}
