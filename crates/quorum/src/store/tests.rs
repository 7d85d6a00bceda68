use std::collections::BTreeMap;
use std::path::PathBuf;

use highwater_controller::{
    AllocateProducerIds, Bootstrap, BrokerSession, Command, ConfigOperation, ConfigOperationKind, ControllerConfig,
    CreateTopics, CreateTopicsEntry, DeleteTopics, IncrementalAlterConfigs, RegisterBroker, ResourceConfigOperations,
    TopicSelector, UnfenceBroker, decide,
};
use highwater_env::{CrashMode, SimFs, SimKv};
use highwater_metadata::{ConfigResource, Endpoint, HostPort, MetadataImage, NodeSoftware, SecurityProtocol};
use highwater_rpc::metadata::encode_records;
use highwater_types::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, MetadataOffset, Timestamp};
use openraft::EntryPayload;
use openraft::StorageError;
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt, RaftSnapshotBuilder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::raft_types::{DecidedRecords, Entry, LogId, TypeConfig, Vote};

/// A disk in memory with the stores on it.
#[derive(Clone)]
struct Disk {
    kv: SimKv,
    fs: SimFs,
}

impl Disk {
    fn new() -> Self {
        Self { kv: SimKv::new(), fs: SimFs::new() }
    }

    fn env(&self) -> Env {
        Env::in_memory(self.fs.clone(), self.kv.clone())
    }

    fn open(&self) -> (LogStore, StateMachine) {
        open_stores(&self.env(), &PathBuf::from("metadata"))
    }

    fn lose_power(&self) {
        self.kv.crash(CrashMode::Drop, 0);
        self.fs.crash(CrashMode::Drop, 0);
    }
}

fn open_stores(env: &Env, dir: &Path) -> (LogStore, StateMachine) {
    let kv = open_database(env, dir).unwrap();
    let state_machine =
        StateMachine::open(kv.clone(), SnapshotDir::new(env.fs.clone(), dir), NodeSoftware::of_this_build()).unwrap();
    (LogStore::open(kv).unwrap(), state_machine)
}

struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, ()> for InMemory {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError<TypeConfig>> {
        let (log, state_machine) = Disk::new().open();
        Ok(((), log, state_machine))
    }
}

struct OnRocksDb;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for OnRocksDb {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::real(Arc::new(highwater_kv_rocksdb::RocksDb));
        let (log, state_machine) = open_stores(&env, dir.path());
        Ok((dir, log, state_machine))
    }
}

#[tokio::test]
async fn openraft_suite_on_the_store_in_memory() {
    Suite::test_all(InMemory).await.unwrap();
}

#[tokio::test]
async fn openraft_suite_on_rocksdb() {
    Suite::test_all(OnRocksDb).await.unwrap();
}

fn blank(term: u64, index: u64) -> Entry {
    Entry { log_id: LogId::new_term_index(term, index), payload: EntryPayload::Blank }
}

fn normal(index: u64, base_offset: MetadataOffset, records: &[highwater_metadata::MetadataRecord]) -> Entry {
    let decided = DecidedRecords { base_offset, records: encode_records(records) };
    Entry { log_id: LogId::new_term_index(1, index), payload: EntryPayload::Normal(decided) }
}

/// What a power loss leaves of the log: indexes from first to last.
async fn indexes(log: &mut LogStore) -> Vec<u64> {
    let entries = log.get_log_reader().await.try_get_log_entries(..).await.unwrap();
    entries.iter().map(|entry| entry.log_id.index()).collect()
}

#[tokio::test]
async fn a_power_loss_keeps_votes_and_flushed_entries() {
    let disk = Disk::new();
    let (mut log, _) = disk.open();
    log.blocking_append([blank(1, 0), blank(1, 1)]).await.unwrap();
    log.save_vote(&Vote::new(2, 3.into())).await.unwrap();
    disk.lose_power();
    let (mut log, _) = disk.open();
    assert_eq!(indexes(&mut log).await, [0, 1]);
    assert_eq!(log.get_log_reader().await.read_vote().await.unwrap(), Some(Vote::new(2, 3.into())));
}

#[tokio::test]
async fn entries_are_readable_before_they_are_flushed_and_lost_with_the_power() {
    let disk = Disk::new();
    let (mut log, _) = disk.open();
    log.blocking_append([blank(1, 0)]).await.unwrap();
    // Nobody polls the flusher in between: this test is the only task that runs.
    let kv = log.kv_for_test();
    kv.write(
        vec![highwater_env::KvOp::Put { cf: RAFT_LOG, key: 1u64.to_be_bytes().to_vec(), value: encoded(1, 1) }],
        false,
    )
    .unwrap();
    assert_eq!(indexes(&mut log).await, [0, 1]);
    disk.lose_power();
    assert_eq!(indexes(&mut disk.open().0).await, [0]);
}

fn encoded(term: u64, index: u64) -> Vec<u8> {
    prost::Message::encode_to_vec(&crate::wire::entry_to_pb(&blank(term, index)))
}

#[tokio::test]
async fn a_failed_flush_is_reported_and_never_forgotten() {
    let disk = Disk::new();
    let (mut log, _) = disk.open();
    disk.kv.fail_writes(true);
    assert!(log.save_vote(&Vote::new(1, 1.into())).await.is_err());
    disk.kv.fail_writes(false);
    assert_eq!(log.get_log_reader().await.read_vote().await.unwrap(), None, "the vote was not given");
}

#[tokio::test]
async fn a_limited_read_stops_after_a_megabyte() {
    let (mut log, _) = Disk::new().open();
    let big = vec![0u8; 300 * 1024];
    let entries = (0..10).map(|index| {
        let decided = DecidedRecords { base_offset: MetadataOffset(0), records: big.clone().into() };
        Entry { log_id: LogId::new_term_index(1, index), payload: EntryPayload::Normal(decided) }
    });
    log.blocking_append(entries).await.unwrap();
    let mut reader = log.get_log_reader().await;
    assert_eq!(reader.limited_get_log_entries(2, 10).await.unwrap().len(), 4);
    assert_eq!(reader.try_get_log_entries(2..).await.unwrap().len(), 8);
}

/// Commands of all kinds, most of them legal.
fn random_command(rng: &mut SmallRng, image: &MetadataImage) -> Command {
    let broker = BrokerId(rng.random_range(1..=3));
    let topic = format!("topic-{}", rng.random_range(0..6));
    let session = BrokerSession { id: broker, epoch: image.broker_epoch(broker) };
    match rng.random_range(0..10) {
        0..=1 => Command::RegisterBroker(registration(broker, rng.random_range(1..4))),
        2..=3 => Command::UnfenceBroker(UnfenceBroker { session, metadata_offset: image.offset() }),
        4..=6 => Command::CreateTopics(CreateTopics {
            topics: vec![CreateTopicsEntry {
                name: topic,
                num_partitions: rng.random_range(1..4),
                replication_factor: 1,
                assignments: vec![],
                configs: vec![("retention.ms".to_owned(), Some("1000".to_owned()))],
            }],
            validate_only: false,
        }),
        7 => Command::DeleteTopics(DeleteTopics { topics: vec![TopicSelector::Name(topic)] }),
        8 => Command::AllocateProducerIds(AllocateProducerIds { session }),
        _ => Command::IncrementalAlterConfigs(IncrementalAlterConfigs {
            resources: vec![ResourceConfigOperations {
                replaces: false,
                resource: match highwater_types::TopicName::new(&topic) {
                    Ok(topic) if rng.random() => ConfigResource::Topic(topic),
                    _ => ConfigResource::DefaultBroker,
                },
                operations: vec![ConfigOperation {
                    name: "min.insync.replicas".to_owned(),
                    kind: if rng.random() { ConfigOperationKind::Set } else { ConfigOperationKind::Delete },
                    value: Some("1".to_owned()),
                }],
            }],
            validate_only: false,
        }),
    }
}

fn registration(id: BrokerId, run: u128) -> RegisterBroker {
    let endpoint = Endpoint {
        name: "PLAINTEXT".to_owned(),
        host: "localhost".to_owned(),
        port: 9092,
        security_protocol: SecurityProtocol::Plaintext,
    };
    RegisterBroker {
        id,
        incarnation: IncarnationId::from_random(run),
        cluster_id: None,
        listeners: vec![endpoint],
        internal: HostPort { host: "localhost".to_owned(), port: 9093 },
        rack: None,
        log_dirs: vec![DirectoryId::from_random(1000 + id.0 as u128)],
        has_offline_log_dirs: false,
        clean_shutdown: true,
        previous_session_valid: false,
        software: NodeSoftware::of_this_build(),
    }
}

/// Replays random decisions, and checks after each few that a store opened anew, and one built from a snapshot, have the
/// same image.
#[tokio::test]
async fn the_image_survives_restarts_and_snapshots() {
    for seed in 0..8 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let disk = Disk::new();
        let (_, mut state_machine) = disk.open();
        let mut image = MetadataImage::empty();
        let bootstrap = Bootstrap {
            cluster_id: "cluster".to_owned(),
            features: BTreeMap::from([("eligible.leader.replicas.version".to_owned(), 1)]),
        };
        let mut command = Command::Bootstrap(bootstrap);
        for index in 0..120 {
            let decision = decide(&image, &ControllerConfig::default(), Timestamp(0), &mut rng, &command);
            let end = MetadataOffset(image.offset().0 + decision.records.len() as i64);
            let entry = normal(index, image.offset(), &decision.records);
            state_machine.apply_for_test(vec![entry]).unwrap();
            image = image.apply(&decision.records, end).0;
            command = random_command(&mut rng, &image);
            if index % 10 == 9 {
                let (_, reopened) = disk.open();
                assert_eq!(*reopened.feed().image(), image, "seed {seed}, entry {index}: reopened");
            }
        }
        assert!(image.topic_count() > 0 && image.brokers().count() > 0, "seed {seed} did something");
        let snapshot = state_machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
        let other = Disk::new();
        let (_, mut follower) = other.open();
        follower.install_snapshot(&snapshot.meta, snapshot.snapshot).await.unwrap();
        assert_eq!(follower.feed().image().hash(), image.hash(), "seed {seed}: snapshot");
        other.lose_power();
        let (_, mut follower) = other.open();
        assert_eq!(*follower.feed().image(), image, "seed {seed}: snapshot after a power loss");
        assert_eq!(follower.applied_state().await.unwrap(), state_machine.applied_state().await.unwrap());
    }
}

#[tokio::test]
async fn an_entry_decided_elsewhere_changes_nothing() {
    let (_, mut state_machine) = Disk::new().open();
    let record = [highwater_metadata::MetadataRecord::NoOp];
    state_machine.apply_for_test(vec![normal(0, MetadataOffset(0), &record)]).unwrap();
    state_machine.apply_for_test(vec![normal(1, MetadataOffset(0), &record), blank(1, 2)]).unwrap();
    assert_eq!(state_machine.feed().image().offset(), MetadataOffset(1));
    assert_eq!(state_machine.applied_state().await.unwrap().0, Some(LogId::new_term_index(1, 2)));
    assert_eq!(BrokerEpoch::NONE, BrokerEpoch(-1));
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused() {
    let (_, mut state_machine) = Disk::new().open();
    let record = [highwater_metadata::MetadataRecord::ClusterId("one".to_owned())];
    state_machine.apply_for_test(vec![normal(0, MetadataOffset(0), &record)]).unwrap();
    let snapshot = state_machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let bytes: Vec<u8> = snapshot.snapshot.0.to_vec();
    let place = bytes.windows(3).position(|window| window == b"one").unwrap();
    let mut damaged = bytes.clone();
    damaged[place] = b'O';
    let (_, mut other) = Disk::new().open();
    assert!(other.install_snapshot(&snapshot.meta, SnapshotBytes(damaged.into())).await.is_err());
    assert_eq!(other.feed().image().offset(), MetadataOffset(0));
}
