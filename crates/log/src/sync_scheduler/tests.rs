use std::path::Path;
use std::time::Duration;

use highwater_env::{Fs, SimFs};
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
