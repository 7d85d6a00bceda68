//! What single steps of the log cost: validation, append, read, look-ups, recovery, compaction. `make bench-micro` runs it; whole
//! nodes are measured by `make bench`.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use highwater_env::Fs;
use highwater_log::{CompactionSettings, CompactionStep, Identity, Log, LogConfig, LogDirectory};
use highwater_records::{
    BatchBuilder, Compression, RecordBatch, ValidatedBatch, ValidationLimits, split_batches, validate_produce,
};
use highwater_types::{
    BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicName, TopicPartition,
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const EPOCH: LeaderEpoch = LeaderEpoch(0);
/// Records of a batch as producers send them under load: 16 KiB in all.
const RECORDS: i64 = 16;
const VALUE_BYTES: usize = 1000;
/// Batches of the logs that are read, recovered and compacted: 16 MiB.
const BATCHES: i64 = 1024;

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("topic").expect("legal"), partition: PartitionIndex(0) }
}

/// A batch of keyed records, compressible as text is.
fn batch(codec: Compression, number: i64) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for record in 0..RECORDS {
        let seed = number * RECORDS + record;
        let value: Vec<u8> =
            (0..VALUE_BYTES as i64).map(|byte| b'a' + ((seed * 31 + byte * byte) % 17) as u8).collect();
        let key = format!("key-{}", seed % 5000);
        builder.append(Timestamp(NOW.0 + seed), Some(key.as_bytes()), Some(&value), &[]);
    }
    builder.build()
}

fn limits(compacted: bool) -> ValidationLimits {
    ValidationLimits { compacted, ..ValidationLimits::new(Timestamp(NOW.0 + BATCHES * RECORDS)) }
}

fn validated(number: i64) -> ValidatedBatch {
    validate_produce(batch(Compression::None, number), &partition(), &limits(false)).expect("a good batch")
}

fn open_directory(path: &Path) -> Arc<LogDirectory> {
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    LogDirectory::open(Fs::Real, path, &identity).expect("an empty directory")
}

fn open_log(directory: &LogDirectory, config: &LogConfig) -> Log {
    directory.open_log(&partition(), TopicId::from_random(1), config.clone(), NOW).expect("a log")
}

fn filled(directory: &LogDirectory, config: &LogConfig) -> Log {
    let mut log = open_log(directory, config);
    for number in 0..BATCHES {
        log.append_leader(&validated(number), EPOCH, NOW).expect("room");
    }
    log.flush_target().flush().expect("a disk");
    log
}

fn validation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("validate");
    for codec in Compression::ALL {
        let bytes = batch(codec, 1);
        group.throughput(Throughput::Elements(RECORDS as u64));
        group.bench_function(format!("{}, header only if compressed", codec.name()), |bencher| {
            bencher.iter(|| validate_produce(black_box(bytes.clone()), &partition(), &limits(false)));
        });
        group.bench_function(format!("{}, every record", codec.name()), |bencher| {
            bencher.iter(|| validate_produce(black_box(bytes.clone()), &partition(), &limits(true)));
        });
        group.bench_function(format!("{}, decode", codec.name()), |bencher| {
            bencher.iter(|| {
                let parsed = RecordBatch::parse(black_box(&bytes)).expect("a good batch");
                parsed.records().expect("good records").iter().filter(Result::is_ok).count()
            });
        });
    }
    group.finish();
}

fn appending(criterion: &mut Criterion) {
    let scratch = tempfile::tempdir().expect("room");
    let directory = open_directory(scratch.path());
    let mut log = open_log(&directory, &LogConfig { segment_bytes: 64 << 20, ..LogConfig::default() });
    let sent = validated(1);
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Bytes(sent.size_in_bytes() as u64));
    group.bench_function("leader, 16 KiB", |bencher| {
        bencher.iter(|| {
            // Keeps the disk from filling up.
            if log.size_bytes() > 256 << 20 {
                log.truncate_fully_and_start_at(log.log_end(), NOW).expect("a disk");
            }
            log.append_leader(&sent, EPOCH, NOW).expect("room")
        });
    });
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let scratch = tempfile::tempdir().expect("room");
    let directory = open_directory(scratch.path());
    let log = filled(&directory, &LogConfig { segment_bytes: 4 << 20, ..LogConfig::default() });
    let (reader, end) = (log.reader(), log.log_end());
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Bytes(1 << 20));
    let mut from = 0;
    group.bench_function("1 MiB from the file", |bencher| {
        bencher.iter(|| {
            from = (from + 1999) % (end.get() / 4);
            reader.read(Offset(from), end, 1 << 20, true).expect("in range")
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("one batch by offset", |bencher| {
        bencher.iter(|| {
            from = (from + 1999) % (end.get() / 4);
            reader.read(Offset(from), end, 1, true).expect("in range")
        });
    });
    group.bench_function("offset by time", |bencher| {
        bencher.iter(|| {
            from = (from + 1999) % end.get();
            reader.offset_for_timestamp(Timestamp(NOW.0 + from)).expect("a disk")
        });
    });
    group.finish();
}

fn recovering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recover");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(BATCHES as u64 * 16 * 1024));
    let scratch = tempfile::tempdir().expect("room");
    let config = LogConfig { segment_bytes: 1 << 30, ..LogConfig::default() };
    drop(filled(&open_directory(scratch.path()), &config));
    group.bench_function("16 MiB after a crash", |bencher| {
        bencher.iter(|| open_log(&open_directory(scratch.path()), &config).log_end());
    });
    group.bench_function("after a clean stop", |bencher| {
        bencher.iter_batched(
            || {
                let directory = open_directory(scratch.path());
                open_log(&directory, &config).close().expect("a disk");
                directory.close(None).expect("a disk");
            },
            |()| open_log(&open_directory(scratch.path()), &config).log_end(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn compacting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compact");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(BATCHES as u64 * 16 * 1024));
    let config = LogConfig { segment_bytes: 4 << 20, compact_policy: true, ..LogConfig::default() };
    group.bench_function("16 MiB of 5000 keys", |bencher| {
        bencher.iter_batched(
            || {
                let scratch = tempfile::tempdir().expect("room");
                let directory = open_directory(scratch.path());
                let log = filled(&directory, &config);
                (scratch, directory, log)
            },
            |(scratch, directory, mut log)| {
                let settings = CompactionSettings { buffer_bytes: 16 << 20, load_factor: 0.9, hash_key: (1, 2) };
                let begun = log.begin_compaction(NOW, log.log_end(), settings).expect("a disk");
                let mut pass = begun.expect("all is dirty");
                while pass.advance(u64::MAX / 2).expect("good batches") != CompactionStep::Done {
                    log.install_compacted(&mut pass).expect("a disk");
                }
                log.finish_compaction(&pass).expect("a disk");
                (scratch, directory, log)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn splitting(criterion: &mut Criterion) {
    let many: Bytes = (0..64).flat_map(|number| batch(Compression::None, number)).collect::<Vec<u8>>().into();
    let mut group = criterion.benchmark_group("split");
    group.throughput(Throughput::Bytes(many.len() as u64));
    group.bench_function("1 MiB of batches, with checksums", |bencher| {
        bencher.iter(|| split_batches(black_box(&many)).filter(Result::is_ok).count());
    });
    group.finish();
}

criterion_group!(benches, validation, splitting, appending, reading, recovering, compacting);
criterion_main!(benches);
