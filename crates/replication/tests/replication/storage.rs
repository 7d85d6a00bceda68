//! What replicas do with their logs besides appending: deletion, damage.

use std::path::Path;
use std::time::Duration;

use highwater_env::Fs;
use highwater_replication::{Acks, PartitionRole};
use highwater_types::*;
use tokio::time::Instant;

use crate::cluster::Cluster;

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
    // Nobody fenced it: the metadata say it is in sync, so it must not come back empty before that changes.
    assert_eq!(cluster.controller.partition(id).isr.len(), 3);
    cluster.controller.deaf(true);
    cluster.run(2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let status = cluster.node(2).replicas.partition_status(id);
    assert!(status.is_none(), "not out of service: {status:?}");
    cluster.controller.deaf(false);
    cluster.until("left the ISR", |cluster| cluster.node(2).replicas.partition_status(id).is_some()).await;
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(2, id), cluster.values(0, id));
    let names: Vec<String> = fs.read_dir(Path::new("data")).unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(names.iter().any(|name| name.starts_with("t-0.") && name.ends_with("-quarantined")), "{names:?}");
}

/// A cut is the only one to look at these batches again.
#[tokio::test]
async fn a_replica_whose_cut_meets_damage_gets_everything_again() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for _ in 0..3 {
        cluster.produce(0, id).await;
    }
    cluster.until_in_sync(id).await;
    cluster.kill(1, false).await;
    cluster.kill(2, false).await;
    cluster.append(0, id, Acks::Leader).unwrap();
    // The length of the first batch.
    cluster.disks[0].decay(Path::new("data/t-0/00000000000000000000.log"), 8).unwrap();
    cluster.controller.change(id, |partition| {
        partition.leader = BrokerId(1);
        partition.isr = vec![BrokerId(1), BrokerId(2)];
    });
    cluster.run(1).await;
    cluster.run(2).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(0, id), cluster.values(1, id));
}

#[tokio::test]
async fn deleted_records_are_gone_on_every_replica_and_stay_gone() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for _ in 0..20 {
        cluster.produce(0, id).await;
    }
    assert_eq!(delete(&cluster, 0, id, Some(21)).await, Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(delete(&cluster, 0, id, Some(-2)).await, Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(delete(&cluster, 1, id, None).await, Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(delete(&cluster, 0, id, Some(12)).await, Ok(Offset(12)));
    assert_eq!(delete(&cluster, 0, id, Some(3)).await, Ok(Offset(12)), "it never goes back");
    let starts = |cluster: &Cluster| (0..3).map(|node| cluster.status(node, id).log_start).collect::<Vec<_>>();
    assert_eq!(starts(&cluster), [Offset(12); 3], "on all replicas when it is answered");
    let checkpoint = Path::new("data/log-start-offset-checkpoint");
    for node in 0..3 {
        let durable = cluster.disks[node].durable_content(checkpoint).unwrap();
        assert!(durable.is_some_and(|text| text.ends_with(b"t 0 12\n")), "durable on node {node}");
    }
    for node in 0..3 {
        cluster.kill(node, true).await;
    }
    for node in 0..3 {
        cluster.run(node).await;
    }
    cluster.until_in_sync(id).await;
    assert_eq!(starts(&cluster), [Offset(12); 3]);
    assert_eq!(delete(&cluster, 0, id, None).await, Ok(Offset(20)));
}

#[tokio::test]
async fn deleted_records_stay_gone_whoever_leads_after_a_power_loss() {
    for durability in ["strict", "relaxed"] {
        for winner in 0..3 {
            let mut cluster = Cluster::start(3).await;
            let configs = [("min.insync.replicas", "2"), ("highwater.durability", durability)];
            let id = cluster.create_topic("t", &configs);
            for _ in 0..9 {
                cluster.produce(0, id).await;
            }
            cluster.append(0, id, Acks::Leader).unwrap();
            let deleted = delete(&cluster, 0, id, None).await.unwrap();
            assert!(deleted >= Offset(9), "all that was committed: {deleted}");
            // First the one that leads next, before it could write anything more.
            for node in [winner, (winner + 1) % 3, (winner + 2) % 3] {
                cluster.kill(node, true).await;
            }
            cluster.controller.change(id, |state| state.leader = BrokerId(winner as i32));
            for node in 0..3 {
                cluster.run(node).await;
            }
            cluster.until("led", |cluster| cluster.status(winner, id).role == PartitionRole::Leader).await;
            let status = cluster.status(winner, id);
            assert!(status.log_start >= deleted, "{durability}, node {winner}: {status:?}");
        }
    }
}

#[tokio::test]
async fn a_deletion_waits_for_every_replica_that_may_lead_next() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "1")]);
    for _ in 0..5 {
        cluster.produce(0, id).await;
    }
    cluster.until_in_sync(id).await;
    cluster.kill(2, false).await;
    let replicas = cluster.node(0).replicas.clone();
    let soon = Instant::now() + Duration::from_millis(200);
    assert_eq!(replicas.delete_records(id, Some(Offset(4)), soon).await, Err(ErrorCode::RequestTimedOut));
    assert_eq!(cluster.status(0, id).log_start, Offset(4), "gone here all the same");
    let waits = tokio::spawn(async move {
        replicas.delete_records(id, Some(Offset(5)), Instant::now() + Duration::from_secs(20)).await
    });
    cluster.until("deleted", |cluster| cluster.status(1, id).log_start == Offset(5)).await;
    assert!(!waits.is_finished(), "node 2 may still be elected");
    cluster.controller.fence(BrokerId(2), &[id]);
    assert_eq!(waits.await.unwrap(), Ok(Offset(5)));
    cluster.run(2).await;
    cluster.until("told", |cluster| cluster.status(2, id).log_start == Offset(5)).await;
    let compacted = cluster.create_topic("c", &[("cleanup.policy", "compact")]);
    assert_eq!(delete(&cluster, 0, compacted, None).await, Err(ErrorCode::PolicyViolation));
}

async fn delete(
    cluster: &Cluster,
    node: usize,
    id: TopicIdPartition,
    offset: Option<i64>,
) -> Result<Offset, ErrorCode> {
    let deadline = Instant::now() + Duration::from_secs(20);
    cluster.node(node).replicas.delete_records(id, offset.map(Offset), deadline).await
}
