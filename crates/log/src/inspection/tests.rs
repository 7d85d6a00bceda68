//! Each kind of damage is found and named, and an intact log has none.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use highwater_env::{CrashMode, Fs, SimFs};
use highwater_records::{
    AppendOrigin, BatchBuilder, Compression, EndTransactionMarker, ValidationLimits, split_batches, validate_produce,
};
use highwater_types::{
    BrokerId, DirectoryId, LeaderEpoch, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
    TopicName, TopicPartition,
};

use super::{FileContent, InspectionError, Verification, read_file, rebuild_indexes, verify_partition};
use crate::{Identity, LogConfig, LogDirectory};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const INTERVAL_BYTES: u64 = 200;

/// A log on disk: three segments and more, four codecs, transactions, one of them open.
struct Files {
    fs: Fs,
    dir: PathBuf,
}

impl Files {
    fn new() -> Self {
        let disk = SimFs::new();
        let fs = Fs::Sim(disk.clone());
        let identity =
            Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
        let directory = LogDirectory::open(fs.clone(), Path::new("data"), &identity).unwrap();
        let partition = TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) };
        let config = LogConfig { segment_bytes: 1500, index_interval_bytes: INTERVAL_BYTES, ..LogConfig::default() };
        let mut log = directory.open_log(&partition, TopicId::from_random(7), config, NOW).unwrap();
        let mut append = |bytes: Bytes, epoch: i32| {
            let limits = ValidationLimits {
                origin: AppendOrigin::Coordinator,
                after_max_ms: i64::MAX,
                ..ValidationLimits::new(NOW)
            };
            let batch = validate_produce(bytes, &partition, &limits).unwrap();
            log.append_leader(&batch, LeaderEpoch(epoch), NOW).unwrap();
        };
        for number in 0..40_i32 {
            let codec = Compression::ALL[number as usize % Compression::ALL.len()];
            let producer = ProducerId(i64::from(number % 2));
            let mut builder = BatchBuilder::new(codec).producer(producer, ProducerEpoch(0), Sequence(number / 2 * 2));
            if producer == ProducerId(1) {
                builder = builder.transactional();
            }
            for record in 0..2 {
                let time = Timestamp(NOW.0 + i64::from(number * 10 - (number % 3) * 25 + record));
                builder.append(time, Some(b"key"), Some(&[b'v'; 60]), &[]);
            }
            append(builder.build(), number / 16);
            if number % 8 == 5 {
                let (producer_id, producer_epoch, committed) = (producer, ProducerEpoch(0), number % 16 == 5);
                let marker = EndTransactionMarker { producer_id, producer_epoch, committed, coordinator_epoch: 2 };
                append(marker.to_batch(NOW), number / 16);
            }
        }
        log.close().unwrap();
        assert!(directory.close(None).unwrap());
        drop(directory);
        disk.crash(CrashMode::Drop, 0);
        Self { fs, dir: PathBuf::from("data/t-0") }
    }

    fn verify(&self) -> Verification {
        verify_partition(&self.fs, &self.dir).unwrap()
    }

    fn findings(&self) -> Vec<String> {
        self.verify().findings.iter().map(ToString::to_string).collect()
    }

    /// Names of the files with that ending, in order.
    fn named(&self, ending: &str) -> Vec<String> {
        let names = self.fs.read_dir(&self.dir).unwrap().into_iter().map(|entry| entry.name);
        let mut names: Vec<String> = names.filter(|name| name.ends_with(ending)).collect();
        names.sort();
        names
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.dir.join(name);
        let mut bytes = self.fs.read(&path).unwrap();
        change(&mut bytes);
        self.fs.write_atomic(&path, &bytes).unwrap();
    }
}

/// Does the damage and expects exactly one finding that begins with the file's name and holds `problem`.
fn expect(ending: &str, number: usize, problem: &str, damage: impl FnOnce(&mut Vec<u8>)) {
    let files = Files::new();
    let name = files.named(ending)[number].clone();
    files.change(&name, damage);
    let findings = files.findings();
    assert!(
        findings.iter().any(|finding| finding.starts_with(&name) && finding.contains(problem)),
        "{problem:?} is not said of {name}: {findings:#?}"
    );
}

#[test]
fn an_intact_log_has_no_findings() {
    let files = Files::new();
    let result = files.verify();
    assert_eq!(result.findings, [], "{:#?}", result.findings);
    assert!(result.segments > 2 && result.snapshots >= result.segments, "{result:?}");
    assert_eq!((result.batches, result.records, result.gaps), (45, 85, 0));
    assert!(files.named(".txnindex").len() as u64 == result.segments);
}

#[test]
fn damaged_batches_are_found() {
    expect(".log", 0, "at byte 0: ", |bytes| bytes[80] ^= 1);
    expect(".log", 1, "at byte 0: ", |bytes| bytes[16] = 1);
    expect(".log", 0, "where the next segment begins", |bytes| bytes[..8].copy_from_slice(&500_i64.to_be_bytes()));
    expect(".log", 1, "comes next", |bytes| bytes[..8].copy_from_slice(&1_i64.to_be_bytes()));
    expect(".log", 0, "of epoch", |bytes| bytes[12..16].copy_from_slice(&9_i32.to_be_bytes()));
    expect(".log", 2, "of which", |bytes| bytes.truncate(bytes.len() - 3));
    expect(".log", 2, "are no batch", |bytes| bytes.extend_from_slice(&[1; 7]));
    expect(".log", 2, "7 zeros are no batch", |bytes| bytes.extend_from_slice(&[0; 7]));
    expect(".log", 2, "100 zeros are no batch", |bytes| bytes.extend_from_slice(&[0; 100]));
    expect(".log", 2, "at byte", |bytes| bytes.extend_from_slice(&[1; 100]));
}

#[test]
fn damaged_indexes_are_found() {
    expect(".index", 0, "no multiple", |bytes| _ = bytes.pop());
    expect(".index", 0, "no batch starts there", |bytes| bytes[7] ^= 1);
    expect(".index", 0, "the batch there begins at", |bytes| bytes[3] = 0);
    expect(".index", 0, "not above", |bytes| bytes.extend_from_within(..8));
    expect(".timeindex", 0, "an earlier batch has the time", |bytes| bytes[11] += 2);
    expect(".timeindex", 0, "where the segment's newest is", |bytes| bytes.truncate(12));
    expect(".timeindex", 0, "not above", |bytes| bytes.extend_from_within(..12));
    expect(".timeindex", 0, "no multiple", |bytes| _ = bytes.pop());
}

#[test]
fn damaged_transaction_indexes_are_found() {
    let files = Files::new();
    let name =
        files.named(".txnindex").into_iter().find(|name| !files.fs.read(&files.dir.join(name)).unwrap().is_empty());
    let name = name.expect("a segment with an aborted transaction");
    let original = files.fs.read(&files.dir.join(&name)).unwrap();
    let expect = |problem: &str, bytes: &[u8]| {
        files.fs.write_atomic(&files.dir.join(&name), bytes).unwrap();
        let findings = files.findings();
        let found = findings.iter().any(|finding| finding.starts_with(&name) && finding.contains(problem));
        assert!(found, "{problem:?}: {findings:#?}");
    };
    expect("is missing", &[]);
    expect("no transaction index", &original[1..]);
    let mut other = original.clone();
    other[9] = 9;
    expect("is missing", &other);
    let mut later = original.clone();
    later[10..18].copy_from_slice(&original[18..26]);
    expect("begins at", &later);
    files.fs.remove_file(&files.dir.join(&name)).unwrap();
    assert!(files.findings()[0].contains("is missing"));
    // What Kafka 4.3 does: a last stable offset beyond where a later one begins.
    let files = Files::new();
    let all: Vec<String> = files
        .named(".txnindex")
        .into_iter()
        .filter(|name| !files.fs.read(&files.dir.join(name)).unwrap().is_empty())
        .collect();
    files.change(&all[0], |bytes| bytes[26..34].copy_from_slice(&5_000_i64.to_be_bytes()));
    assert!(files.findings()[0].contains("the last stable offset 5000"), "{:?}", files.findings());
}

#[test]
fn snapshots_that_differ_are_found() {
    expect(".snapshot", 0, "CRC", |bytes| bytes[20] ^= 1);
    let recompute = |bytes: &mut Vec<u8>| {
        let crc = crc32c::crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
    };
    let last_entry = |bytes: &[u8]| bytes.len() - 46;
    expect(".snapshot", 0, "last sequence", |bytes| {
        let entry = last_entry(bytes);
        bytes[entry + 13] += 1;
        recompute(bytes);
    });
    expect(".snapshot", 0, "epoch 7", |bytes| {
        let entry = last_entry(bytes);
        bytes[entry + 9] = 7;
        recompute(bytes);
    });
    expect(".snapshot", 0, "open transaction", |bytes| {
        let entry = last_entry(bytes);
        bytes[entry + 38..entry + 46].copy_from_slice(&3_i64.to_be_bytes());
        recompute(bytes);
    });
    let files = Files::new();
    let last = files.named(".snapshot").pop().unwrap();
    let beyond = "00000000000000009999.snapshot";
    let content = files.fs.read(&files.dir.join(last)).unwrap();
    files.fs.write_atomic(&files.dir.join(beyond), &content).unwrap();
    assert_eq!(files.findings(), [format!("{beyond}: the log ends at 85 already")]);
}

#[test]
fn damaged_text_files_are_found() {
    expect("leader-epoch-checkpoint", 0, "version", |bytes| bytes[0] = b'7');
    expect("partition.metadata", 0, "version", |bytes| bytes[0] = b'x');
    let files = Files::new();
    files.change("leader-epoch-checkpoint", |bytes| *bytes = b"0\n2\n0 0\n1 20\n".to_vec());
    assert!(files.findings()[0].contains("where leader-epoch-checkpoint says"), "{:?}", files.findings());
}

#[test]
fn indexes_are_made_again_as_the_log_made_them() {
    let files = Files::new();
    let all_same = |files: &Files| {
        let rebuilt = rebuild_indexes(&files.fs, &files.dir, INTERVAL_BYTES).unwrap();
        rebuilt.iter().filter(|index| !index.is_same).map(|index| index.path.clone()).collect::<Vec<_>>()
    };
    assert!(all_same(&files).is_empty());
    let (index, transactions) = (files.named(".index")[1].clone(), files.named(".txnindex")[0].clone());
    files.change(&index, |bytes| bytes.clear());
    files.fs.remove_file(&files.dir.join(&transactions)).unwrap();
    assert_eq!(all_same(&files), [files.dir.join(&transactions), files.dir.join(&index)]);
    let segment = files.named(".log")[1].clone();
    files.change(&segment, |bytes| bytes[70] ^= 1);
    let refused = rebuild_indexes(&files.fs, &files.dir, INTERVAL_BYTES);
    assert!(matches!(refused, Err(InspectionError::Damaged { position: 0, .. })), "{refused:?}");
}

#[test]
fn files_are_read_by_their_names() {
    let files = Files::new();
    let read = |ending: &str| read_file(&files.fs, &files.dir.join(&files.named(ending)[0])).unwrap();
    let FileContent::Batches(mut batches) = read(".log") else { panic!("batches") };
    let first = batches.next_batch().unwrap().unwrap();
    assert_eq!((first.position, first.damage), (0, None));
    assert_eq!(split_batches(first.batch.bytes()).count(), 1);
    assert!(matches!(read(".index"), FileContent::Offsets(entries) if !entries.is_empty()));
    assert!(matches!(read(".timeindex"), FileContent::Times(entries) if !entries.is_empty()));
    assert!(matches!(read(".snapshot"), FileContent::Producers(entries) if entries.len() == 2));
    assert!(matches!(read("leader-epoch-checkpoint"), FileContent::LeaderEpochs(entries) if entries.len() == 3));
    assert!(matches!(read("partition.metadata"), FileContent::TopicId(id) if id == TopicId::from_random(7)));
    let checkpoint = read_file(&files.fs, Path::new("data/recovery-point-offset-checkpoint")).unwrap();
    assert!(matches!(checkpoint, FileContent::PartitionOffsets(entries) if entries.len() == 1));
    let other = read_file(&files.fs, Path::new("data/meta.properties"));
    assert!(matches!(other, Err(InspectionError::UnknownFile(_))));
}
