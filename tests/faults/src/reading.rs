//! Consumers of the load's topic that write down what they read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use highwater_history::{Isolation, Key, Operation, Outcome, Poll, Process, Record, Recorder};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use crate::topic::{PARTITIONS, TOPIC, key};

/// Time for a fetch to get through once faults have ended.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause before a question is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Most records that one event of the history holds.
const AT_ONCE: usize = 500;

/// By partition, the next offset.
type Positions = BTreeMap<i32, i64>;

/// A consumer that reads all partitions while a fault happens.
pub struct Tail {
    stop: Arc<AtomicBool>,
    positions: Arc<Mutex<Positions>>,
    thread: JoinHandle<Result<()>>,
}

impl Tail {
    /// Starts to read, from the beginning.
    pub fn start(bootstrap: &str, history: &Recorder) -> Result<Self> {
        let mut reader = Reader::new(bootstrap, history.clone(), false)?;
        let (stop, positions) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Positions>>::default());
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&positions));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                reader.read(Duration::from_millis(100))?;
                shared.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&reader.positions);
            }
            Ok(())
        });
        Ok(Self { stop, positions, thread })
    }

    /// Waits until it has read what is there now; how long that took.
    pub fn catch_up(&self, bootstrap: &str, history: &Recorder) -> Result<Duration> {
        let started = Instant::now();
        let ends = Reader::new(bootstrap, history.clone(), false)?.ends()?;
        while !reached(&self.positions.lock().unwrap_or_else(PoisonError::into_inner), &ends) {
            ensure!(started.elapsed() < PATIENCE * 3, "the consumer does not reach {ends:?}");
            ensure!(!self.thread.is_finished(), "the consumer ended by itself");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(started.elapsed())
    }

    /// Ends it. An error that the application would have had to handle is one.
    pub fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the consumer panicked"))?
    }
}

/// The full read once all is over: every partition from its beginning to its end.
pub fn read_all(bootstrap: &str, history: &Recorder) -> Result<()> {
    let mut reader = Reader::new(bootstrap, history.clone(), true)?;
    let ends = reader.ends()?;
    let mut progressed = Instant::now();
    while !reached(&reader.positions, &ends) {
        if reader.read(Duration::from_millis(100))? > 0 {
            progressed = Instant::now();
        }
        ensure!(progressed.elapsed() < PATIENCE, "of {ends:?} only {:?} can be read", reader.positions);
    }
    Ok(())
}

fn reached(positions: &Positions, ends: &Positions) -> bool {
    ends.iter().all(|(partition, end)| *end == 0 || positions.get(partition).is_some_and(|position| position >= end))
}

struct Reader {
    consumer: BaseConsumer,
    history: Recorder,
    process: Process,
    positions: Positions,
    is_final: bool,
}

impl Reader {
    fn new(bootstrap: &str, history: Recorder, is_final: bool) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "faults")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .create()?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            assignment.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        let process = history.process();
        Ok(Self { consumer, history, process, positions: Positions::new(), is_final })
    }

    fn record(&self, outcome: Outcome, operation: Operation) {
        self.history.record(self.process, outcome, operation);
    }

    /// The end of each partition.
    fn ends(&self) -> Result<Positions> {
        let mut ends = Positions::new();
        for partition in 0..PARTITIONS {
            self.record(Outcome::Invoke, Operation::End { key: key(partition), offset: None });
            let end = self.end(partition).context("the end of a partition")?;
            self.record(Outcome::Ok, Operation::End { key: key(partition), offset: Some(end) });
            ends.insert(partition, end);
        }
        Ok(ends)
    }

    /// The end of one partition. Who asks while a leader is elected, as preferred leaders are soon after a fault, is told so; librdkafka
    /// leaves it to the application to ask again.
    fn end(&self, partition: i32) -> KafkaResult<i64> {
        let began = Instant::now();
        loop {
            match self.consumer.fetch_watermarks(TOPIC, partition, PATIENCE) {
                Err(error)
                    if matches!(
                        error.rdkafka_error_code(),
                        Some(RDKafkaErrorCode::OffsetNotAvailable | RDKafkaErrorCode::NotLeaderForPartition)
                    ) && began.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(RETRY_PAUSE);
                }
                ended => return ended.map(|(_, end)| end),
            }
        }
    }

    /// Reads what comes within that time; how many records.
    fn read(&mut self, within: Duration) -> Result<usize> {
        let mut records = Vec::new();
        let mut patience = within;
        while let Some(message) = self.consumer.poll(patience) {
            patience = Duration::ZERO;
            if let Some(record) = record(message)? {
                records.push(record);
            }
            if records.len() == AT_ONCE {
                break;
            }
        }
        let count = records.len();
        for Record { key: Key { partition, .. }, offset, .. } in &records {
            self.positions.insert(*partition, offset + 1);
        }
        if count > 0 || self.is_final {
            let poll =
                Poll { records, isolation: Isolation::ReadCommitted, transaction: None, is_final: self.is_final };
            self.record(Outcome::Ok, Operation::Poll(poll));
        }
        Ok(count)
    }
}

/// A record, or none for what librdkafka tells of connections and repairs by itself.
fn record(message: KafkaResult<BorrowedMessage<'_>>) -> Result<Option<Record>> {
    match message {
        Ok(message) => {
            let value = std::str::from_utf8(message.payload().unwrap_or_default())?.parse()?;
            Ok(Some(Record { key: key(message.partition()), offset: message.offset(), value }))
        }
        Err(error) => match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::LogTruncation) | None => {
                bail!("the consumer failed: {error}")
            }
            Some(_) => Ok(None),
        },
    }
}
