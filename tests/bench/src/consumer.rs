//! A librdkafka consumer that reads all partitions of a topic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Longest time without a record.
const SILENCE: Duration = Duration::from_secs(20);

/// Longest time in one poll.
const POLL: Duration = Duration::from_millis(500);

/// What was read.
#[derive(Debug, Default, Clone, Copy)]
pub struct Read {
    pub seconds: f64,
    pub bytes: f64,
}

/// Reads so many records of partitions `0..partitions`, from the beginning.
pub fn consume(bootstrap: &str, topic: &str, partitions: i32, records: u64) -> Result<Read> {
    let consumer = open(bootstrap, topic, partitions, Offset::Beginning)?;
    read(&consumer, records, || false)
}

/// Reads what comes at the end of partitions `0..partitions`, until it is told to stop.
pub fn follow(bootstrap: &str, topic: &str, partitions: i32, stop: &AtomicBool) -> Result<Read> {
    let consumer = open(bootstrap, topic, partitions, Offset::End)?;
    read(&consumer, u64::MAX, || stop.load(Ordering::Relaxed))
}

fn open(bootstrap: &str, topic: &str, partitions: i32, from: Offset) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("fetch.message.max.bytes", "4194304")
        .set("queued.min.messages", "1000000")
        // Else a partition whose records wait for this program is not asked for again for a second.
        .set("fetch.queue.backoff.ms", "2")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

fn read(consumer: &BaseConsumer, records: u64, stop: impl Fn() -> bool) -> Result<Read> {
    let started = Instant::now();
    let (mut count, mut bytes, mut last) = (0, 0_usize, started);
    while count < records && !stop() {
        // A poll may also return for events of the client's own.
        match consumer.poll(POLL) {
            Some(message) => {
                bytes += message?.payload_len();
                count += 1;
                if count % 1024 == 0 {
                    last = Instant::now();
                }
            }
            None if last.elapsed() > SILENCE => {
                bail!("{count} of {records} records read, then nothing for {} s", SILENCE.as_secs())
            }
            None => {}
        }
    }
    Ok(Read { seconds: started.elapsed().as_secs_f64(), bytes: bytes as f64 })
}
