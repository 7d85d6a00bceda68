//! The load: one idempotent producer at a steady rate, and a full read at the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use highwater_test_cluster::Cluster;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cells::Fault;

pub const TOPIC: &str = "faults";
/// Partitions of the topic: each node leads some, so that a fault on any node is felt.
pub const PARTITIONS: i32 = 6;
/// Records a second: enough to see gaps of a millisecond, little enough for two cores.
const RATE: u64 = 2_000;

/// What a fault did to the load.
pub struct Figures {
    pub acknowledged: usize,
    /// The longest time without an acknowledgement, of each partition, shortest first.
    pub longest_gaps: Vec<Duration>,
}

/// What became of the records; reported on a thread that waits for librdkafka.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    acknowledged: BTreeMap<(i32, i64), u64>,
    failed: Vec<(u64, String)>,
    /// Of each partition: its last acknowledgement, and the longest time between two.
    gaps: BTreeMap<i32, (Instant, Duration)>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match result {
            Ok(message) => {
                let now = Instant::now();
                let (last, longest) = state.gaps.entry(message.partition()).or_insert((now, Duration::ZERO));
                *longest = (*longest).max(now - *last);
                *last = now;
                state.acknowledged.insert((message.partition(), message.offset()), *number);
            }
            Err((error, _)) => state.failed.push((*number, error.to_string())),
        }
    }
}

/// Runs the fault under load and checks what can be read afterwards.
pub fn under_load(cluster: &mut Cluster, fault: Fault) -> Result<Figures> {
    let bootstrap = cluster.bootstrap();
    let deliveries = Deliveries::default();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&bootstrap, &deliveries, &stop));
        std::thread::sleep(Duration::from_secs(2));
        let outcome = fault(cluster);
        std::thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
        producer.join().map_err(|_| anyhow::anyhow!("the producer panicked"))??;
        outcome
    })?;
    let state = std::mem::take(&mut *deliveries.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    if let Some((number, error)) = state.failed.first() {
        bail!("{} sends failed, first number {number}: {error}", state.failed.len());
    }
    compare(&read_all(&bootstrap)?, &state.acknowledged)?;
    let mut longest_gaps: Vec<Duration> = state.gaps.values().map(|(_, longest)| *longest).collect();
    longest_gaps.sort();
    Ok(Figures { acknowledged: state.acknowledged.len(), longest_gaps })
}

fn produce(bootstrap: &str, deliveries: &Deliveries, stop: &AtomicBool) -> Result<()> {
    let producer: ThreadedProducer<Deliveries> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .create_with_context(deliveries.clone())?;
    let started = Instant::now();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let due = started + Duration::from_nanos(number * 1_000_000_000 / RATE);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let value = number.to_string();
        let partition = i32::try_from(number % PARTITIONS as u64).unwrap_or(0);
        let record: BaseRecord<'_, (), str, Box<u64>> =
            BaseRecord::with_opaque_to(TOPIC, Box::new(number)).partition(partition).payload(&value);
        if producer.send(record).is_ok() {
            number += 1;
        } else {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(producer.flush(Duration::from_secs(60))?)
}

/// The nodes that lead the partitions of the load's topic, as `bootstrap` knows them; `None` for none.
pub fn leaders(bootstrap: &str) -> Result<Vec<Option<usize>>> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    for _ in 0..50 {
        let metadata = client.fetch_metadata(Some(TOPIC), Duration::from_secs(10))?;
        let topic = metadata.topics().first().context("no topic")?;
        if topic.partitions().len() == PARTITIONS as usize {
            return Ok(topic.partitions().iter().map(|partition| usize::try_from(partition.leader()).ok()).collect());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("{TOPIC} has not {PARTITIONS} partitions")
}

fn read_all(bootstrap: &str) -> Result<BTreeMap<(i32, i64), u64>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "faults")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    let mut wanted = 0;
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
        wanted += consumer.fetch_watermarks(TOPIC, partition, Duration::from_secs(20))?.1;
    }
    consumer.assign(&assignment)?;
    let mut read = BTreeMap::new();
    while (read.len() as i64) < wanted {
        let message =
            consumer.poll(Duration::from_secs(20)).with_context(|| format!("{} of {wanted} read", read.len()))??;
        let number = std::str::from_utf8(message.payload().unwrap_or_default())?.parse()?;
        ensure!(read.insert((message.partition(), message.offset()), number).is_none(), "an offset was read twice");
    }
    Ok(read)
}

fn compare(read: &BTreeMap<(i32, i64), u64>, acknowledged: &BTreeMap<(i32, i64), u64>) -> Result<()> {
    for (place, number) in acknowledged {
        match read.get(place) {
            Some(found) if found == number => {}
            Some(found) => bail!("{place:?}: acknowledged {number}, read {found}"),
            None => bail!("lost: {number} was acknowledged at {place:?}"),
        }
    }
    let mut last: BTreeMap<i32, u64> = BTreeMap::new();
    for (&(partition, offset), &number) in read {
        if let Some(before) = last.insert(partition, number) {
            ensure!(before < number, "partition {partition} offset {offset}: {number} stands after {before}");
        }
    }
    Ok(())
}
