//! Tests of whole logs on a simulated disk.

mod crash_points;
mod damage;
mod due;
mod model;
mod one_failure;
mod random_histories;
mod relocation;
mod room;
mod scenarios;
mod transactions;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use highwater_env::{Fs, SimFs};
use highwater_records::{BatchBuilder, Compression, ValidatedBatch, ValidationLimits, validate_produce};
use highwater_types::{
    BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp,
    TopicId, TopicName, TopicPartition,
};

use crate::{Identity, Log, LogConfig, LogDirectory, LogError};

const DIR: &str = "data";
const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("topic").unwrap(), partition: PartitionIndex(0) }
}

fn topic_id() -> TopicId {
    TopicId::from_random(7)
}

/// Small enough that a few dozen batches make several segments with several index entries.
fn small() -> LogConfig {
    LogConfig { segment_bytes: 2048, index_interval_bytes: 200, retention_ms: -1, ..LogConfig::default() }
}

fn open_directory(disk: &SimFs) -> Arc<LogDirectory> {
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    LogDirectory::open(Fs::Sim(disk.clone()), Path::new(DIR), &identity).unwrap()
}

fn open_log(directory: &LogDirectory, config: &LogConfig) -> Result<Log, LogError> {
    directory.open_log(&partition(), topic_id(), config.clone(), NOW)
}

/// What a client sends: records with these times, of a producer or of none.
#[derive(Debug, Clone)]
struct Sent {
    producer: Option<(i64, i16, i32)>,
    timestamps: Vec<i64>,
    value_bytes: usize,
    compression: Compression,
}

impl Sent {
    fn plain(timestamps: &[i64]) -> Self {
        Self { producer: None, timestamps: timestamps.to_vec(), value_bytes: 20, compression: Compression::None }
    }

    fn builder(&self) -> BatchBuilder {
        let mut builder = BatchBuilder::new(self.compression);
        if let Some((id, epoch, sequence)) = self.producer {
            builder = builder.producer(ProducerId(id), ProducerEpoch(epoch), Sequence(sequence));
        }
        for (number, &timestamp) in self.timestamps.iter().enumerate() {
            let value = vec![number as u8; self.value_bytes];
            builder.append(Timestamp(timestamp), Some(b"key"), Some(&value), &[]);
        }
        builder
    }

    fn validated(&self) -> ValidatedBatch {
        let limits = ValidationLimits { after_max_ms: i64::MAX, ..ValidationLimits::new(NOW) };
        validate_produce(self.builder().build(), &partition(), &limits).unwrap()
    }

    fn replicated(&self, offset: i64, epoch: i32) -> Bytes {
        self.builder().placed_at(Offset(offset), LeaderEpoch(epoch)).build()
    }
}

/// All bytes of the log, from its start.
fn read_all(log: &Log) -> Vec<u8> {
    let read = log.reader().read(log.log_start(), log.log_end(), usize::MAX, true).unwrap();
    assert_eq!(read.next_offset, log.log_end());
    read.batches.concat()
}

/// Name and content of every file in the partition's directory, which is not there before a log's first flush is durable.
fn files(disk: &SimFs) -> Vec<(String, Vec<u8>)> {
    let fs = Fs::Sim(disk.clone());
    let dir = Path::new(DIR).join("topic-0");
    if !fs.exists(&dir).unwrap() {
        return Vec::new();
    }
    let names = fs.read_dir(&dir).unwrap().into_iter().map(|entry| entry.name);
    names.map(|name| (name.clone(), fs.read(&dir.join(&name)).unwrap())).collect()
}
