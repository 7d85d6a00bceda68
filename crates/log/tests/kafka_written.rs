//! Partition directories that a real Apache Kafka 4.3 wrote (`tests/kafka-files/make`) open here with the records, times,
//! producers and aborted transactions that Kafka itself told of them, with its indexes and snapshots or without.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use highwater_env::Fs;
use highwater_log::inspection::{rebuild_indexes, verify_partition};
use highwater_log::{Identity, Log, LogConfig, LogDirectory, LogDirectoryError};
use highwater_records::{EndTransactionMarker, split_batches};
use highwater_types::{BrokerId, DirectoryId, Offset, Timestamp};

const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qk";
const NOW: Timestamp = Timestamp(1_700_001_000_000);
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka_written")
}

/// A copy of Kafka's log directory, without the files that `leave_out` names.
fn copy(leave_out: impl Fn(&str) -> bool) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    copy_dir(&fixture().join("data"), scratch.path(), &leave_out);
    scratch
}

fn copy_dir(from: &Path, to: &Path, leave_out: &impl Fn(&str) -> bool) {
    let fs = Fs::Real;
    fs.create_dir_all(to).unwrap();
    for entry in fs.read_dir(from).unwrap() {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            copy_dir(&from, &to, leave_out);
        } else if !leave_out(&entry.name) {
            fs.write_atomic(&to, &fs.read(&from).unwrap()).unwrap();
        }
    }
}

fn open(dir: &Path, node: i32, cluster: &str) -> Result<Arc<LogDirectory>, LogDirectoryError> {
    let identity = Identity {
        node_id: BrokerId(node),
        cluster_id: Some(cluster.to_owned()),
        new_directory_id: DirectoryId::from_random(1),
    };
    LogDirectory::open(Fs::Real, dir, &identity)
}

/// What Kafka's tools printed, by the first word of each line.
fn answers(partition: &str, kind: &str) -> Vec<Vec<String>> {
    let path = fixture().join("answers").join(format!("{partition}.txt"));
    let text = String::from_utf8(Fs::Real.read(&path).unwrap()).unwrap();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    text.lines().map(words).filter(|words| words[0] == kind).map(|words| words[1..].to_vec()).collect()
}

fn hash(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".to_owned(), |bytes| format!("{:x}", crc32c::crc32c(bytes)))
}

/// Offset, time, hashes of key and value of each record, as a consumer gets them.
fn consume(log: &Log, up_to: Offset, committed: bool) -> Vec<Vec<String>> {
    let (reader, mut position, mut found) = (log.reader(), log.log_start(), Vec::new());
    loop {
        let (read, told) = reader.read_committed(position, up_to, 700, true).unwrap();
        if read.size == 0 {
            return found;
        }
        let mut told = told.into_iter().filter(|_| committed).peekable();
        let mut aborted = BTreeSet::new();
        for batch in split_batches(&Bytes::from(read.batches.concat())) {
            let batch = batch.unwrap();
            let header = *batch.header();
            while let Some(transaction) = told.next_if(|next| next.first_offset <= header.last_offset()) {
                aborted.insert(transaction.producer_id);
            }
            if header.is_control() {
                let marker = EndTransactionMarker::from_batch(&batch).unwrap();
                if marker.is_some_and(|marker| !marker.committed) {
                    aborted.remove(&header.producer_id);
                }
                continue;
            }
            if header.is_transactional() && aborted.contains(&header.producer_id) {
                continue;
            }
            for record in &batch.records().unwrap() {
                let record = record.unwrap();
                let (offset, time) = (record.offset.get().to_string(), record.timestamp.0.to_string());
                found.push(vec![offset, time, hash(record.key), hash(record.value)]);
            }
        }
        position = read.next_offset;
    }
}

/// Opens every partition and compares; then leaves the directory as a proper shutdown does.
fn check(dir: &Path) {
    let directory = open(dir, 1, CLUSTER).unwrap();
    let found = directory.partitions().unwrap();
    assert_eq!(found.len(), 7);
    for partition in found {
        let name = partition.to_string();
        let topic_id = directory.topic_id(&partition).unwrap().expect("Kafka writes partition.metadata");
        let mut log = directory.open_log(&partition, topic_id, LogConfig::default(), NOW).unwrap();
        let high_watermark = log.log_end();
        let stable = log.last_stable_offset(high_watermark);
        assert!(consume(&log, high_watermark, false) == answers(&name, "read_uncommitted"), "{name}: records");
        assert!(consume(&log, stable, true) == answers(&name, "read_committed"), "{name}: committed records");
        check_offsets(&log, &name, [("read_uncommitted", high_watermark), ("read_committed", stable)]);
        check_producers(&log, &name);
        log.close().unwrap();
    }
    assert!(directory.close(None).unwrap());
}

fn check_offsets(log: &Log, name: &str, limits: [(&str, Offset); 2]) {
    let asked = answers(name, "list_offsets");
    assert!(asked.len() > 10, "{name}");
    for question in asked {
        let [isolation, spec, offset, timestamp] = &question[..] else { panic!("{question:?}") };
        let limit = limits.iter().find(|(limit, _)| limit == isolation).unwrap().1;
        let by_time = match spec.parse::<i64>().unwrap() {
            -1 => (limit, Timestamp::NONE),
            -2 | -4 => (log.log_start(), Timestamp::NONE),
            // Kafka has no tiered storage here, and neither have we.
            -5 => continue,
            -3 => visible(log.max_timestamp().unwrap(), limit),
            time => visible(log.offset_for_timestamp(Timestamp(time)).unwrap(), limit),
        };
        let answer = (by_time.0.get().to_string(), by_time.1.0.to_string());
        assert_eq!(answer, (offset.clone(), timestamp.clone()), "{name}: {isolation} {spec}");
    }
}

fn visible(found: Option<highwater_log::TimestampOffset>, limit: Offset) -> (Offset, Timestamp) {
    match found.filter(|found| found.offset < limit) {
        Some(found) => (found.offset, found.timestamp),
        None => (Offset::NONE, Timestamp::NONE),
    }
}

fn check_producers(log: &Log, name: &str) {
    let mut expected = answers(name, "producer");
    expected.sort();
    let mut found: Vec<Vec<String>> = Vec::new();
    for producer in log.active_producers() {
        let open = producer.open_transaction.unwrap_or(Offset::NONE).get();
        let coordinator_epoch = i64::from(producer.coordinator_epoch);
        let (epoch, sequence) = (i64::from(producer.epoch.get()), i64::from(producer.last_sequence.get()));
        let fields = [producer.producer_id.get(), epoch, sequence, coordinator_epoch, open];
        found.push(fields.iter().map(ToString::to_string).collect());
    }
    found.sort();
    assert_eq!(found, expected, "{name}: producers");
}

#[test]
fn kafkas_directories_open_with_the_same_answers() {
    let scratch = copy(|_| false);
    check(scratch.path());
    // And again, as this log has left them.
    check(scratch.path());
}

#[test]
fn a_crashed_kafkas_directories_open_with_the_same_answers() {
    let scratch = copy(|name| name == CLEAN_SHUTDOWN);
    check(scratch.path());
}

#[test]
fn without_indexes_and_snapshots_the_answers_are_the_same() {
    let auxiliary = [".index", ".timeindex", ".txnindex", ".snapshot", "leader-epoch-checkpoint"];
    let is_lost = |name: &str| auxiliary.iter().any(|suffix| name.ends_with(suffix));
    check(copy(is_lost).path());
    check(copy(|name| is_lost(name) || name == CLEAN_SHUTDOWN).path());
}

#[test]
fn the_fixture_has_what_it_is_for() {
    let data = fixture().join("data");
    let names = |topic: &str, ending: &str| {
        let entries = Fs::Real.read_dir(&data.join(format!("kafka-{topic}-0"))).unwrap();
        entries.iter().filter(|entry| entry.name.ends_with(ending)).count()
    };
    for topic in ["plain", "gzip", "snappy", "lz4", "zstd", "compacted", "transactions"] {
        assert!(names(topic, ".log") >= 2 && names(topic, ".snapshot") >= 2, "{topic}");
    }
    assert!(names("transactions", ".txnindex") >= 1);
    let committed = answers("kafka-transactions-0", "read_committed").len();
    assert!(committed > 20 && committed < answers("kafka-transactions-0", "read_uncommitted").len() - 20);
    assert!(answers("kafka-transactions-0", "producer").iter().any(|producer| producer[4] != "-1"), "one is open");
    assert!(answers("kafka-compacted-0", "read_uncommitted").len() < 60);
}

#[test]
fn verification_finds_nothing_wrong_with_kafkas_files() {
    for entry in Fs::Real.read_dir(&fixture().join("data")).unwrap().iter().filter(|entry| entry.is_dir) {
        let dir = fixture().join("data").join(&entry.name);
        let result = verify_partition(&Fs::Real, &dir).unwrap();
        assert_eq!(result.findings, [], "{}", entry.name);
        assert!(result.segments >= 2 && result.snapshots >= 2, "{result:?}");
        rebuild_indexes(&Fs::Real, &dir, 500).unwrap();
    }
}

#[test]
fn a_directory_of_another_node_or_cluster_is_refused() {
    let scratch = copy(|_| false);
    let other_node = open(scratch.path(), 2, CLUSTER);
    assert!(matches!(other_node, Err(LogDirectoryError::OtherNode { .. })), "{other_node:?}");
    assert!(Fs::Real.exists(&scratch.path().join(CLEAN_SHUTDOWN)).unwrap());
    let other_cluster = open(scratch.path(), 1, "AAAAAAAAAAAAAAAAAAAAAA");
    assert!(matches!(other_cluster, Err(LogDirectoryError::OtherCluster { .. })), "{other_cluster:?}");
    // The attempts did no harm.
    check(scratch.path());
}
