//! One idempotent producer, acks=all, whose deliveries are watched for gaps.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use crate::ledger::Ledger;
use crate::{PARTITIONS, TOPIC};

/// What has been acknowledged so far.
#[derive(Debug, Default)]
pub struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    acknowledged: usize,
    failed: Vec<String>,
    last: Option<Instant>,
    longest_gap: Duration,
}

impl Progress {
    /// Lines acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.lock().acknowledged
    }

    /// Longest time between two acknowledgements.
    pub fn longest_gap(&self) -> Duration {
        self.lock().longest_gap
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Watch<'a>(&'a Progress);

impl ClientContext for Watch<'_> {}

impl ProducerContext for Watch<'_> {
    type DeliveryOpaque = ();

    fn delivery(&self, delivery: &DeliveryResult<'_>, (): ()) {
        let mut state = self.0.lock();
        if let Err((error, _)) = delivery {
            state.failed.push(error.to_string());
            return;
        }
        let now = Instant::now();
        let gap = state.last.map_or(Duration::ZERO, |last| now - last);
        state.longest_gap = state.longest_gap.max(gap);
        state.last = Some(now);
        state.acknowledged += 1;
    }
}

/// Sends every line to partition (line number mod partitions), keyed by its number; returns what must be read back.
pub fn send(bootstrap: &str, lines: &[Vec<u8>], progress: &Progress) -> Result<Ledger> {
    let producer: BaseProducer<Watch<'_>> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "5")
        .set("compression.type", "none")
        .set("queue.buffering.max.messages", "20000")
        .create_with_context(Watch(progress))?;
    let mut ledger = Ledger::default();
    for (number, line) in lines.iter().enumerate() {
        let partition = number % PARTITIONS;
        let key = number.to_string();
        ledger.add(partition, (number / PARTITIONS) as i64, number, line);
        let mut record = BaseRecord::to(TOPIC).partition(partition as i32).key(&key).payload(line);
        while let Err((error, back)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                bail!("send: {error}");
            }
            producer.poll(Duration::from_millis(10));
            record = back;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60))?;
    let state = progress.lock();
    if !state.failed.is_empty() || state.acknowledged != lines.len() {
        bail!("{} acknowledged, {} failed: {:?}", state.acknowledged, state.failed.len(), state.failed.first());
    }
    Ok(ledger)
}
