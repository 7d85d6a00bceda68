//! The load: one idempotent producer at a steady rate, a consumer beside it, and a full read at the end; all of it in one history.

use std::fs::File;
use std::io::BufWriter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::executor::block_on;
use highwater_history::{Coverage, Gaps, Operation, Outcome, Process, Recorder, Send, check, longest_gaps};
use highwater_test_cluster::{Cluster, Node, ProcessFigures, figures};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::metadata::MetadataPartition;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use crate::reading::{Tail, read_all};
use crate::topic::{PARTITIONS, TOPIC, key};

/// Records a second: enough to see gaps of a millisecond, little enough for two cores.
const RATE: u64 = 2_000;
/// A run in which less was acknowledged shows nothing.
const LEAST: Coverage = Coverage { acknowledged: 2_000 };
/// How soon after a fault every replica must be in sync again.
const IN_SYNC_WITHIN: Duration = Duration::from_secs(90);

/// What a fault did to the load.
pub struct Figures {
    pub acknowledged: usize,
    /// The longest time without an acknowledgement, of each partition.
    pub gaps: Gaps,
    /// From the end of the fault until every ISR was full.
    pub in_sync_after: Duration,
    /// From then until the consumer had read what was there.
    pub consumed_after: Duration,
    /// Of the node that used most.
    pub peak_resident_bytes: u64,
}

/// The producer's part of the history; told on a thread that waits for librdkafka.
#[derive(Clone)]
struct Deliveries {
    history: Recorder,
    process: Process,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Send>;

    fn delivery(&self, result: &DeliveryResult<'_>, send: Box<Send>) {
        match result {
            Ok(message) => {
                // An answer that was lost: librdkafka learns from the acknowledgement of a later batch that this one is there,
                // but not where, and says so by a negative offset.
                let offset = Some(message.offset()).filter(|&offset| offset >= 0);
                let send = Send { offset, ..*send };
                self.history.record(self.process, Outcome::Ok, Operation::Send(send));
            }
            Err((error, _)) => self.history.record_error(self.process, Outcome::Info, Operation::Send(*send), error),
        }
    }
}

/// Runs the fault under load and checks the history.
pub fn under_load(
    name: &str,
    cluster: &mut Cluster,
    fault: impl FnOnce(&mut Cluster) -> Result<()>,
) -> Result<Figures> {
    let started = Instant::now();
    let clock = move || u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let history = Recorder::new(Box::new(clock));
    let outcome = disturb(name, cluster, &history, fault);
    let events = history.events();
    let verdict = check(&events, LEAST).into_result();
    if outcome.is_err() || verdict.is_err() {
        let kept = BufWriter::new(File::create(cluster.directory().join("history.jsonl"))?);
        history.write_json_lines(kept)?;
    }
    let (in_sync_after, consumed_after) = outcome.map_err(|error| match &verdict {
        Ok(()) => error,
        Err(verdict) => error.context(format!("history: {verdict:#}")),
    })?;
    verdict.context("history")?;
    let sends = events.iter().filter(|event| matches!(event.operation, Operation::Send(_)));
    let mut outcomes = sends.map(|event| (event.outcome, &event.error));
    if let Some((_, error)) = outcomes.clone().find(|(outcome, _)| *outcome == Outcome::Info) {
        bail!("a send failed: {error:?}");
    }
    let peaks = cluster.nodes().iter().filter_map(Node::pid).filter_map(figures);
    Ok(Figures {
        acknowledged: outcomes.by_ref().filter(|(outcome, _)| *outcome == Outcome::Ok).count(),
        gaps: longest_gaps(&events),
        in_sync_after,
        consumed_after,
        peak_resident_bytes: peaks
            .map(|ProcessFigures { peak_resident_bytes, .. }| peak_resident_bytes)
            .max()
            .unwrap_or(0),
    })
}

/// The load, the fault, and what follows on it; how long after the fault the ISRs were full, and the consumer at the end.
fn disturb(
    name: &str,
    cluster: &mut Cluster,
    history: &Recorder,
    fault: impl FnOnce(&mut Cluster) -> Result<()>,
) -> Result<(Duration, Duration)> {
    let bootstrap = cluster.bootstrap();
    create_topic(&bootstrap)?;
    let (stop, driver) = (AtomicBool::new(false), history.process());
    let tail = Tail::start(&bootstrap, history)?;
    let outcome = std::thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&bootstrap, history, &stop));
        std::thread::sleep(Duration::from_secs(2));
        history.record(driver, Outcome::Invoke, Operation::Fault(name.to_owned()));
        let outcome = fault(cluster).and_then(|()| {
            history.record(driver, Outcome::Ok, Operation::Fault(name.to_owned()));
            let in_sync_after = await_in_sync(&bootstrap, cluster.nodes().len().min(3))?;
            Ok((in_sync_after, tail.catch_up(&bootstrap, history)?))
        });
        std::thread::sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        producer.join().map_err(|_| anyhow::anyhow!("the producer panicked"))??;
        outcome
    })?;
    tail.finish()?;
    read_all(&bootstrap, history)?;
    Ok(outcome)
}

fn create_topic(bootstrap: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(3));
    for outcome in block_on(admin.create_topics([&topic], &AdminOptions::new()))? {
        outcome.map_err(|(name, code)| anyhow::anyhow!("create {name}: {code}"))?;
    }
    leaders(bootstrap).map(|_| ())
}

fn await_in_sync(bootstrap: &str, replicas: usize) -> Result<Duration> {
    let started = Instant::now();
    while in_sync(bootstrap)?.iter().any(|isr| isr.len() < replicas) {
        ensure!(started.elapsed() < IN_SYNC_WITHIN, "the ISRs do not fill: {:?}", in_sync(bootstrap)?);
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(started.elapsed())
}

fn produce(bootstrap: &str, history: &Recorder, stop: &AtomicBool) -> Result<()> {
    let deliveries = Deliveries { history: history.clone(), process: history.process() };
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
        let partition = i32::try_from(number % PARTITIONS as u64).unwrap_or(0);
        let send = Send { key: key(partition), value: number, offset: None, transaction: None };
        number += 1;
        let record = |outcome, send| history.record(deliveries.process, outcome, Operation::Send(send));
        record(Outcome::Invoke, send.clone());
        let value = send.value.to_string();
        let sent: BaseRecord<'_, (), str, Box<Send>> =
            BaseRecord::with_opaque_to(TOPIC, Box::new(send.clone())).partition(partition).payload(&value);
        if producer.send(sent).is_err() {
            // Its queue is full: it did not even take it.
            record(Outcome::Fail, send);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(producer.flush(Duration::from_secs(60))?)
}

/// The nodes that lead the partitions of the load's topic, as `bootstrap` knows them; `None` for none.
pub fn leaders(bootstrap: &str) -> Result<Vec<Option<usize>>> {
    of_partitions(bootstrap, |partition| usize::try_from(partition.leader()).ok())
}

/// The nodes in sync of each partition of the load's topic.
pub fn in_sync(bootstrap: &str) -> Result<Vec<Vec<usize>>> {
    of_partitions(bootstrap, |partition| partition.isr().iter().filter_map(|&id| usize::try_from(id).ok()).collect())
}

/// The nodes that have a replica of each partition of the load's topic, in their order.
pub fn replicas(bootstrap: &str) -> Result<Vec<Vec<usize>>> {
    let ids = |ids: &[i32]| ids.iter().filter_map(|&id| usize::try_from(id).ok()).collect();
    of_partitions(bootstrap, |partition| ids(partition.replicas()))
}

fn of_partitions<T>(bootstrap: &str, ask: impl Fn(&MetadataPartition) -> T) -> Result<Vec<T>> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    for _ in 0..50 {
        let metadata = client.fetch_metadata(Some(TOPIC), Duration::from_secs(10))?;
        let topic = metadata.topics().first().context("no topic")?;
        if topic.partitions().len() == PARTITIONS as usize {
            return Ok(topic.partitions().iter().map(ask).collect());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("{TOPIC} has not {PARTITIONS} partitions")
}
