//! A librdkafka producer: as fast as it goes, or at a fixed rate in an open loop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use crate::latency::Latencies;
use crate::payload::Payloads;
use crate::schedule::Schedule;

/// Pause of a sender that is ahead of the network, a few requests long.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
/// Records that are due within this time are sent together: a sleep for each would cost the client a core.
const GRANULARITY: Duration = Duration::from_micros(200);
/// Latencies of records that are due in this time from the start are not noted: the client finds its brokers meanwhile.
const SETTLE: Duration = Duration::from_secs(2);
/// Longest wait for the last acknowledgements.
const FLUSH_WITHIN: Duration = Duration::from_secs(120);

/// Which partition a record goes to.
#[derive(Debug, Clone, Copy)]
pub enum Spread {
    /// In turn over so many partitions.
    InTurn(i32),
    /// By a key out of so many, hashed by the client.
    Keyed(u64),
    /// All to one partition.
    Only(i32),
}

/// How a producer sends.
#[derive(Clone)]
pub struct Plan<'a> {
    pub topic: &'a str,
    pub records: u64,
    pub payloads: &'a Payloads,
    pub spread: Spread,
    /// At this rate, or as fast as it goes.
    pub schedule: Option<Schedule>,
    /// Further librdkafka properties.
    pub properties: &'a [(&'a str, &'a str)],
}

/// What a run measured.
#[derive(Debug, Default)]
pub struct Sent {
    /// From the first send to the last acknowledgement.
    pub seconds: f64,
    /// Bytes of values that were acknowledged.
    pub bytes: f64,
    pub records: f64,
    /// From when each record was due, but for the first two seconds; empty for a run as fast as it goes, where it would be the time in the client's queue.
    pub latencies: Latencies,
    /// The longest time between two acknowledgements of the run, for runs at a rate.
    pub longest_gap: Duration,
}

/// What became of the records.
#[derive(Clone)]
struct Deliveries(Arc<(Instant, Mutex<Outcome>)>);

#[derive(Default)]
struct Outcome {
    acknowledged: u64,
    latencies: Latencies,
    last: Option<Instant>,
    longest_gap: Duration,
    failures: u64,
    first_failure: String,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    /// When the record was due, in nanoseconds from the start.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due: usize) {
        let now = Instant::now();
        let mut outcome = self.outcome();
        match result {
            Ok(_) => {
                let due = Duration::from_nanos(due as u64);
                outcome.acknowledged += 1;
                if due >= SETTLE {
                    outcome.latencies.add(now.duration_since(self.0.0).saturating_sub(due));
                }
                let gap = outcome.last.map_or(Duration::ZERO, |last| now.duration_since(last));
                outcome.longest_gap = outcome.longest_gap.max(gap);
                outcome.last = Some(now);
            }
            Err((error, message)) => {
                outcome.failures += 1;
                if outcome.first_failure.is_empty() {
                    outcome.first_failure = format!("partition {}: {error}", message.partition());
                }
            }
        }
    }
}

impl Deliveries {
    fn new(started: Instant) -> Self {
        Self(Arc::new((started, Mutex::default())))
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends as planned, and waits for all acknowledgements. Fails if one record was not acknowledged.
pub fn produce(bootstrap: &str, plan: &Plan<'_>) -> Result<Sent> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    if plan.schedule.is_none() {
        // Nobody looks at single records, and the client shares its cores with the brokers.
        config.set("delivery.report.only.error", "true");
    }
    for (key, value) in plan.properties {
        config.set(*key, *value);
    }
    let started = Instant::now();
    let deliveries = Deliveries::new(started);
    let producer: ThreadedProducer<Deliveries> = config.create_with_context(deliveries.clone())?;
    let mut bytes = 0_usize;
    for number in 0..plan.records {
        let due = wait_until_due(started, number, plan.schedule);
        let value = plan.payloads.value(number);
        bytes += value.len();
        send(&producer, plan, number, value, due)?;
    }
    producer.flush(FLUSH_WITHIN)?;
    let seconds = started.elapsed().as_secs_f64();
    if plan.schedule.is_some() {
        wait_for_reports(&deliveries, plan.records);
    }
    let outcome = std::mem::take(&mut *deliveries.outcome());
    if outcome.failures > 0 {
        bail!("{} records were not acknowledged, the first: {}", outcome.failures, outcome.first_failure);
    }
    if plan.schedule.is_some() && outcome.acknowledged != plan.records {
        bail!("{} of {} records were acknowledged", outcome.acknowledged, plan.records);
    }
    Ok(Sent {
        seconds,
        bytes: bytes as f64,
        records: plan.records as f64,
        latencies: outcome.latencies,
        longest_gap: outcome.longest_gap,
    })
}

/// The same with something that happens meanwhile, so long after the start.
pub fn produce_while(
    bootstrap: &str,
    plan: &Plan<'_>,
    after: Duration,
    happen: impl FnOnce() -> Result<()>,
) -> Result<Sent> {
    std::thread::scope(|scope| {
        let load = scope.spawn(|| produce(bootstrap, plan));
        std::thread::sleep(after);
        let outcome = happen();
        let sent = load.join().map_err(|_| anyhow!("the producer panicked"))??;
        outcome.map(|()| sent)
    })
}

fn send(
    producer: &ThreadedProducer<Deliveries>,
    plan: &Plan<'_>,
    number: u64,
    value: &[u8],
    due: Duration,
) -> Result<()> {
    let key;
    let mut record = BaseRecord::with_opaque_to(plan.topic, due.as_nanos() as usize).payload(value);
    record = match plan.spread {
        Spread::InTurn(partitions) => record.partition((number % partitions as u64) as i32),
        Spread::Only(partition) => record.partition(partition),
        Spread::Keyed(keys) => {
            // A multiplication by an odd number visits all keys in an order that is not their own.
            key = format!("user-{:08}", number.wrapping_mul(0x9E37_79B1) % keys);
            record.key(key.as_bytes())
        }
    };
    while let Err((error, back)) = producer.send(record) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            bail!("send: {error}");
        }
        std::thread::sleep(QUEUE_FULL_PAUSE);
        record = back;
    }
    Ok(())
}

/// Waits until a record is due, if there is a schedule; gives when it was, from the start.
fn wait_until_due(started: Instant, number: u64, schedule: Option<Schedule>) -> Duration {
    let Some(schedule) = schedule else { return Duration::ZERO };
    let due = schedule.due(number);
    let early = due.saturating_sub(started.elapsed());
    if !early.is_zero() {
        std::thread::sleep(early.max(GRANULARITY));
    }
    due
}

/// The flush ends when the last report is taken from the queue, a moment before it is noted.
fn wait_for_reports(deliveries: &Deliveries, records: u64) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let outcome = deliveries.outcome();
        if outcome.acknowledged + outcome.failures >= records {
            return;
        }
        drop(outcome);
        std::thread::sleep(QUEUE_FULL_PAUSE);
    }
}
