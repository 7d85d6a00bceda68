//! Replicas move between the log directories of a node (AlterReplicaLogDirs, KIP-113).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_env::{DiskFault, Fs};
use highwater_metadata::MetadataRecord;
use highwater_replication::{Acks, FutureReplicaStatus, PartitionRole};
use highwater_types::*;
use tokio::time::Instant;

use crate::cluster::{Cluster, directory_id, keyed_batch};

const LAG_MAX: Duration = Duration::from_secs(30);

fn name(topic: &str) -> TopicPartition {
    TopicPartition { topic: TopicName::new(topic).unwrap(), partition: PartitionIndex(0) }
}

/// Asks a node to move partition 0 of a topic.
fn alter(cluster: &Cluster, node: usize, topic: &str, path: &str) -> Result<(), ErrorCode> {
    cluster.node(node).replicas.alter_log_dirs(&[(name(topic), PathBuf::from(path))]).remove(0)
}

/// Where a replica of a node is, and the copy of it.
fn place(cluster: &Cluster, node: usize, id: TopicIdPartition) -> (Option<PathBuf>, Option<FutureReplicaStatus>) {
    let topic = cluster.status(node, id).topic;
    let directories = cluster.node(node).replicas.log_directories();
    let home = directories.iter().find(|one| one.replicas.iter().any(|replica| replica.id == id));
    let future = directories.iter().flat_map(|one| &one.futures).find(|future| future.topic == topic);
    (home.map(|one| one.path.clone()), future.cloned())
}

fn is_at(cluster: &Cluster, node: usize, id: TopicIdPartition, path: &str) -> bool {
    place(cluster, node, id) == (Some(PathBuf::from(path)), None)
}

/// The directories of partitions, and what moves left.
fn dirs(cluster: &Cluster, node: usize) -> Vec<String> {
    let fs = Fs::Sim(cluster.disks[node].clone());
    let of = |path: &&str| {
        let entries = fs.read_dir(Path::new(path)).unwrap().into_iter().filter(|entry| entry.is_dir);
        entries.map(|entry| format!("{path}/{}", entry.name)).collect::<Vec<_>>()
    };
    cluster.log_dirs.iter().flat_map(of).collect()
}

/// One partition on all nodes, with records of several segments; on node 0 in directory "a".
async fn start(nodes: usize, configs: &[(&str, &str)]) -> (Cluster, TopicIdPartition) {
    let mut cluster = Cluster::start_in(nodes, LAG_MAX, &["a", "b"]).await;
    let all: Vec<_> = [("segment.bytes", "3000")].iter().chain(configs).copied().collect();
    let id = cluster.create_topic("t", &all);
    for _ in 0..30 {
        cluster.append_of_size(0, id, Acks::All, 300).unwrap().wait.unwrap().await.unwrap();
    }
    cluster.until_in_sync(id).await;
    assert!(is_at(&cluster, 0, id, "a"));
    (cluster, id)
}

fn assigned(cluster: &Cluster, id: TopicIdPartition) -> DirectoryId {
    cluster.controller.partition(id).directories[0]
}

async fn until_moved(cluster: &Cluster, id: TopicIdPartition, path: &str) {
    let number = cluster.log_dirs.iter().position(|log_dir| *log_dir == path).unwrap();
    cluster.until("moved", |cluster| is_at(cluster, 0, id, path)).await;
    cluster.until("told", |cluster| assigned(cluster, id) == directory_id(0, number)).await;
    let only = [format!("{path}/t-0")];
    cluster.until("nothing is left", |cluster| dirs(cluster, 0) == only).await;
}

#[tokio::test]
async fn a_leader_moves_while_it_serves_and_keeps_its_epoch() {
    let (mut cluster, id) = start(2, &[]).await;
    let before = cluster.controller.partition(id);
    assert_eq!(alter(&cluster, 0, "t", "b"), Ok(()));
    for _ in 0..20 {
        cluster.produce(0, id).await;
        assert!(!cluster.fetch(0, id, 0).is_empty());
    }
    until_moved(&cluster, id, "b").await;
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    let after = cluster.controller.partition(id);
    assert_eq!((after.leader_epoch, &after.isr), (before.leader_epoch, &before.isr));
    assert_eq!(cluster.values(0, id), cluster.values(1, id));
    assert_eq!(cluster.fetch(0, id, 0).len(), 51);
    // Nothing is lost with the power of all.
    for node in 0..2 {
        cluster.kill(node, true).await;
    }
    cluster.run(0).await;
    cluster.run(1).await;
    cluster.until_in_sync(id).await;
    assert!(is_at(&cluster, 0, id, "b"));
    assert_eq!(cluster.values(0, id).len(), 51);
    // And back.
    assert_eq!(alter(&cluster, 0, "t", "a"), Ok(()));
    until_moved(&cluster, id, "a").await;
    assert_eq!(cluster.values(0, id), cluster.values(1, id));
}

#[tokio::test]
async fn what_cannot_be_moved_is_refused_as_kafka_does() {
    let (mut cluster, id) = start(1, &[]).await;
    assert_eq!(alter(&cluster, 0, "t", "nowhere"), Err(ErrorCode::LogDirNotFound));
    assert_eq!(alter(&cluster, 0, "unknown", "b"), Err(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(alter(&cluster, 0, "t", "a"), Ok(()), "it is there");
    cluster.disks[0].inject("b", DiskFault::Write);
    assert_eq!(alter(&cluster, 0, "t", "b"), Err(ErrorCode::KafkaStorageError));
    cluster.until("noticed", |cluster| !cluster.controller.failures().is_empty()).await;
    assert_eq!(alter(&cluster, 0, "t", "b"), Err(ErrorCode::KafkaStorageError));
    assert!(is_at(&cluster, 0, id, "a"));
    cluster.produce(0, id).await;
}

#[tokio::test]
async fn a_replica_that_is_not_here_yet_begins_where_it_was_told_to() {
    let mut cluster = Cluster::start_in(2, LAG_MAX, &["a", "b"]).await;
    let id = cluster.create_topic("t", &[]);
    cluster.controller.change_replicas(id, &[BrokerId(0)]);
    cluster.produce(0, id).await;
    assert_eq!(alter(&cluster, 1, "t", "b"), Err(ErrorCode::ReplicaNotAvailable));
    cluster.controller.change_replicas(id, &[BrokerId(0), BrokerId(1)]);
    cluster.until_in_sync(id).await;
    assert!(is_at(&cluster, 1, id, "b"));
}

const THROTTLE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";

/// Begins a move that stands still after the first batch.
async fn start_slowly(cluster: &Cluster, id: TopicIdPartition) {
    cluster.controller.set_broker_config(THROTTLE, "1");
    assert_eq!(alter(cluster, 0, "t", "b"), Ok(()));
    cluster.until("it began", |cluster| place(cluster, 0, id).1.is_some_and(|future| future.size_bytes > 0)).await;
}

fn speed_up(cluster: &Cluster) {
    cluster.controller.set_broker_config(THROTTLE, "1000000000");
}

#[tokio::test]
async fn a_move_ends_when_it_is_taken_back_or_the_topic_goes() {
    let (mut cluster, id) = start(1, &[("file.delete.delay.ms", "0")]).await;
    start_slowly(&cluster, id).await;
    let (home, future) = place(&cluster, 0, id);
    assert_eq!((home, future.unwrap().offset_lag), (Some(PathBuf::from("a")), 29));
    assert_eq!(alter(&cluster, 0, "t", "b"), Ok(()), "it is on its way");
    assert_eq!(alter(&cluster, 0, "t", "a"), Ok(()));
    assert!(is_at(&cluster, 0, id, "a"));
    cluster.until("no copy", |cluster| dirs(cluster, 0) == ["a/t-0"]).await;
    assert_eq!(cluster.produce(0, id).await, Offset(30));
    start_slowly(&cluster, id).await;
    cluster.controller.commit(&[MetadataRecord::RemoveTopic { id: id.topic_id }]);
    cluster.until("nothing", |cluster| dirs(cluster, 0).is_empty()).await;
}

#[tokio::test]
async fn a_move_goes_on_after_a_restart() {
    for (stopped, power_loss) in [(true, false), (false, false), (false, true)] {
        let (mut cluster, id) = start(1, &[]).await;
        start_slowly(&cluster, id).await;
        match stopped {
            true => cluster.stop(0).await,
            false => cluster.kill(0, power_loss).await,
        }
        cluster.run(0).await;
        cluster.until("there again", |cluster| place(cluster, 0, id).1.is_some()).await;
        speed_up(&cluster);
        until_moved(&cluster, id, "b").await;
        assert_eq!(cluster.values(0, id).len(), 30, "{stopped} {power_loss}");
    }
}

/// What another leader contradicts must not be in the copy.
#[tokio::test]
async fn a_cut_of_the_log_cuts_the_copy() {
    let (mut cluster, id) = start(2, &[]).await;
    cluster.kill(1, false).await;
    for _ in 0..4 {
        cluster.append(0, id, Acks::Leader).unwrap();
    }
    // All of it in one slice, and then a pause.
    cluster.controller.set_broker_config(THROTTLE, "30000");
    assert_eq!(alter(&cluster, 0, "t", "b"), Ok(()));
    cluster.until("copied", |cluster| place(cluster, 0, id).1.is_none_or(|future| future.offset_lag == 0)).await;
    cluster.controller.set_broker_config(THROTTLE, "1");
    cluster.controller.change(id, |partition| partition.leader = BrokerId(1));
    cluster.run(1).await;
    cluster.produce(1, id).await;
    cluster.until_in_sync(id).await;
    assert_eq!(place(&cluster, 0, id).1.map(|future| future.offset_lag), Some(1), "cut, and stands still");
    speed_up(&cluster);
    until_moved(&cluster, id, "b").await;
    assert_eq!(cluster.values(0, id), cluster.values(1, id));
    assert_eq!(cluster.values(0, id).len(), 31);
}

/// The disk stops after some change of the move, and the power goes: the replica is there again, whole, and moves at last.
#[tokio::test]
async fn a_power_loss_at_any_point_of_a_move_loses_nothing() {
    let mut ends = [0; 2];
    for changes in (0..90).step_by(4) {
        let (mut cluster, id) = start(1, &[]).await;
        cluster.until("told", |cluster| assigned(cluster, id) == directory_id(0, 0)).await;
        cluster.disks[0].stop_after(changes);
        let _ = alter(&cluster, 0, "t", "b");
        let patience = Instant::now() + Duration::from_secs(2);
        while Instant::now() < patience && cluster.controller.failures().is_empty() && !is_at(&cluster, 0, id, "b") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        cluster.kill(0, true).await;
        cluster.disks[0].heal();
        cluster.run(0).await;
        cluster.until("there again", |cluster| cluster.node(0).replicas.partition_status(id).is_some()).await;
        if cluster.status(0, id).role != PartitionRole::Leader {
            // A directory that failed had taken the leadership away.
            cluster.controller.change(id, |partition| {
                partition.isr = vec![BrokerId(0)];
                partition.leader = BrokerId(0);
            });
        }
        assert_eq!(cluster.values(0, id).len(), 30, "after {changes} changes");
        ends[usize::from(is_at(&cluster, 0, id, "b"))] += 1;
        assert_eq!(cluster.produce(0, id).await, Offset(30));
        assert_eq!(alter(&cluster, 0, "t", "b"), Ok(()));
        until_moved(&cluster, id, "b").await;
    }
    assert!(ends.iter().all(|&count| count > 1), "{ends:?}");
}

/// One change of the disk finds no room, whichever it is: the move goes on when there is some, or after a restart where that left a
/// directory out of service.
#[tokio::test]
async fn a_move_that_finds_no_room_goes_on() {
    let moves = (0..100).step_by(3).map(|changes| async move {
        let (mut cluster, id) = start(1, &[]).await;
        cluster.until("told", |cluster| assigned(cluster, id) == directory_id(0, 0)).await;
        cluster.disks[0].fail_one_after(changes, ErrorKind::StorageFull);
        if alter(&cluster, 0, "t", "b").is_err() {
            assert_eq!(alter(&cluster, 0, "t", "b"), Ok(()));
        }
        let failed = |cluster: &Cluster| !cluster.controller.failures().is_empty();
        cluster.until("it goes on", |cluster| is_at(cluster, 0, id, "b") || failed(cluster)).await;
        let restarted = failed(&cluster);
        if restarted {
            cluster.kill(0, false).await;
            cluster.run(0).await;
        }
        until_moved(&cluster, id, "b").await;
        assert_eq!(cluster.values(0, id).len(), 30);
        restarted
    });
    let restarted = futures::future::join_all(moves).await;
    println!("{} of {} after a restart", restarted.iter().filter(|restarted| **restarted).count(), restarted.len());
}

/// P10: the cluster still believes the replica to be in the directory that it left, and the other one is not there.
#[tokio::test]
async fn a_replica_that_was_moved_to_a_missing_directory_is_not_made_anew() {
    let (mut cluster, id) = start(1, &[]).await;
    cluster.until("told", |cluster| assigned(cluster, id) == directory_id(0, 0)).await;
    cluster.controller.deaf(true);
    assert_eq!(alter(&cluster, 0, "t", "b"), Ok(()));
    cluster.until("moved", |cluster| is_at(cluster, 0, id, "b")).await;
    cluster.produce(0, id).await;
    cluster.kill(0, false).await;
    cluster.controller.deaf(false);
    cluster.unreadable = vec!["b"];
    cluster.run(0).await;
    assert_eq!(cluster.node(0).replicas.partition_status(id), None);
    cluster.kill(0, false).await;
    cluster.unreadable.clear();
    cluster.run(0).await;
    until_moved(&cluster, id, "b").await;
    assert_eq!(cluster.values(0, id).len(), 31);
}

/// Compaction works on the files of the log: the move waits for it, and keeps its result.
#[tokio::test]
async fn a_compacted_log_moves_with_its_gaps() {
    let configs = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01"), ("segment.bytes", "1000")];
    let cluster = Cluster::start_in(2, LAG_MAX, &["a", "b"]).await;
    let id = cluster.create_topic("t", &configs);
    for number in 0..60 {
        let batch = keyed_batch(Some(&format!("key-{}", number % 3)), &format!("value-{number}"));
        cluster.node(0).replicas.append(id, &batch, Acks::All).unwrap().wait.unwrap().await.unwrap();
    }
    cluster.until("compacted", |cluster| cluster.fetch(0, id, 0).len() < 40).await;
    assert_eq!(alter(&cluster, 0, "t", "b"), Ok(()));
    until_moved(&cluster, id, "b").await;
    let found = cluster.fetch(0, id, 0);
    assert!(found.len() < 40 && found.last().unwrap().0 == 59, "{found:?}");
    for number in 57..60 {
        assert!(found.contains(&(number, format!("value-{number}"))));
    }
}
