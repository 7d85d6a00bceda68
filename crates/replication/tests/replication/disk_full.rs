//! A full disk: what clients write is refused, the rest goes on, and it heals without a restart.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use highwater_env::Fs;
use highwater_records::{BatchBuilder, Compression};
use highwater_replication::{Acks, PartitionRole};
use highwater_types::*;
use tokio::time::Instant;

use crate::cluster::Cluster;

const RESERVE: u64 = 20_000;

fn committed_offset() -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(highwater_env::clock::wall_ms(), Some(b"group"), Some(b"offset"), &[]);
    batch.build()
}

fn available(cluster: &Cluster, node: usize) -> u64 {
    Fs::Sim(cluster.disks[node].clone()).available_bytes(Path::new("data")).unwrap()
}

/// To be cut takes room as well: for the marks.
#[tokio::test]
async fn a_replica_without_room_to_be_cut_is_cut_once_there_is() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    cluster.kill(1, false).await;
    cluster.kill(2, false).await;
    cluster.append(0, id, Acks::Leader).unwrap();
    // A clean stop leaves the mark of what is flushed at the end of the log.
    cluster.stop(0).await;
    cluster.controller.change(id, |partition| {
        partition.leader = BrokerId(1);
        partition.isr = vec![BrokerId(1), BrokerId(2)];
    });
    cluster.run(0).await;
    cluster.disks[0].set_capacity(Some(cluster.disks[0].used_bytes()));
    cluster.run(1).await;
    cluster.run(2).await;
    cluster.produce(1, id).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = cluster.status(0, id);
    assert_eq!((status.role, status.log_end), (PartitionRole::Follower, Offset(2)));
    cluster.disks[0].set_capacity(None);
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(0, id), cluster.values(1, id));
}

/// Appends until the leader refuses; how often it did not.
fn fill(cluster: &mut Cluster, id: TopicIdPartition) -> usize {
    for number in 0..10_000 {
        if let Err(refused) = cluster.append_of_size(0, id, Acks::All, 500) {
            assert_eq!(refused.code, ErrorCode::KafkaStorageError);
            return number;
        }
    }
    panic!("never full")
}

#[tokio::test]
async fn only_clients_writes_stop_at_the_reserve_and_deletions_heal_it() {
    let mut cluster = Cluster::start(3).await;
    for node in 0..3 {
        cluster.stop(node).await;
    }
    cluster.reserve_bytes = RESERVE;
    for node in 0..3 {
        cluster.disks[node].set_capacity(Some(100_000));
        cluster.run(node).await;
    }
    let configs = [("segment.bytes", "5000"), ("file.delete.delay.ms", "0"), ("min.insync.replicas", "2")];
    let id = cluster.create_topic("t", &configs);
    let offsets = cluster.create_topic("__consumer_offsets", &[("file.delete.delay.ms", "0")]);
    let appended = fill(&mut cluster, id);
    assert!(appended > 50, "{appended}");
    assert!(available(&cluster, 0) > RESERVE / 2);
    // What the leader took reaches the followers, out of their reserves if need be, and none leaves the ISR.
    cluster.until_in_sync(id).await;
    // Offsets are committed, records are read, metadata change.
    let leader_epoch = cluster.controller.partition(offsets).leader_epoch;
    for _ in 0..10 {
        let replicas = cluster.node(0).replicas.clone();
        let appended = replicas.append_internal(offsets, leader_epoch, committed_offset()).unwrap();
        tokio::time::timeout(Duration::from_secs(10), appended.wait.unwrap()).await.unwrap().unwrap();
    }
    assert!(!cluster.fetch(0, id, 0).is_empty());
    let other = cluster.create_topic("other", &configs);
    cluster.until("created", |cluster| cluster.node(0).replicas.partition_status(other).is_some()).await;
    assert_eq!(cluster.append(0, other, Acks::All).unwrap_err().code, ErrorCode::KafkaStorageError);
    // Every node starts again on the full disk.
    for node in (0..3).rev() {
        cluster.kill(node, false).await;
        cluster.controller.fence(BrokerId(node as i32), &[id, offsets, other]);
        cluster.run(node).await;
        cluster.until_in_sync(id).await;
    }
    assert_eq!(cluster.append(1, id, Acks::All).unwrap_err().code, ErrorCode::KafkaStorageError);
    // Records are deleted: there is room, and nobody had to be restarted.
    let deadline = Instant::now() + Duration::from_secs(20);
    cluster.node(1).replicas.clone().delete_records(id, None, deadline).await.unwrap();
    cluster.until("room", |cluster| (0..3).all(|node| available(cluster, node) > 70_000)).await;
    cluster.produce(1, id).await;
    cluster.until_in_sync(id).await;
}
