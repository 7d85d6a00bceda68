use std::path::Path;
use std::time::Duration;

use highwater_env::{CrashMode, Fs, SimFs};
use highwater_records::{BatchBuilder, Compression, ValidationLimits, validate_produce};
use highwater_types::{
    BrokerId, DirectoryId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicName,
    TopicPartition,
};
use tokio::sync::mpsc;

use super::*;
use crate::flush_target::FlushListener;
use crate::{AppendError, Identity, LeaderAppend, Log, LogConfig, LogDirectory};

struct Tell(mpsc::UnboundedSender<Offset>);

impl FlushListener for Tell {
    fn on_flushed(&self, flushed: Offset) {
        self.0.send(flushed).unwrap();
    }
}

fn directory(disk: &SimFs) -> Arc<LogDirectory> {
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    LogDirectory::open(Fs::Sim(disk.clone()), Path::new("data"), &identity).unwrap()
}

fn open(directory: &LogDirectory, index: i32) -> Log {
    let partition = TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(index) };
    directory.open_log(&partition, TopicId::from_random(2), LogConfig::default(), Timestamp(0)).unwrap()
}

fn append(log: &mut Log) -> Result<LeaderAppend, AppendError> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Timestamp(0), None, Some(b"value"), &[]);
    let batch = validate_produce(builder.build(), log.topic_partition(), &ValidationLimits::new(Timestamp(0))).unwrap();
    log.append_leader(&batch, LeaderEpoch(0), Timestamp(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_by_a_flush_that_covers_it() {
    let disk = SimFs::new();
    let directory = directory(&disk);
    let (sender, mut flushed) = mpsc::unbounded_channel();
    let mut logs: Vec<Log> = (0..20).map(|index| open(&directory, index)).collect();
    for log in &logs {
        log.flush_target().set_listener(Arc::new(Tell(sender.clone())));
    }
    for _ in 0..50 {
        for log in &mut logs {
            append(log).unwrap();
            directory.sync().request(&log.flush_target());
        }
        tokio::task::yield_now().await;
    }
    while logs.iter().any(|log| log.flushed() < Offset(50)) {
        assert!(flushed.recv().await.unwrap() > Offset::ZERO);
    }
    assert!(logs.iter().all(|log| log.flushed() == log.log_end()));
}

#[tokio::test]
async fn a_failed_flush_takes_the_directory_out_of_service_for_good() {
    let disk = SimFs::new();
    let directory = directory(&disk);
    let (sender, mut reasons) = mpsc::unbounded_channel();
    directory.on_offline(move |reason| sender.send(reason.to_owned()).unwrap());
    let mut log = open(&directory, 0);
    append(&mut log).unwrap();
    disk.fail_next_syncs(1);
    directory.sync().request(&log.flush_target());
    let reason = tokio::time::timeout(Duration::from_secs(30), reasons.recv()).await.expect("the sync fails");
    assert!(reason.unwrap().contains("injected"));
    assert!(!directory.is_online());
    assert_eq!(log.flushed(), Offset::ZERO);
    // The disk would take it now; nothing is tried again.
    directory.sync().request(&log.flush_target());
    tokio::task::yield_now().await;
    assert!(log.flush_target().flush().is_err());
    assert_eq!(log.flushed(), Offset::ZERO);
    assert_eq!(append(&mut log).unwrap_err().code(), ErrorCode::KafkaStorageError);
}

fn logs(directory: &LogDirectory, count: i32, told: &mpsc::UnboundedSender<Offset>) -> Vec<Log> {
    let logs: Vec<Log> = (0..count).map(|index| open(directory, index)).collect();
    logs.iter().for_each(|log| log.flush_target().set_listener(Arc::new(Tell(told.clone()))));
    logs
}

#[tokio::test]
async fn many_logs_are_durable_after_one_sync_of_the_directory() {
    let disk = SimFs::new();
    let directory = directory(&disk);
    let (sender, mut flushed) = mpsc::unbounded_channel();
    let mut logs = logs(&directory, 10, &sender);
    logs.iter_mut().for_each(|log| _ = append(log).unwrap());
    // They gather while a worker is at work: this test is that worker.
    *directory.sync().state.lock() = State { workers: 1, gather: true, ..State::default() };
    logs.iter().for_each(|log| directory.sync().request(&log.flush_target()));
    let before = directory.sync().flush_times().get_sample_count();
    directory.sync().work();
    assert_eq!(directory.sync().flush_times().get_sample_count() - before, 1);
    for _ in &logs {
        assert_eq!(flushed.try_recv(), Ok(Offset(1)));
    }
    assert_eq!(disk.unflushed_bytes(), 0);
    let content: Vec<_> = logs.iter().map(|log| log.reader().read(Offset(0), Offset(1), 1000, true).unwrap()).collect();
    drop((logs, directory));
    disk.crash(CrashMode::Drop, 1);
    let directory = self::directory(&disk);
    for (index, before) in content.into_iter().enumerate() {
        let log = open(&directory, index.try_into().unwrap());
        assert_eq!(log.reader().read(Offset(0), Offset(1), 1000, true).unwrap(), before);
    }
}

#[test]
fn the_disk_rests_only_after_syncs_for_several_logs_and_not_for_long() {
    let us = Duration::from_micros;
    assert_eq!([1, 2, SEVERAL_LOGS - 1].map(|logs| rest_after(logs, us(300))), [None; 3]);
    assert_eq!(rest_after(SEVERAL_LOGS, us(100)), Some(us(400)));
    assert_eq!(rest_after(1_000, us(900)), Some(us(2_000)));
    assert_eq!(rest_after(1_000, Duration::from_secs(5)), Some(us(2_000)));
}

#[tokio::test]
async fn a_log_that_was_cut_during_the_sync_is_flushed_by_itself() {
    let disk = SimFs::new();
    let directory = directory(&disk);
    let mut log = open(&directory, 0);
    append(&mut log).unwrap();
    append(&mut log).unwrap();
    let target = log.flush_target();
    let unflushed = target.begin().unwrap().unwrap();
    log.truncate_to(Offset(1), Timestamp(0)).unwrap();
    append(&mut log).unwrap();
    assert!(!target.on_directory_synced(&unflushed), "the second batch is another one by now");
    assert!(target.flushed() <= Offset(1));
    target.flush().unwrap();
    assert_eq!(target.flushed(), Offset(2));
}

#[tokio::test]
async fn a_failed_sync_of_the_directory_makes_nothing_durable() {
    let disk = SimFs::new();
    let directory = directory(&disk);
    let (sender, mut flushed) = mpsc::unbounded_channel();
    let mut logs = logs(&directory, 10, &sender);
    let (tell_offline, mut reasons) = mpsc::unbounded_channel();
    directory.on_offline(move |reason| tell_offline.send(reason.to_owned()).unwrap());
    logs.iter_mut().for_each(|log| _ = append(log).unwrap());
    disk.fail_next_syncs(1);
    logs.iter().for_each(|log| directory.sync().request(&log.flush_target()));
    assert!(reasons.recv().await.unwrap().contains("injected"));
    tokio::task::yield_now().await;
    assert!(logs.iter().all(|log| log.flushed() == Offset::ZERO));
    assert!(flushed.try_recv().is_err());
}

#[tokio::test]
async fn after_a_long_sync_logs_are_flushed_apart() {
    let disk = SimFs::new();
    let directory = directory(&disk);
    let (sender, mut flushed) = mpsc::unbounded_channel();
    let mut logs = logs(&directory, 10, &sender);
    let later = clock::mono_ms() + Duration::from_secs(1000);
    directory.sync().state.lock().apart_until = Some(later);
    logs.iter_mut().for_each(|log| _ = append(log).unwrap());
    logs.iter().for_each(|log| directory.sync().request(&log.flush_target()));
    for _ in &logs {
        assert_eq!(flushed.recv().await, Some(Offset(1)));
    }
    assert_eq!(directory.sync().state.lock().apart_until, Some(later));
}
