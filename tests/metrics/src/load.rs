//! A producer, and two consumer groups: one that keeps up and one that is slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

/// What is written to.
pub const TOPIC: &str = "orders";
/// The group that keeps up.
pub const FAST_GROUP: &str = "billing";
/// The group that reads a record now and then.
pub const SLOW_GROUP: &str = "archive";

/// Runs until dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    /// Whether the group that keeps up stands still.
    paused: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts clients. The topic is made by the first of them.
    pub fn start(bootstrap: &str) -> Result<Self> {
        let (stop, paused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        let producer: ThreadedProducer<_> =
            config.clone().set("enable.idempotence", "true").set("linger.ms", "5").create()?;
        let mut threads = Vec::new();
        let ended = stop.clone();
        threads.push(std::thread::spawn(move || produce(&producer, &ended)));
        for (group, pause, paused) in
            [(FAST_GROUP, Duration::ZERO, paused.clone()), (SLOW_GROUP, Duration::from_millis(20), Arc::default())]
        {
            let consumer: BaseConsumer = config
                .clone()
                .set("group.id", group)
                .set("auto.offset.reset", "earliest")
                .set("auto.commit.interval.ms", "500")
                .set("allow.auto.create.topics", "true")
                .create()?;
            consumer.subscribe(&[TOPIC])?;
            let ended = stop.clone();
            threads.push(std::thread::spawn(move || consume(&consumer, pause, &paused, &ended)));
        }
        Ok(Self { stop, paused, threads })
    }

    /// Lets the group that keeps up stand still, or go on.
    pub fn pause_fast_group(&self, pause: bool) {
        self.paused.store(pause, Ordering::Relaxed);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn produce(producer: &ThreadedProducer<rdkafka::producer::DefaultProducerContext>, stop: &AtomicBool) {
    let payload = [b'x'; 200];
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = number.to_string();
        // A full queue means that the cluster is slower for a moment.
        let _ = producer.send(BaseRecord::to(TOPIC).key(&key).payload(&payload[..]));
        if number % 10 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let _ = producer.flush(Duration::from_secs(5));
}

fn consume(consumer: &BaseConsumer, pause: Duration, paused: &AtomicBool, stop: &AtomicBool) {
    let mut is_paused = false;
    while !stop.load(Ordering::Relaxed) {
        if is_paused != paused.load(Ordering::Relaxed)
            && let Ok(partitions) = consumer.assignment()
        {
            is_paused = !is_paused;
            let _ = if is_paused { consumer.pause(&partitions) } else { consumer.resume(&partitions) };
        }
        // Errors are those of brokers that are down; the client finds others.
        let _ = consumer.poll(Duration::from_millis(100));
        std::thread::sleep(pause);
    }
}
