//! Loads: one librdkafka producer or consumer.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::latency::Latencies;
use crate::payload;

/// Pause of a sender that is ahead of the network, a few requests long.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);

/// How a producer sends.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    pub topic: &'a str,
    pub records: u64,
    pub record_bytes: usize,
    pub partitions: i32,
    /// Records a second, or none for as fast as it goes.
    pub rate: Option<u64>,
    /// Further librdkafka properties.
    pub properties: &'a [(&'a str, &'a str)],
}

/// What a run measured.
#[derive(Debug, Default)]
pub struct Measured {
    pub seconds: f64,
    pub bytes: f64,
    pub latencies: Latencies,
}

/// What became of the records. librdkafka reports on a thread that waits for it; a loop that polls would take one of few
/// cores from the brokers.
#[derive(Clone, Default)]
struct Deliveries(Arc<Reports>);

#[derive(Default)]
struct Reports {
    state: Mutex<ReportsState>,
    changed: Condvar,
}

#[derive(Default)]
struct ReportsState {
    latencies: Latencies,
    failures: Vec<String>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, scheduled: Box<Instant>) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(_) => state.latencies.add(scheduled.elapsed()),
            Err((error, _)) => state.failures.push(error.to_string()),
        }
        self.0.changed.notify_all();
    }
}

impl Deliveries {
    /// Waits until so many records were acknowledged.
    fn wait_for(&self, count: u64) -> Result<()> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |state: &mut ReportsState| (state.latencies.count() as u64) < count && state.failures.is_empty();
        let waited = self.0.changed.wait_timeout_while(state, Duration::from_secs(30), missing);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.failures.first() {
            Some(failure) => bail!("a delivery failed: {failure}"),
            None if timeout.timed_out() => bail!("no acknowledgement within 30 s"),
            None => Ok(()),
        }
    }

    fn measured(&self, seconds: f64, record_bytes: usize) -> Result<Measured> {
        let state = std::mem::take(&mut *self.0.state.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(failure) = state.failures.first() {
            bail!("{} deliveries failed: {failure}", state.failures.len());
        }
        let bytes = state.latencies.count() as f64 * record_bytes as f64;
        Ok(Measured { seconds, bytes, latencies: state.latencies })
    }
}

/// Creates a topic and waits until it is there.
pub fn create_topic(bootstrap: &str, topic: &str, partitions: i32, replicas: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas));
    let mut future = std::pin::pin!(admin.create_topics(std::iter::once(&wanted), &AdminOptions::new()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let std::task::Poll::Ready(created) = future.as_mut().poll(&mut context) {
            return match created?.as_slice() {
                [Ok(_)] => Ok(()),
                other => bail!("create {topic}: {other:?}"),
            };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("create {topic}: no answer within 30 s")
}

fn producer(
    bootstrap: &str,
    properties: &[(&str, &str)],
    deliveries: &Deliveries,
) -> Result<ThreadedProducer<Deliveries>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for (key, value) in properties {
        config.set(*key, *value);
    }
    Ok(config.create_with_context(deliveries.clone())?)
}

/// Sends as planned. At a fixed rate the loop is open: latency counts from the time a record was due.
pub fn produce(bootstrap: &str, plan: &Plan<'_>) -> Result<Measured> {
    let deliveries = Deliveries::default();
    let producer = producer(bootstrap, plan.properties, &deliveries)?;
    let values: Vec<Vec<u8>> = (0..1024).map(|number| payload::log_line(number, plan.record_bytes)).collect();
    let started = Instant::now();
    for number in 0..plan.records {
        let due = wait_until_due(started, number, plan.rate);
        let value = &values[(number % 1024) as usize];
        let partition = (number % plan.partitions as u64) as i32;
        let mut record: BaseRecord<'_, (), Vec<u8>, Box<Instant>> =
            BaseRecord::with_opaque_to(plan.topic, Box::new(due)).partition(partition).payload(value);
        while let Err((error, back)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                bail!("send: {error}");
            }
            std::thread::sleep(QUEUE_FULL_PAUSE);
            record = back;
        }
    }
    producer.flush(Duration::from_secs(120))?;
    deliveries.wait_for(plan.records)?;
    deliveries.measured(started.elapsed().as_secs_f64(), plan.record_bytes)
}

fn wait_until_due(started: Instant, number: u64, rate: Option<u64>) -> Instant {
    let Some(rate) = rate else { return Instant::now() };
    let due = started + Duration::from_nanos(number * 1_000_000_000 / rate);
    let wait = due.saturating_duration_since(Instant::now());
    if !wait.is_zero() {
        std::thread::sleep(wait);
    }
    due
}

/// Sends one record at a time, each after the acknowledgement of the one before.
pub fn ping(bootstrap: &str, plan: &Plan<'_>) -> Result<Measured> {
    let deliveries = Deliveries::default();
    let properties = [plan.properties, &[("linger.ms", "0"), ("socket.nagle.disable", "true")]].concat();
    let producer = producer(bootstrap, &properties, &deliveries)?;
    let started = Instant::now();
    for number in 0..plan.records {
        let value = payload::log_line(number, plan.record_bytes);
        let record: BaseRecord<'_, (), Vec<u8>, Box<Instant>> =
            BaseRecord::with_opaque_to(plan.topic, Box::new(Instant::now())).partition(0).payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
        deliveries.wait_for(number + 1)?;
    }
    deliveries.measured(started.elapsed().as_secs_f64(), plan.record_bytes)
}

/// Reads that many records from the beginning of all partitions.
pub fn consume(bootstrap: &str, topic: &str, partitions: i32, records: u64) -> Result<Measured> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("fetch.message.max.bytes", "4194304")
        .set("queued.min.messages", "1000000")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let started = Instant::now();
    let (mut count, mut bytes, mut last) = (0, 0_usize, started);
    while count < records {
        // A poll may also return for events of the client's own.
        match consumer.poll(Duration::from_secs(1)) {
            Some(message) => {
                bytes += message?.payload_len();
                count += 1;
                last = Instant::now();
            }
            None if last.elapsed() > Duration::from_secs(20) => {
                bail!("{count} of {records} records read, then nothing for 20 s")
            }
            None => {}
        }
    }
    Ok(Measured { seconds: started.elapsed().as_secs_f64(), bytes: bytes as f64, latencies: Latencies::default() })
}
