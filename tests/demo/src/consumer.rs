//! One member of the reading group, in a process of its own so that it can be killed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;

use crate::TOPIC;
use crate::ledger::Ledger;

/// How often offsets are committed, after the lines read so far are in the file.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// The process ends by itself after this time, whatever happens to its parent.
const LIFETIME: Duration = Duration::from_secs(240);

/// Reads until it is killed.
pub fn run(bootstrap: &str, file: &Path) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "demo-readers")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", "6000")
        .create()?;
    consumer.subscribe(&[TOPIC])?;
    let mut out = OpenOptions::new().create(true).append(true).open(file)?;
    let started = Instant::now();
    let mut committed = Instant::now();
    let mut buffer = String::new();
    while started.elapsed() < LIFETIME {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                let value = message.payload().unwrap_or_default();
                buffer += &Ledger::format_entry(message.partition(), message.offset(), &key, value);
            }
            Some(Err(error)) => eprintln!("consumer: {error}"),
            None => {}
        }
        if committed.elapsed() >= COMMIT_EVERY && !buffer.is_empty() {
            out.write_all(buffer.as_bytes())?;
            buffer.clear();
            match consumer.commit_consumer_state(CommitMode::Sync) {
                Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
                Err(error) => eprintln!("commit: {error}"),
            }
            committed = Instant::now();
        }
    }
    Ok(())
}
