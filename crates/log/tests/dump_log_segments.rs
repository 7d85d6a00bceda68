//! Apache Kafka's own DumpLogSegments reads what the log writes: batches of every codec, both indexes, producer snapshots,
//! markers, after rolls and after a recovery.
//!
//! Needs `KAFKA_LIBS`, a directory with the jars of an Apache Kafka release. Without it the files are only written.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use highwater_env::Fs;
use highwater_log::{Identity, Log, LogConfig, LogDirectory};
use highwater_records::{
    BatchBuilder, Compression, EndTransactionMarker, ValidatedBatch, ValidationLimits, validate_produce,
};
use highwater_types::{
    BrokerId, DirectoryId, LeaderEpoch, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
    TopicName, TopicPartition,
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("dumped").unwrap(), partition: PartitionIndex(0) }
}

fn open(scratch: &Path) -> (std::sync::Arc<LogDirectory>, Log) {
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    let directory = LogDirectory::open(Fs::Real, scratch, &identity).unwrap();
    let config = LogConfig { segment_bytes: 10_000, index_interval_bytes: 1000, ..LogConfig::default() };
    let log = directory.open_log(&partition(), TopicId::from_random(2), config, NOW).unwrap();
    (directory, log)
}

fn batch(number: i64, codec: Compression) -> Bytes {
    // Producer 100 counts up; its times go back now and then.
    let mut builder = BatchBuilder::new(codec).producer(ProducerId(100), ProducerEpoch(1), Sequence(3 * number as i32));
    for record in 0..3 {
        let timestamp = Timestamp(NOW.0 + 100 * number - 250 * (number % 4) + record);
        builder.append(
            timestamp,
            Some(b"key"),
            Some(format!("value {number} {record} {}", "x".repeat(100)).as_bytes()),
            &[],
        );
    }
    builder.build()
}

fn validated(bytes: Bytes) -> ValidatedBatch {
    let limits = ValidationLimits { after_max_ms: i64::MAX, ..ValidationLimits::new(NOW) };
    validate_produce(bytes, &partition(), &limits).unwrap()
}

fn append(log: &mut Log, range: std::ops::Range<i64>) {
    for number in range {
        let batch = validated(batch(number, CODECS[number as usize % CODECS.len()]));
        log.append_leader(&batch, LeaderEpoch(number as i32 / 50), NOW).unwrap();
    }
}

#[test]
fn kafka_reads_our_files() {
    let scratch = tempfile::tempdir().unwrap();
    let (directory, mut log) = open(scratch.path());
    append(&mut log, 0..150);
    let marker = EndTransactionMarker {
        producer_id: ProducerId(100),
        producer_epoch: ProducerEpoch(1),
        committed: false,
        coordinator_epoch: 4,
    };
    let end = log.log_end();
    let mut stored = marker.to_batch(NOW).to_vec();
    stored[..8].copy_from_slice(&end.get().to_be_bytes());
    stored[12..16].copy_from_slice(&2i32.to_be_bytes());
    log.append_follower(&stored.into(), NOW).unwrap();
    append(&mut log, 150..200);
    // A crash of the process: what follows was recovered.
    drop(log);
    drop(directory);
    let (directory, mut log) = open(scratch.path());
    append(&mut log, 200..300);
    let end = log.close().unwrap();
    assert!(directory.close(None).unwrap());

    let dir = scratch.path().join("dumped-0");
    let names: Vec<String> = Fs::Real.read_dir(&dir).unwrap().into_iter().map(|entry| entry.name).collect();
    let files = |extension: &str| -> Vec<String> {
        let wanted = names.iter().filter(|name| name.ends_with(extension));
        wanted.map(|name| dir.join(name).display().to_string()).collect()
    };
    assert!(files(".log").len() > 3, "{names:?}");
    let Ok(libs) = std::env::var("KAFKA_LIBS") else {
        eprintln!("KAFKA_LIBS is not set: Kafka's own tool was not run");
        return;
    };

    let logs = dump(&libs, &files(".log"), &["--deep-iteration"]);
    assert_eq!(logs.matches("isvalid: true").count(), 301, "{logs}");
    assert_eq!(logs.matches("| offset: ").count(), 901, "{logs}");
    assert!(
        logs.contains(&format!("lastOffset: {} ", end.get() - 1)) && logs.contains("endTxnMarker: ABORT"),
        "{logs}"
    );
    let indexes: Vec<String> = [files(".index"), files(".timeindex")].concat();
    for check in ["--verify-index-only", "--index-sanity-check"] {
        let answer = dump(&libs, &indexes, &[check]);
        assert!(!answer.contains("Mismatches") && !answer.contains("Exception"), "{answer}");
    }
    let indexes = dump(&libs, &indexes, &[]);
    assert!(indexes.contains("offset: ") && indexes.contains("timestamp: ") && !indexes.contains("ound"), "{indexes}");
    let snapshots = dump(&libs, &files(".snapshot"), &[]);
    assert!(snapshots.contains("producerId: 100 producerEpoch: 1"), "{snapshots}");
    assert!(snapshots.contains("lastSequence: 899"), "{snapshots}");
}

/// Output of DumpLogSegments for `files`.
fn dump(libs: &str, files: &[String], options: &[&str]) -> String {
    let mut command = Command::new("java");
    command.args(["-cp", &format!("{libs}/*"), "org.apache.kafka.tools.DumpLogSegments"]);
    command.args(options).arg("--files").arg(files.join(","));
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}
