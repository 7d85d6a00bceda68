//! A consumer of librdkafka, in a group, that reads the load while a fault happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::topic;

/// The reading thread.
pub struct LiveReader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(usize, Duration)>>,
}

impl LiveReader {
    /// Starts to read, from the beginning.
    pub fn start(bootstrap: &str) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "faults-live")
            .set("auto.offset.reset", "earliest")
            .create()?;
        consumer.subscribe(&[topic::TOPIC])?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        Ok(Self { stop, thread: std::thread::spawn(move || read(&consumer, &stopped)) })
    }

    /// How many records were read, and the longest time between two. An error that the application would have seen is one.
    pub fn finish(self) -> Result<(usize, Duration)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the reader panicked"))?
    }
}

fn read(consumer: &BaseConsumer, stop: &AtomicBool) -> Result<(usize, Duration)> {
    let (mut records, mut longest, mut last) = (0, Duration::ZERO, None::<Instant>);
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(_)) => {
                let now = Instant::now();
                longest = longest.max(last.map_or(Duration::ZERO, |last| now - last));
                last = Some(now);
                records += 1;
            }
            // librdkafka tells of connections that it makes again by itself.
            Some(Err(error)) if is_informational(&error) => {}
            Some(Err(error)) => bail!("the librdkafka consumer failed: {error}"),
            None => {}
        }
    }
    ensure!(records > 0, "the librdkafka consumer read nothing");
    Ok((records, longest))
}

fn is_informational(error: &rdkafka::error::KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode::BrokerTransportFailure;
    matches!(error.rdkafka_error_code(), Some(BrokerTransportFailure))
}
