//! A small valid log on a disk in memory, to be spoilt and opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use highwater_env::{CrashMode, Fs, OpenMode, SimFs};
use highwater_log::{
    AbortedTransaction, AppendError, Identity, LeaderAppend, Log, LogConfig, LogDirectory, LogDirectoryError, LogError,
    TimestampOffset,
};
use highwater_records::{
    AppendOrigin, BatchBuilder, Compression, EndTransactionMarker, ValidationLimits, validate_produce,
};
use highwater_types::{
    BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp,
    TopicId, TopicName, TopicPartition,
};

use crate::input::Input;
use crate::spoil::edit_or_replace;

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// Appended to begin with.
pub(crate) const BATCHES: i64 = 24;
/// The first one stands for none.
pub(crate) const PRODUCERS: i64 = 3;
const DATA: &str = "data";

/// Reads from single offsets. Damaged offsets may make a log of many.
const MOST_OFFSETS: usize = 100;

/// How the process ended that wrote the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// In a controlled shutdown.
    Properly,
    /// Killed; half of the log is known to be flushed.
    Midway,
    /// Killed before anything was known to be flushed.
    Early,
}

impl Ended {
    pub const ALL: [Self; 3] = [Self::Properly, Self::Midway, Self::Early];
}

/// All files of a log directory that has one log of several segments.
type Image = Vec<(PathBuf, Vec<u8>)>;

static IMAGES: LazyLock<[Image; 3]> = LazyLock::new(|| Ended::ALL.map(write_log));

/// What the log answers while its files are good.
pub(crate) static GOOD: LazyLock<Answers> = LazyLock::new(|| {
    let world = World::new(Ended::Properly);
    let directory = world.directory().expect("a good directory");
    answers(&world.open(&directory).expect("a good log")).expect("good batches")
});

/// A disk with such a log.
pub(crate) struct World {
    disk: SimFs,
    files: Image,
}

/// All that a log answers.
#[derive(PartialEq)]
pub(crate) struct Answers {
    pub range: (Offset, Offset),
    pub bytes: Vec<u8>,
    pub times: Vec<Option<TimestampOffset>>,
    pub aborted: Vec<AbortedTransaction>,
}

impl fmt::Debug for Answers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, crc) = (self.bytes.len(), crc32c::crc32c(&self.bytes));
        write!(formatter, "{:?}, {length} bytes, crc {crc:08x}, {:?}, {:?}", self.range, self.times, self.aborted)
    }
}

impl World {
    pub fn new(ended: Ended) -> Self {
        let disk = SimFs::new();
        let files = IMAGES[ended as usize].clone();
        Fs::Sim(disk.clone()).create_dir_all(&Path::new(DATA).join("topic-0")).expect("a healthy disk");
        for (path, content) in &files {
            write(&disk, path, content);
        }
        Self { disk, files }
    }

    /// The next process is killed. Nothing of what it wrote is lost.
    pub fn restart(&self) {
        self.disk.crash(CrashMode::Keep, 0);
    }

    /// The log directory as the next process opens it.
    pub fn directory(&self) -> Result<Arc<LogDirectory>, LogDirectoryError> {
        open_directory(&self.disk)
    }

    pub fn open(&self, directory: &LogDirectory) -> Result<Log, LogError> {
        open_log(directory)
    }

    /// The log, whose batches are good.
    pub fn open_good(&self) -> Log {
        open_log(&self.directory().expect("nothing of the directory itself was spoilt")).expect("its batches are good")
    }

    /// Paths and contents of the files, as they were, whose names end so.
    pub fn files(&self, suffix: &str) -> Vec<&(PathBuf, Vec<u8>)> {
        self.files.iter().filter(|(path, _)| path.to_string_lossy().ends_with(suffix)).collect()
    }

    /// Spoils or replaces one of the files whose names end so.
    pub fn spoil_one(&self, suffix: &str, mut input: Input<'_>) {
        let (path, mut bytes) = (*input.choose(&self.files(suffix))).clone();
        edit_or_replace(&mut bytes, input.is_odd(), input.rest());
        self.write(&path, &bytes);
    }

    pub fn write(&self, path: &Path, content: &[u8]) {
        write(&self.disk, path, content);
    }
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("topic").expect("a good name"), partition: PartitionIndex(0) }
}

/// Asks everything. `None` if the log says that it is damaged.
pub(crate) fn answers(log: &Log) -> Option<Answers> {
    let reader = log.reader();
    let (read, aborted) = reader.read_committed(log.log_start(), log.log_end(), usize::MAX, true).ok()?;
    for offset in (log.log_start().get()..log.log_end().get()).take(MOST_OFFSETS) {
        reader.read(Offset(offset), log.log_end(), 1, true).ok()?;
    }
    let mut times = Vec::new();
    for ms in (0..50).step_by(3) {
        times.push(log.offset_for_timestamp(Timestamp(NOW.0 + ms)).ok()?);
    }
    times.push(log.max_timestamp().ok()?);
    Some(Answers { range: (log.log_start(), log.log_end()), bytes: read.batches.concat(), times, aborted })
}

fn write_log(ended: Ended) -> Image {
    let disk = SimFs::new();
    let directory = open_directory(&disk).expect("an empty disk");
    let mut log = open_log(&directory).expect("an empty disk");
    for number in 0..BATCHES {
        append(&mut log, number).expect("a good batch");
        if number == BATCHES / 2 && ended == Ended::Midway {
            log.flush_target().flush().expect("a healthy disk");
            directory.checkpoint(&[]).expect("a healthy disk");
        }
    }
    if ended == Ended::Properly {
        log.close().expect("a healthy disk");
        directory.close(None).expect("a healthy disk");
    }
    let mut files = Vec::new();
    collect(&Fs::Sim(disk), Path::new(DATA), &mut files);
    files
}

/// Appends one of: batches without a producer, idempotent ones, transactions, of which every second is aborted; times in no order.
pub(crate) fn append(log: &mut Log, number: i64) -> Result<LeaderAppend, AppendError> {
    let codec = if number % 5 == 0 { Compression::Lz4 } else { Compression::None };
    let (producer, round) = (ProducerId(number % PRODUCERS), number / PRODUCERS);
    let epoch = LeaderEpoch((number / 8) as i32);
    let limits = ValidationLimits::new(NOW);
    let transactional = producer == ProducerId(2);
    if transactional && round % 2 == 1 {
        let (producer_id, producer_epoch) = (producer, ProducerEpoch(0));
        let marker =
            EndTransactionMarker { producer_id, producer_epoch, committed: round % 4 == 1, coordinator_epoch: 0 };
        let limits = ValidationLimits { origin: AppendOrigin::Coordinator, ..limits };
        let batch = validate_produce(marker.to_batch(NOW), &partition(), &limits).expect("a good marker");
        return log.append_leader(&batch, epoch, NOW);
    }
    let mut builder = BatchBuilder::new(codec);
    if producer != ProducerId(0) {
        let sequence = if transactional { round } else { round * 2 };
        builder = builder.producer(producer, ProducerEpoch(0), Sequence(sequence as i32));
    }
    if transactional {
        builder = builder.transactional();
    }
    for record in 0..2 {
        builder.append(Timestamp(NOW.0 + (number * 7 + record) % 40), Some(b"key"), Some(&[7; 30]), &[]);
    }
    let batch = validate_produce(builder.build(), &partition(), &limits).expect("a good batch");
    log.append_leader(&batch, epoch, NOW)
}

fn collect(fs: &Fs, dir: &Path, files: &mut Image) {
    for entry in fs.read_dir(dir).expect("it is there") {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            collect(fs, &path, files);
        } else {
            files.push((path.clone(), fs.read(&path).expect("it is there")));
        }
    }
}

fn write(disk: &SimFs, path: &Path, content: &[u8]) {
    let file = Fs::Sim(disk.clone()).open(path, OpenMode::Truncate).expect("a healthy disk");
    file.write_all_at(content, 0).expect("a healthy disk");
}

fn open_directory(disk: &SimFs) -> Result<Arc<LogDirectory>, LogDirectoryError> {
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    LogDirectory::open(Fs::Sim(disk.clone()), Path::new(DATA), &identity)
}

fn open_log(directory: &LogDirectory) -> Result<Log, LogError> {
    let config = LogConfig { segment_bytes: 700, index_interval_bytes: 100, retention_ms: -1, ..LogConfig::default() };
    directory.open_log(&partition(), TopicId::from_random(7), config, NOW)
}
