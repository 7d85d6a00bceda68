//! What an idle log costs: memory, and open files.

use std::path::Path;

use highwater_env::Fs;
use highwater_log::{Identity, Log, LogConfig, LogDirectory};
use highwater_records::{BatchBuilder, Compression, ValidationLimits, validate_produce};
use highwater_test_allocator::{Counting, held_by_thread};
use highwater_types::{
    BrokerId, DirectoryId, LeaderEpoch, PartitionIndex, Timestamp, TopicId, TopicName, TopicPartition,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LOGS: i32 = 100;
const FILLS_CACHE: usize = 60_000;

/// Of a log with a few batches in it. With its share of the directory's tables.
const MOST_BYTES: i64 = 1024;

fn open_log(directory: &LogDirectory, index: i32) -> Log {
    let partition = TopicPartition { topic: TopicName::new("topic").unwrap(), partition: PartitionIndex(index) };
    directory.open_log(&partition, TopicId::from_random(7), LogConfig::default(), NOW).unwrap()
}

fn append(log: &mut Log, batches: usize) {
    for _ in 0..batches {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(NOW, None, Some(&[1; 100]), &[]);
        let batch = validate_produce(builder.build(), log.topic_partition(), &ValidationLimits::new(NOW)).unwrap();
        log.append_leader(&batch, LeaderEpoch(0), NOW).unwrap();
    }
}

fn idle_log(directory: &LogDirectory, index: i32) -> Log {
    let mut log = open_log(directory, index);
    append(&mut log, 3);
    let end = log.flush_target().flush().unwrap();
    for _ in 0..2 {
        log.apply_retention(NOW, end).unwrap();
    }
    log
}

/// Files that this process has open below `path`.
fn open_files(path: &Path) -> usize {
    let names = Fs::Real.read_dir(Path::new("/proc/self/fd")).unwrap();
    let targets =
        names.iter().filter_map(|entry| std::path::Path::new("/proc/self/fd").join(&entry.name).read_link().ok());
    targets.filter(|target| target.starts_with(path)).count()
}

#[test]
fn an_idle_log_holds_little_memory_and_no_file() {
    let scratch = tempfile::tempdir().unwrap();
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    let directory = LogDirectory::open(Fs::Real, scratch.path(), &identity).unwrap();
    // The directory's cache of newest batches is filled by others, before and after.
    append(&mut open_log(&directory, LOGS + 1), FILLS_CACHE);
    let mut logs = vec![idle_log(&directory, 0)];
    logs.reserve(LOGS as usize);
    let (before, files_before) = (held_by_thread(), open_files(scratch.path()));
    logs.extend((1..=LOGS).map(|index| idle_log(&directory, index)));
    append(&mut open_log(&directory, LOGS + 2), FILLS_CACHE);
    let each = (held_by_thread() - before) / i64::from(LOGS) + size_of::<Log>() as i64;
    println!("an idle log holds {each} bytes, {} of them in itself", size_of::<Log>());
    assert!(each < MOST_BYTES, "{each} bytes");
    assert_eq!(open_files(scratch.path()), files_before);
}
