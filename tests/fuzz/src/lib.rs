//! What the fuzz targets share: a small valid log on a disk in memory, and ways to spoil it.
//!
//! Random bytes alone would not get past the checksums. So most targets take the input as edits of something valid, and repair
//! the checksums afterwards: what is fuzzed is what a checksum does not protect from.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use highwater_env::{CrashMode, Fs, OpenMode, SimFs};
use highwater_log::{Identity, Log, LogConfig, LogDirectory, LogError, TimestampOffset};
use highwater_records::{BatchBuilder, Compression, ValidationLimits, validate_produce};
use highwater_types::{
    BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp,
    TopicId, TopicName, TopicPartition,
};

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
const BATCHES: i64 = 24;

pub fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("topic").unwrap(), partition: PartitionIndex(0) }
}

/// A disk with one log of several segments.
pub struct World {
    pub disk: SimFs,
    pub directory: Arc<LogDirectory>,
}

/// All that a log answers.
#[derive(Debug, PartialEq)]
pub struct Answers {
    pub range: (Offset, Offset),
    pub bytes: Vec<u8>,
    pub times: Vec<Option<TimestampOffset>>,
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 700, index_interval_bytes: 100, retention_ms: -1, ..LogConfig::default() }
}

fn open_directory(disk: &SimFs) -> Arc<LogDirectory> {
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    LogDirectory::open(Fs::Sim(disk.clone()), Path::new("data"), &identity).unwrap()
}

impl World {
    /// The log is closed properly, or the process died after a flush of its first half.
    pub fn new(clean: bool) -> Self {
        let disk = SimFs::new();
        let directory = open_directory(&disk);
        let mut world = Self { disk, directory };
        let mut log = world.open().unwrap();
        for number in 0..BATCHES {
            let codec = if number % 5 == 0 { Compression::Lz4 } else { Compression::None };
            let mut builder = BatchBuilder::new(codec);
            if number % 3 == 0 {
                builder = builder.producer(ProducerId(number % 2), ProducerEpoch(0), Sequence(number as i32 / 3 * 2));
            }
            for record in 0..2 {
                builder.append(Timestamp(NOW.0 + (number * 7 + record) % 40), Some(b"key"), Some(&[7; 30]), &[]);
            }
            let limits = ValidationLimits::new(NOW);
            let batch = validate_produce(builder.build(), &partition(), &limits).unwrap();
            // Producers' sequences are not what is tested here.
            let _ = log.append_leader(&batch, LeaderEpoch((number / 8) as i32), NOW);
            if number == BATCHES / 2 {
                log.flush_target().flush().unwrap();
                world.directory.checkpoint(&[]).unwrap();
            }
        }
        if clean {
            log.close().unwrap();
            world.directory.close(None).unwrap();
        } else {
            drop(log);
        }
        world.restart();
        world
    }

    /// The next process.
    pub fn restart(&mut self) {
        self.disk.crash(CrashMode::Keep, 0);
        self.directory = open_directory(&self.disk);
    }

    pub fn open(&self) -> Result<Log, LogError> {
        self.directory.open_log(&partition(), TopicId::from_random(7), config(), NOW)
    }

    /// Files of the partition whose names end so, in order.
    pub fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let dir = Path::new("data/topic-0");
        let entries = Fs::Sim(self.disk.clone()).read_dir(dir).unwrap();
        entries.into_iter().filter(|entry| entry.name.ends_with(suffix)).map(|entry| dir.join(entry.name)).collect()
    }

    pub fn read(&self, path: &Path) -> Vec<u8> {
        Fs::Sim(self.disk.clone()).read(path).unwrap()
    }

    pub fn write(&self, path: &Path, content: &[u8]) {
        let file = Fs::Sim(self.disk.clone()).open(path, OpenMode::Truncate).unwrap();
        file.write_all_at(content, 0).unwrap();
    }
}

/// What the log answers while its files are good.
pub static GOOD: LazyLock<Answers> =
    LazyLock::new(|| answers(&World::new(true).open().expect("a good log")).expect("good batches"));

/// Asks everything. `None` if the log says that it is damaged.
pub fn answers(log: &Log) -> Option<Answers> {
    let read = log.reader().read(log.log_start(), log.log_end(), usize::MAX, true).ok()?;
    let mut times = Vec::new();
    for ms in (0..50).step_by(3) {
        times.push(log.offset_for_timestamp(Timestamp(NOW.0 + ms)).ok()?);
    }
    times.push(log.max_timestamp().ok()?);
    Some(Answers { range: (log.log_start(), log.log_end()), bytes: read.batches.concat(), times })
}

/// Takes the input as edits of `bytes`: three bytes each, a position and what is put there; an odd rest is put behind the end, or
/// cuts the end off.
pub fn edit(bytes: &mut Vec<u8>, input: &[u8]) {
    let (edits, rest) = input.as_chunks::<3>();
    for [high, low, value] in edits.iter().take(64) {
        let position = usize::from(u16::from_be_bytes([*high, *low]));
        if !bytes.is_empty() {
            let length = bytes.len();
            bytes[position % length] = *value;
        }
    }
    match rest {
        [cut] => bytes.truncate(bytes.len().saturating_sub(usize::from(*cut))),
        [more, times] => bytes.extend(std::iter::repeat_n(*more, usize::from(*times))),
        _ => {}
    }
}

/// A batch whose body is `body`, with a length and a checksum that hold.
pub fn batch_of(template: &Bytes, header: &[u8], body: &[u8]) -> Bytes {
    let mut bytes = template[..highwater_records::HEADER_LENGTH].to_vec();
    edit(&mut bytes, header);
    bytes.resize(highwater_records::HEADER_LENGTH, 0);
    bytes.extend_from_slice(body);
    seal(&mut bytes);
    bytes.into()
}

/// Makes length, magic and checksum of a batch hold.
pub fn seal(bytes: &mut [u8]) {
    if bytes.len() < highwater_records::HEADER_LENGTH {
        return;
    }
    let length = (bytes.len() - highwater_records::LOG_OVERHEAD) as u32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}
