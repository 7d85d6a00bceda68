//! Single stories: rolling, times, deletion, full disks, what Kafka's formats look like.

use highwater_env::CrashMode;
use highwater_records::{BatchHeader, TimestampType, split_batches};
use highwater_types::{ErrorCode, LeaderEpoch};

use super::*;
use crate::{AppendError, LogDirectoryError, ReadError};

fn fresh(config: &LogConfig) -> (SimFs, Arc<LogDirectory>, Log) {
    let disk = SimFs::new();
    let directory = open_directory(&disk);
    let log = open_log(&directory, config).unwrap();
    (disk, directory, log)
}

fn lead(log: &mut Log, timestamps: &[i64]) -> Result<crate::LeaderAppend, AppendError> {
    log.append_leader(&Sent::plain(timestamps).validated(), LeaderEpoch(0), NOW)
}

fn bases(log: &Log) -> Vec<i64> {
    log.reader.view().segments.iter().map(|segment| segment.base().get()).collect()
}

fn headers(log: &Log) -> Vec<BatchHeader> {
    split_batches(&Bytes::from(read_all(log))).map(|batch| *batch.unwrap().header()).collect()
}

#[test]
fn a_directory_has_kafkas_files() {
    let (disk, directory, mut log) = fresh(&small());
    for number in 0..60 {
        log.append_leader(&Sent::plain(&[NOW.0 + number]).validated(), LeaderEpoch(3), NOW).unwrap();
    }
    log.set_log_start(Offset(5)).unwrap();
    log.close().unwrap();
    directory.checkpoint(&[(partition(), Offset(58))]).unwrap();
    directory.bind_cluster_id("MkU3OEVBNTcwNTJENDM2Qg").unwrap();
    assert!(directory.close(Some(highwater_types::BrokerEpoch(9))).unwrap());

    let names: Vec<String> = files(&disk).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "00000000000000000000.index",
        "00000000000000000000.log",
        "00000000000000000000.timeindex",
        "00000000000000000000.txnindex",
        "00000000000000000022.index",
        "00000000000000000022.log",
        "00000000000000000022.snapshot",
        "00000000000000000022.timeindex",
        "00000000000000000022.txnindex",
        "00000000000000000044.index",
        "00000000000000000044.log",
        "00000000000000000044.snapshot",
        "00000000000000000044.timeindex",
        "00000000000000000044.txnindex",
        "00000000000000000060.snapshot",
        "leader-epoch-checkpoint",
        "partition.metadata",
    ];
    assert_eq!(names, expected);
    let read = |name: &str| String::from_utf8(Fs::Sim(disk.clone()).read(&Path::new(DIR).join(name)).unwrap()).unwrap();
    assert_eq!(read("topic-0/leader-epoch-checkpoint"), "0\n1\n3 5\n");
    assert_eq!(read("topic-0/partition.metadata"), format!("version: 0\ntopic_id: {}", topic_id()));
    assert_eq!(read("recovery-point-offset-checkpoint"), "0\n1\ntopic 0 60\n");
    assert_eq!(read("replication-offset-checkpoint"), "0\n1\ntopic 0 58\n");
    assert_eq!(read("log-start-offset-checkpoint"), "0\n1\ntopic 0 5\n");
    assert_eq!(read(".kafka_cleanshutdown"), "{\"version\":0,\"brokerEpoch\":9}");
    let meta = format!(
        "cluster.id=MkU3OEVBNTcwNTJENDM2Qg\ndirectory.id={}\nnode.id=1\nversion=1\n",
        DirectoryId::from_random(1)
    );
    assert_eq!(read("meta.properties"), meta);
}

#[test]
fn segments_roll_by_the_span_of_timestamps() {
    let (_, _, mut log) = fresh(&LogConfig { segment_ms: 1000, segment_jitter_ms: 100, ..small() });
    let rolled: Vec<bool> =
        [0, 900, 500, 901, 1801, 1802].map(|ms| lead(&mut log, &[NOW.0 + ms]).unwrap().rolled).to_vec();
    assert_eq!(rolled, [false, false, false, true, false, true]);
    assert_eq!(bases(&log), [0, 3, 5]);
}

#[test]
fn segments_roll_when_an_index_is_full_or_an_offset_too_far() {
    let (disk, _, mut log) = fresh(&LogConfig { segment_index_bytes: 24, index_interval_bytes: 0, ..small() });
    for _ in 0..9 {
        lead(&mut log, &[NOW.0]).unwrap();
    }
    assert_eq!(bases(&log), [0, 4, 8]);
    let far = i64::from(i32::MAX) + 100;
    log.append_follower(&Sent::plain(&[NOW.0]).replicated(far, 0), NOW).unwrap();
    log.append_follower(&Sent::plain(&[NOW.0]).replicated(3 * far, 0), NOW).unwrap();
    log.append_follower(&Sent::plain(&[NOW.0]).replicated(5 * far, 0), NOW).unwrap();
    assert_eq!(bases(&log), [0, 4, 8, far, 3 * far, 5 * far]);
    assert_eq!(headers(&log).len(), 12);
    log.flush_target().flush().unwrap();
    let all = read_all(&log);
    drop(log);
    disk.crash(CrashMode::Drop, 0);
    let log = open_log(&open_directory(&disk), &small()).unwrap();
    assert!(read_all(&log) == all, "the gap is no loss");
}

#[test]
fn log_append_time_is_the_answer_and_on_disk() {
    let (_, _, mut log) = fresh(&LogConfig { log_append_time: true, ..small() });
    let sent = Sent { producer: Some((1, 0, 0)), ..Sent::plain(&[5, 6, 7]) };
    let later = Timestamp(NOW.0 + 50);
    let first = log.append_leader(&sent.validated(), LeaderEpoch(0), NOW).unwrap();
    let again = log.append_leader(&sent.validated(), LeaderEpoch(0), later).unwrap();
    assert_eq!((first.append_time, first.duplicate), (NOW, false));
    assert_eq!((again.append_time, again.duplicate, again.base_offset), (NOW, true, Offset(0)));
    let header = headers(&log)[0];
    assert_eq!((header.max_timestamp, header.attributes.timestamp_type()), (NOW, TimestampType::LogAppendTime));
    assert_eq!(log.offset_for_timestamp(NOW).unwrap().unwrap().offset, Offset(0));
    assert!(log.offset_for_timestamp(later).unwrap().is_none());
}

#[test]
fn followers_refuse_what_does_not_go_on_from_their_log() {
    let (_, _, mut log) = fresh(&small());
    let batch = |offset, epoch| Sent::plain(&[NOW.0, NOW.0]).replicated(offset, epoch);
    log.append_follower(&batch(0, 5), NOW).unwrap();
    let code = |result: Result<crate::FollowerAppend, AppendError>| result.unwrap_err();
    assert!(matches!(code(log.append_follower(&batch(1, 5), NOW)), AppendError::UnexpectedOffset { .. }));
    assert!(matches!(code(log.append_follower(&batch(2, 4), NOW)), AppendError::EpochGoesBack { .. }));
    let mut damaged = batch(2, 5).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(code(log.append_follower(&damaged.into(), NOW)).code(), ErrorCode::CorruptMessage);
    let mut cut = [batch(2, 5), batch(4, 5)].concat();
    cut.pop();
    assert_eq!(code(log.append_follower(&cut.into(), NOW)).code(), ErrorCode::CorruptMessage);
    assert_eq!(log.log_end(), Offset(2), "nothing of a refused append is there");

    // An epoch in which this replica led without a record does not stand in the way of the leader's.
    log.assign_epoch_start(LeaderEpoch(9));
    assert_eq!(log.latest_epoch(), LeaderEpoch(9));
    log.append_follower(&batch(2, 5), NOW).unwrap();
    assert_eq!((log.latest_epoch(), log.epoch_end(LeaderEpoch(5))), (LeaderEpoch(5), (LeaderEpoch(5), Offset(4))));
}

#[test]
fn a_batch_larger_than_a_segment_is_refused_from_clients_only() {
    let (_, _, mut log) = fresh(&small());
    let large = Sent { value_bytes: 3000, ..Sent::plain(&[NOW.0]) };
    let refused = log.append_leader(&large.validated(), LeaderEpoch(0), NOW).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::RecordListTooLarge);
    lead(&mut log, &[NOW.0]).unwrap();
    log.append_follower(&large.replicated(1, 0), NOW).unwrap();
    assert_eq!(log.log_end(), Offset(2));
}

#[test]
fn a_full_disk_refuses_appends_and_heals() {
    let (disk, directory, mut log) = fresh(&small());
    lead(&mut log, &[NOW.0]).unwrap();
    let used: usize = files(&disk).iter().map(|(_, bytes)| bytes.len()).sum();
    // Room for a part of the next batch only.
    disk.set_capacity(Some(disk_usage(&disk).max(used as u64) + 40));
    let refused = lead(&mut log, &[NOW.0]).unwrap_err();
    assert!(matches!(refused, AppendError::DiskFull), "{refused}");
    assert!(refused.code().is_retriable() && directory.is_online());
    assert_eq!(headers(&log).len(), 1, "reads go on");
    disk.set_capacity(None);
    assert_eq!(lead(&mut log, &[NOW.0]).unwrap().base_offset, Offset(1));
    drop(log);
    disk.crash(CrashMode::Keep, 0);
    let log = open_log(&open_directory(&disk), &small()).unwrap();
    assert_eq!(log.log_end(), Offset(2));
}

#[test]
fn a_full_disk_keeps_no_log_from_being_opened_and_deletions_heal_it() {
    let (disk, directory, mut log) = fresh(&small());
    for number in 0..100 {
        lead(&mut log, &[NOW.0 + number]).unwrap();
    }
    log.flush_target().flush().unwrap();
    directory.checkpoint(&[]).unwrap();
    let (end, before) = (log.log_end(), read_all(&log));
    drop((log, directory));
    disk.crash(CrashMode::Keep, 0);
    // What is made anew when it is missing would have no room.
    for (name, _) in files(&disk).iter().filter(|(name, _)| !name.ends_with(".log") && !name.ends_with("metadata")) {
        Fs::Sim(disk.clone()).remove_file(&Path::new(DIR).join("topic-0").join(name)).unwrap();
    }
    disk.set_capacity(Some(disk_usage(&disk)));
    let directory = open_directory(&disk);
    let mut log = open_log(&directory, &small()).unwrap();
    assert!(log.log_end() == end && read_all(&log) == before);
    assert!(matches!(lead(&mut log, &[NOW.0]), Err(AppendError::DiskFull)));
    assert!(directory.checkpoint(&[(partition(), end)]).unwrap_err().is_disk_full());
    assert!(directory.is_online());
    log.update_config(LogConfig { retention_bytes: 4000, file_delete_delay_ms: 0, ..small() });
    assert!(log.apply_retention(NOW, end).unwrap().deleted_segments > 0);
    directory.checkpoint(&[(partition(), end)]).unwrap();
    assert_eq!(lead(&mut log, &[NOW.0]).unwrap().base_offset, end);
}

#[test]
fn a_flush_that_finds_the_disk_full_may_have_lost_something() {
    let (disk, directory, mut log) = fresh(&small());
    lead(&mut log, &[NOW.0]).unwrap();
    disk.fail_next_syncs(1);
    assert!(log.flush_target().flush().is_err());
    assert!(!directory.is_online());
}

/// A client's record may hold the bytes of a batch. Left behind by a write that the full disk cut short, they must not be
/// taken for one when a shorter batch ends just before them.
#[test]
fn a_write_cut_short_leaves_nothing_that_looks_like_a_batch() {
    let (disk, _, mut log) = fresh(&LogConfig { segment_bytes: 1 << 20, ..small() });
    let short = Sent::plain(&[NOW.0]).validated();
    let forged = Sent::plain(&[NOW.0]).replicated(1, 0);
    let holding_it_at = |padding: usize| {
        let mut builder = BatchBuilder::new(Compression::None);
        let value = [vec![0; padding], forged.to_vec(), vec![0; 500]].concat();
        builder.append(NOW, None, Some(&value), &[]);
        let bytes = builder.build();
        (bytes.windows(forged.len()).position(|window| window == &forged[..]).unwrap(), bytes)
    };
    let padding = short.size_in_bytes() - holding_it_at(0).0;
    let (position, bytes) = holding_it_at(padding);
    assert_eq!(position, short.size_in_bytes());
    let long = validate_produce(bytes, &partition(), &ValidationLimits::new(NOW)).unwrap();

    log.append_leader(&short, LeaderEpoch(0), NOW).unwrap();
    log.truncate_to(Offset(0), NOW).unwrap();
    disk.set_capacity(Some(disk_usage(&disk) + (position + forged.len()) as u64));
    assert!(matches!(log.append_leader(&long, LeaderEpoch(0), NOW), Err(AppendError::DiskFull)));
    log.append_leader(&short, LeaderEpoch(0), NOW).unwrap();
    drop(log);
    disk.crash(CrashMode::Keep, 0);
    assert_eq!(open_log(&open_directory(&disk), &small()).unwrap().log_end(), Offset(1));
}

fn disk_usage(disk: &SimFs) -> u64 {
    let fs = Fs::Sim(disk.clone());
    fs.total_bytes(Path::new(DIR)).unwrap() - fs.available_bytes(Path::new(DIR)).unwrap()
}

#[test]
fn an_io_error_takes_the_directory_out_of_service() {
    let (disk, directory, mut log) = fresh(&small());
    lead(&mut log, &[NOW.0]).unwrap();
    disk.inject(DIR, highwater_env::DiskFault::Write);
    assert_eq!(lead(&mut log, &[NOW.0]).unwrap_err().code(), ErrorCode::KafkaStorageError);
    assert!(!directory.is_online());
    disk.heal();
    assert!(matches!(lead(&mut log, &[NOW.0]).unwrap_err(), AppendError::Log(LogError::Offline(_))));
    assert!(matches!(open_log(&directory, &small()).unwrap_err(), LogError::Offline(_)));
}

#[test]
fn retention_by_time_takes_the_active_segment_along() {
    let (_, _, mut log) = fresh(&LogConfig { retention_ms: 1000, ..small() });
    for number in 0..50 {
        lead(&mut log, &[NOW.0 + number]).unwrap();
    }
    let end = log.log_end();
    let early = log.apply_retention(Timestamp(NOW.0 + 1000), end).unwrap();
    assert_eq!((early.deleted_segments, early.log_start), (0, Offset(0)));
    let some = log.apply_retention(Timestamp(NOW.0 + 1022), end).unwrap();
    assert_eq!((some.deleted_segments, some.log_start), (1, Offset(22)));
    let committed = log.apply_retention(Timestamp(NOW.0 + 9000), Offset(44)).unwrap();
    assert_eq!((committed.deleted_segments, committed.log_start), (1, Offset(44)), "not beyond the high watermark");
    let all = log.apply_retention(Timestamp(NOW.0 + 9000), end).unwrap();
    assert_eq!((all.deleted_segments, all.log_start, log.size_bytes()), (1, end, 0));
    assert_eq!(lead(&mut log, &[NOW.0]).unwrap().base_offset, end);
    assert!(matches!(log.reader().read(Offset(0), end, 100, true), Err(ReadError::OutOfRange { .. })));
}

#[test]
fn producers_outlive_the_segments_that_tell_of_them() {
    let (disk, directory, mut log) = fresh(&small());
    let sent = |sequence| Sent { producer: Some((5, 0, sequence)), ..Sent::plain(&[NOW.0]) }.validated();
    for sequence in 0..22 {
        log.append_leader(&sent(sequence), LeaderEpoch(0), NOW).unwrap();
    }
    // The next one rolls; nothing of it is flushed when the first segment goes and the power after it.
    let rolled = lead(&mut log, &[NOW.0]).unwrap();
    assert!(rolled.rolled);
    log.set_log_start(rolled.base_offset).unwrap();
    assert_eq!(log.apply_retention(NOW, log.log_end()).unwrap().deleted_segments, 1);
    directory.checkpoint(&[]).unwrap();
    drop(log);
    disk.crash(CrashMode::Drop, 0);
    let mut log = open_log(&open_directory(&disk), &small()).unwrap();
    let again = log.append_leader(&sent(21), LeaderEpoch(0), NOW).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.base_offset.plus(1), rolled.base_offset);
}

/// Where what lacks before a producer's batch may be on its way still, the producer is told to send again, in order; where
/// it is lost, it hears so. `OUT_OF_ORDER_SEQUENCE_NUMBER` has librdkafka begin a new epoch, which can double batches.
#[test]
fn a_gap_that_a_change_of_leaders_or_a_refusal_may_have_left_is_waited_out() {
    let (_, _, mut log) = fresh(&small());
    let send = |log: &mut Log, (producer_epoch, sequence), leader_epoch, after_ms| {
        let sent = Sent { producer: Some((5, producer_epoch, sequence)), ..Sent::plain(&[NOW.0]) }.validated();
        let appended = log.append_leader(&sent, LeaderEpoch(leader_epoch), Timestamp(NOW.0 + after_ms));
        appended
            .map_or_else(|error| error.code().name(), |appended| if appended.duplicate { "DUPLICATE" } else { "NONE" })
    };
    assert_eq!(send(&mut log, (0, 0), 0, 0), "NONE");
    assert_eq!(send(&mut log, (0, 2), 0, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER", "this leader has heard of the producer");
    assert_eq!(send(&mut log, (0, 2), 1, 2), "NOT_LEADER_OR_FOLLOWER");
    assert_eq!(send(&mut log, (0, 3), 1, 3), "NOT_LEADER_OR_FOLLOWER");
    assert_eq!(send(&mut log, (0, 0), 1, 4), "DUPLICATE");
    assert_eq!(send(&mut log, (0, 1), 1, 5), "NONE");
    assert_eq!(send(&mut log, (0, 2), 1, 6), "NONE");
    assert_eq!(send(&mut log, (0, 4), 1, 7), "OUT_OF_ORDER_SEQUENCE_NUMBER");

    assert_eq!(send(&mut log, (0, 4), 2, 1_000), "NOT_LEADER_OR_FOLLOWER");
    assert_eq!(send(&mut log, (0, 4), 2, 1_999), "NOT_LEADER_OR_FOLLOWER");
    assert_eq!(send(&mut log, (0, 4), 2, 2_000), "OUT_OF_ORDER_SEQUENCE_NUMBER", "nobody sent what lacks");
    assert_eq!(send(&mut log, (0, 2), 2, 2_001), "DUPLICATE");
    assert_eq!(send(&mut log, (0, 1), 3, 2_002), "DUPLICATE", "it is behind, not ahead");
    assert_eq!(send(&mut log, (0, i32::MAX), 3, 2_003), "OUT_OF_ORDER_SEQUENCE_NUMBER", "it is behind, not ahead");
    assert_eq!(send(&mut log, (1, 1), 4, 3_000), "NOT_LEADER_OR_FOLLOWER", "the first batch of the producer's epoch");
    assert_eq!(send(&mut log, (1, 0), 4, 3_001), "NONE");

    assert_eq!(send(&mut log, (1, 2), 4, 3_002), "OUT_OF_ORDER_SEQUENCE_NUMBER");
    log.on_refusal();
    assert_eq!(send(&mut log, (1, 2), 4, 3_003), "NOT_LEADER_OR_FOLLOWER", "what was refused may be what lacks");
    assert_eq!(send(&mut log, (1, 1), 4, 3_004), "NONE");
    assert_eq!(send(&mut log, (1, 3), 4, 3_005), "OUT_OF_ORDER_SEQUENCE_NUMBER");
}

#[test]
fn a_log_start_above_what_is_durable_empties_no_log() {
    let (disk, directory, mut log) = fresh(&small());
    for number in 0..10 {
        lead(&mut log, &[NOW.0]).unwrap();
        if number == 4 {
            log.flush_target().flush().unwrap();
        }
    }
    log.set_log_start(Offset(8)).unwrap();
    directory.checkpoint(&[]).unwrap();
    drop(log);
    disk.crash(CrashMode::Drop, 0);
    let log = open_log(&open_directory(&disk), &small()).unwrap();
    assert_eq!((log.log_start(), log.log_end()), (Offset(5), Offset(5)));
    assert!(log.size_bytes() > 0, "what was flushed is there still");
}

#[test]
fn topics_of_the_same_name_share_nothing() {
    let (disk, directory, mut log) = fresh(&small());
    for number in 0..50 {
        lead(&mut log, &[NOW.0 + number]).unwrap();
    }
    log.flush_target().flush().unwrap();
    directory.checkpoint(&[(partition(), Offset(50))]).unwrap();
    let other = TopicId::from_random(8);
    let mismatch = directory.open_log(&partition(), other, small(), NOW).unwrap_err();
    assert_eq!(mismatch.code(), ErrorCode::InconsistentTopicId);
    // The power goes after the renaming and before the checkpoints on disk forget the log.
    directory.delete_log(log, 77, NOW).unwrap();
    disk.crash(CrashMode::Keep, 0);
    let directory = open_directory(&disk);
    assert!(directory.partitions().unwrap().is_empty());
    let log = directory.open_log(&partition(), other, small(), NOW).unwrap();
    assert_eq!((log.log_end(), directory.high_watermark(&partition())), (Offset(0), None));
    assert_eq!(directory.partitions().unwrap(), [partition()].into());
    assert_eq!(directory.remove_deleted().unwrap(), 1);
    assert_eq!(directory.remove_deleted().unwrap(), 0);
}

/// The checkpoint is written while the log that it is about is deleted, and another one begins under its name.
#[test]
#[expect(clippy::disallowed_methods, reason = "there is no runtime, and the log is deleted by another thread")]
fn a_high_watermark_is_not_written_for_the_next_log_of_the_name() {
    let (_disk, directory, log) = fresh(&small());
    let (began, at_once) = std::sync::mpsc::channel();
    let deleting = directory.clone();
    let mut deleted = None;
    let gather = || {
        deleted = Some(std::thread::spawn(move || {
            deleting.delete_log(log, 77, NOW).unwrap();
            let log = deleting.open_log(&partition(), TopicId::from_random(8), small(), NOW).unwrap();
            began.send(()).unwrap();
            log
        }));
        // It does not come, unless the log can be deleted meanwhile.
        let _ = at_once.recv_timeout(std::time::Duration::from_millis(100));
        vec![(partition(), Offset(50))]
    };
    directory.checkpoint_with(gather).unwrap();
    deleted.unwrap().join().unwrap();
    assert_eq!(directory.high_watermark(&partition()), None);
}

/// What is appended after a cut is not committed because something else was, at these offsets.
#[test]
fn a_cut_lowers_the_high_watermark_on_disk() {
    let (disk, directory, mut log) = fresh(&small());
    for number in 0..50 {
        lead(&mut log, &[NOW.0 + number]).unwrap();
    }
    log.flush_target().flush().unwrap();
    directory.checkpoint(&[(partition(), Offset(50))]).unwrap();
    log.truncate_to(Offset(20), NOW).unwrap();
    drop(log);
    disk.crash(CrashMode::Drop, 0);
    let directory = open_directory(&disk);
    assert_eq!(directory.high_watermark(&partition()), Some(Offset(20)));
    let mut log = open_log(&directory, &small()).unwrap();
    log.truncate_fully_and_start_at(Offset(7), NOW).unwrap();
    assert_eq!(directory.high_watermark(&partition()), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_logs_at_once_and_under_flushes_is_no_fault_of_the_disk() {
    let scratch = tempfile::tempdir().unwrap();
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    let directory = LogDirectory::open(Fs::Real, scratch.path(), &identity).unwrap();
    let mut removals = Vec::new();
    for index in 0..16 {
        let partition = TopicPartition { partition: PartitionIndex(index), ..partition() };
        let mut log = directory.open_log(&partition, topic_id(), small(), NOW).unwrap();
        let target = log.flush_target();
        for number in 0..30 {
            lead(&mut log, &[NOW.0 + number]).unwrap();
            directory.sync().request(&target);
        }
        directory.delete_log(log, index as u128, NOW).unwrap();
        directory.sync().request(&target);
        let remover = directory.clone();
        removals.push(tokio::spawn(highwater_env::run_blocking(move || remover.remove_deleted().unwrap())));
        target.flush().unwrap();
    }
    let mut removed = 0;
    for removal in removals {
        removed += removal.await.unwrap();
    }
    assert_eq!(removed, 16);
    assert!(directory.is_online());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_batches_while_the_log_grows_and_is_cut() {
    let scratch = tempfile::tempdir().unwrap();
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    let directory = LogDirectory::open(Fs::Real, scratch.path(), &identity).unwrap();
    let mut log = directory.open_log(&partition(), topic_id(), small(), NOW).unwrap();
    let reader = log.reader();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = done.clone();
    let reading = tokio::spawn(highwater_env::run_blocking(move || {
        let mut reads = 0;
        while !stop.load(std::sync::atomic::Ordering::Acquire) {
            let end = reader.log_end();
            let from = Offset((end.get() - 30).max(0));
            match reader.read(from, end, 1 << 20, true) {
                Ok(read) => {
                    let mut next = from;
                    for batch in read.batches.iter().flat_map(split_batches) {
                        let batch = batch.expect("every batch read is whole and intact");
                        assert_eq!(batch.header().base_offset.max(from), next);
                        next = batch.header().next_offset();
                    }
                    assert_eq!(next, read.next_offset);
                    reads += 1;
                }
                Err(ReadError::OutOfRange { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        reads
    }));
    for round in 0..400 {
        // Batch sizes differ from round to round, so that old and new batches lie across each other.
        let sent = Sent { value_bytes: round % 37, ..Sent::plain(&[NOW.0; 1]) };
        for _ in 0..10 {
            log.append_leader(&sent.validated(), LeaderEpoch(0), NOW).unwrap();
        }
        log.truncate_to(log.log_end().plus(-7), NOW).unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::Release);
    assert!(reading.await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_a_truncation_overtakes_promises_nothing() {
    for round in 0..60 {
        let (disk, directory, mut log) = fresh(&small());
        let target = log.flush_target();
        let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stop = done.clone();
        let flushing = tokio::spawn(highwater_env::run_blocking(move || {
            while !stop.load(std::sync::atomic::Ordering::Acquire) && target.flush().is_ok() {}
        }));
        tokio::task::yield_now().await;
        for step in 0..20 {
            let sent = Sent { value_bytes: (round + step) % 50, ..Sent::plain(&[NOW.0]) };
            for _ in 0..4 {
                log.append_leader(&sent.validated(), LeaderEpoch(0), NOW).unwrap();
            }
            log.truncate_to(log.log_end().plus(-3), NOW).unwrap();
            log.append_leader(&sent.validated(), LeaderEpoch(0), NOW).unwrap();
        }
        let flushed = log.flushed();
        disk.crash(CrashMode::Drop, 0);
        done.store(true, std::sync::atomic::Ordering::Release);
        flushing.await.unwrap();
        drop((log, directory));
        let log = open_log(&open_directory(&disk), &small()).unwrap();
        assert!(log.log_end() >= flushed, "{flushed} was promised, {} is there", log.log_end());
    }
}

#[test]
fn a_directory_belongs_to_one_process_one_node_and_one_cluster() {
    let disk = SimFs::new();
    let open = |node_id: i32, cluster_id: Option<&str>| {
        let cluster_id = cluster_id.map(str::to_owned);
        let identity =
            Identity { node_id: BrokerId(node_id), cluster_id, new_directory_id: DirectoryId::from_random(4) };
        LogDirectory::open(Fs::Sim(disk.clone()), Path::new(DIR), &identity)
    };
    let directory = open(1, None).unwrap();
    let id = directory.id();
    assert!(matches!(open(1, None).unwrap_err(), LogDirectoryError::Locked(_)));
    assert_eq!(directory.cluster_id(), None);
    directory.bind_cluster_id("one").unwrap();
    directory.bind_cluster_id("one").unwrap();
    assert_eq!(directory.bind_cluster_id("two").unwrap_err().code(), ErrorCode::InconsistentClusterId);
    drop(directory);
    assert!(matches!(open(2, None).unwrap_err(), LogDirectoryError::OtherNode { .. }));
    assert!(matches!(open(1, Some("two")).unwrap_err(), LogDirectoryError::OtherCluster { .. }));
    let directory = open(1, Some("one")).unwrap();
    assert_eq!((directory.id(), directory.cluster_id().as_deref()), (id, Some("one")));
}

#[test]
fn closing_makes_the_indexes_of_rolled_segments_durable() {
    let (disk, directory, mut log) = fresh(&small());
    let append = |log: &mut Log, count: i64| (0..count).for_each(|n| _ = lead(log, &[NOW.0 + n]).unwrap());
    // An older, shorter index of the first segment is on disk.
    append(&mut log, 12);
    log.close().unwrap();
    let mut log = open_log(&directory, &small()).unwrap();
    (0..10).for_each(|n| _ = lead(&mut log, &[NOW.0 + 100 + n]).unwrap());
    log.flush_target().flush().unwrap();
    // All batches are flushed when the roll comes, and the one it was for goes again.
    append(&mut log, 1);
    log.truncate_to(Offset(22), NOW).unwrap();
    assert_eq!(bases(&log), [0, 22]);
    let expected = log.max_timestamp().unwrap();
    log.close().unwrap();
    assert!(directory.close(None).unwrap());
    disk.crash(CrashMode::Drop, 0);
    let log = open_log(&open_directory(&disk), &small()).unwrap();
    assert_eq!(log.max_timestamp().unwrap(), expected);
    assert_eq!(log.offset_for_timestamp(Timestamp(NOW.0 + 11)).unwrap().unwrap().offset, Offset(11));
}

#[test]
fn a_log_left_open_is_no_clean_shutdown() {
    let (disk, directory, mut log) = fresh(&small());
    lead(&mut log, &[NOW.0]).unwrap();
    assert!(!directory.close(None).unwrap());
    log.close().unwrap();
    assert!(directory.close(None).unwrap());
    drop(directory);
    assert!(open_directory(&disk).was_clean_shutdown());
    assert!(!open_directory(&disk).was_clean_shutdown(), "the marker holds once");
}

#[test]
fn an_idle_log_holds_no_file_open_and_goes_on() {
    let (disk, _directory, mut log) = fresh(&small());
    for number in 0..50 {
        lead(&mut log, &[NOW.0 + number]).unwrap();
    }
    log.apply_retention(NOW, Offset(50)).unwrap();
    let all_open = |log: &Log| log.reader.view().segments.iter().filter(|segment| segment.is_open()).count();
    assert!(all_open(&log) > 1, "what is not flushed stays open");
    log.flush_target().flush().unwrap();
    let before = read_all(&log);
    for _ in 0..2 {
        log.apply_retention(NOW, Offset(50)).unwrap();
    }
    assert_eq!(all_open(&log), 0);
    let loaded = log.reader.view().segments.iter().filter(|segment| segment.is_index_loaded()).count();
    assert_eq!(loaded, 1, "only the active segment's index, which is in no file yet");
    assert_eq!(read_all(&log), before);
    lead(&mut log, &[NOW.0]).unwrap();
    assert_eq!(log.log_end(), Offset(51));
    drop(disk);
}

#[test]
fn a_timestamp_of_the_future_does_not_keep_a_segment() {
    let config = LogConfig { retention_ms: 1_000, ..small() };
    let (_disk, _directory, mut log) = fresh(&config);
    let future = NOW.0 + 365 * 24 * 60 * 60 * 1000;
    for number in 0..50 {
        lead(&mut log, &[future + number]).unwrap();
    }
    log.flush_target().flush().unwrap();
    assert_eq!(log.apply_retention(Timestamp(NOW.0 + 900), Offset(50)).unwrap().deleted_segments, 0, "too young");
    assert!(log.apply_retention(Timestamp(NOW.0 + 1_100), Offset(50)).unwrap().deleted_segments > 1);
    assert_eq!(log.log_start(), Offset(50));
}

#[test]
fn files_of_deleted_segments_and_partitions_stay_for_a_while() {
    let config = LogConfig { file_delete_delay_ms: 500, ..small() };
    let (disk, directory, mut log) = fresh(&config);
    for number in 0..50 {
        lead(&mut log, &[NOW.0 + number]).unwrap();
    }
    log.flush_target().flush().unwrap();
    log.set_log_start(Offset(40)).unwrap();
    let deleted = log.apply_retention(NOW, Offset(50)).unwrap().deleted_segments;
    let aside = |disk: &SimFs| files(disk).iter().filter(|(name, _)| name.ends_with(".log.deleted")).count();
    assert_eq!((aside(&disk), deleted > 0), (deleted, true));
    assert_eq!(directory.remove_due(Timestamp(NOW.0 + 499)).unwrap(), 0);
    assert!(directory.remove_due(Timestamp(NOW.0 + 500)).unwrap() >= deleted);
    assert_eq!(aside(&disk), 0);

    directory.delete_log(log, 5, Timestamp(NOW.0 + 600)).unwrap();
    let left =
        |disk: &SimFs| Fs::Sim(disk.clone()).read_dir(Path::new("data")).unwrap().iter().any(|entry| entry.is_dir);
    assert_eq!(directory.remove_due(Timestamp(NOW.0 + 1_099)).unwrap(), 0);
    assert!(left(&disk), "the directory of a deleted partition stays as long");
    assert_eq!(directory.remove_due(Timestamp(NOW.0 + 1_100)).unwrap(), 1);
    assert!(!left(&disk));
}

/// DeleteRecords may cut amid a batch, and batches are never split: so a follower that begins at the leader's log start gets
/// one that begins before.
#[test]
fn an_empty_log_that_starts_within_a_batch_takes_it() {
    let (disk, directory, mut log) = fresh(&small());
    log.truncate_fully_and_start_at(Offset(3), NOW).unwrap();
    let before = log.append_follower(&Sent::plain(&[NOW.0; 3]).replicated(0, 1), NOW);
    assert!(matches!(before, Err(AppendError::UnexpectedOffset { .. })), "none of it is wanted");
    log.append_follower(&Sent::plain(&[NOW.0; 8]).replicated(0, 1), NOW).unwrap();
    let range = |log: &Log| (log.log_start(), log.log_end(), log.flushed());
    assert_eq!(range(&log), (Offset(3), Offset(8), Offset(8)));
    let within = log.append_follower(&Sent::plain(&[NOW.0; 8]).replicated(5, 1), NOW);
    assert!(matches!(within, Err(AppendError::UnexpectedOffset { .. })), "only the first batch may");
    drop((log, directory));
    disk.crash(CrashMode::Drop, 0);
    let log = open_log(&open_directory(&disk), &small()).unwrap();
    assert_eq!(range(&log), (Offset(3), Offset(8), Offset(8)));
}
