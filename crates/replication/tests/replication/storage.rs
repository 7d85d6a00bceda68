//! What replicas do with their logs besides appending: compaction, damage.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use highwater_env::Fs;
use highwater_replication::Acks;
use highwater_types::*;

use crate::cluster::{Cluster, keyed_batch};

#[tokio::test]
async fn every_replica_compacts_and_a_new_one_gets_the_compacted_log() {
    let mut cluster = Cluster::start(3).await;
    let configs = [("cleanup.policy", "compact"), ("segment.bytes", "4000"), ("min.cleanable.dirty.ratio", "0.01")];
    let id = cluster.create_topic("c", &configs);
    cluster.kill(2, false).await;
    cluster.controller.fence(BrokerId(2), &[id]);
    let mut last = BTreeMap::new();
    for number in 0..300 {
        let (key, value) = (format!("key-{}", number % 7), format!("{number:040}"));
        let replicas = cluster.node(0).replicas.clone();
        let appended = replicas.append(id, &keyed_batch(Some(&key), &value), Acks::All).unwrap();
        appended.wait.unwrap().await.unwrap();
        last.insert(key, (appended.base_offset.get(), value));
    }
    // One segment, at most, of what is not compacted.
    let is_compacted = |cluster: &Cluster, node| cluster.values(node, id).len() < 60;
    cluster.until("compacted", |cluster| is_compacted(cluster, 0) && is_compacted(cluster, 1)).await;
    cluster.run(2).await;
    cluster.until_in_sync(id).await;
    for node in 0..3 {
        assert_eq!(cluster.status(node, id).log_end, Offset(300), "offsets stay");
        let values = cluster.values(node, id);
        assert!(last.values().all(|record| values.contains(record)), "node {node}: {values:?}");
    }
    let (mut fetched, mut from) = (Vec::new(), 0);
    while from < 300 {
        fetched.extend(cluster.fetch(0, id, from));
        from = fetched.last().map_or(300, |(offset, _)| offset + 1);
    }
    assert!(fetched.is_sorted_by_key(|(offset, _)| *offset) && last.values().all(|record| fetched.contains(record)));
}

#[tokio::test]
async fn a_damaged_replica_leaves_the_isr_and_gets_everything_again() {
    let mut cluster = Cluster::start_with(3, Duration::from_millis(1_500)).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "1")]);
    for _ in 0..20 {
        cluster.produce(0, id).await;
    }
    cluster.until_in_sync(id).await;
    let fs = Fs::Sim(cluster.disks[2].clone());
    let checkpoint = Path::new("data/recovery-point-offset-checkpoint");
    cluster.until("a durable mark", |_| fs.read(checkpoint).is_ok_and(|text| text.ends_with(b" 20\n"))).await;
    // Its leader last found it in sync just now.
    cluster.produce(0, id).await;
    cluster.kill(2, false).await;
    cluster.disks[2].decay(Path::new("data/t-0/00000000000000000000.log"), 70).unwrap();
    // Nobody fenced it: the metadata says it is in sync, so it must not come back empty before that changes.
    assert_eq!(cluster.controller.partition(id).isr.len(), 3);
    cluster.run(2).await;
    let status = cluster.node(2).replicas.partition_status(id);
    assert!(status.is_none(), "not out of service: {status:?}");
    // The leader notices once there is something that it does not get.
    cluster.append(0, id, Acks::Leader).unwrap();
    cluster.until("left the ISR", |cluster| cluster.node(2).replicas.partition_status(id).is_some()).await;
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(2, id), cluster.values(0, id));
    let names: Vec<String> = fs.read_dir(Path::new("data")).unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(names.iter().any(|name| name.starts_with("t-0.") && name.ends_with("-quarantined")), "{names:?}");
}

#[tokio::test]
async fn deleted_records_are_gone_on_every_replica_and_stay_gone() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for _ in 0..20 {
        cluster.produce(0, id).await;
    }
    let leader = cluster.node(0).replicas.clone();
    assert_eq!(leader.delete_records(id, Some(Offset(21))), Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(cluster.node(1).replicas.delete_records(id, None), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(leader.delete_records(id, Some(Offset(12))), Ok(Offset(12)));
    assert_eq!(leader.delete_records(id, Some(Offset(3))), Ok(Offset(12)), "it never goes back");
    drop(leader);
    let starts = |cluster: &Cluster| (0..3).map(|node| cluster.status(node, id).log_start).collect::<Vec<_>>();
    cluster.until("followers know", |cluster| starts(cluster) == [Offset(12); 3]).await;
    let checkpoint = Path::new("data/log-start-offset-checkpoint");
    let durable = |cluster: &Cluster, node: usize| {
        cluster.disks[node].durable_content(checkpoint).unwrap().is_some_and(|text| text.ends_with(b"t 0 12\n"))
    };
    assert!(durable(&cluster, 0), "the leader's is durable at once");
    cluster.until("durable", |cluster| (0..3).all(|node| durable(cluster, node))).await;
    for node in 0..3 {
        cluster.kill(node, true).await;
    }
    for node in 0..3 {
        cluster.run(node).await;
    }
    cluster.until_in_sync(id).await;
    assert_eq!(starts(&cluster), [Offset(12); 3]);
    assert_eq!(cluster.node(0).replicas.delete_records(id, None), Ok(Offset(20)));
}
