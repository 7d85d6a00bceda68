//! Logs that nobody uses are closed while the node runs, and nothing else changes.

use std::path::Path;

use highwater_env::{DiskFault, Fs};
use highwater_replication::PartitionRole;
use highwater_types::*;

use crate::cluster::{Cluster, batch};
use crate::transactions::{append, idempotent, marker, transactional};

/// Closing a log leaves a snapshot of its producers at its end.
fn is_closed(cluster: &Cluster, node: usize, topic: &str, log_end: i64) -> bool {
    let snapshot = format!("data/{topic}-0/{log_end:020}.snapshot");
    Fs::Sim(cluster.disks[node].clone()).exists(Path::new(&snapshot)).expect("a disk in memory")
}

async fn until_closed(cluster: &Cluster, nodes: &[usize], log_end: i64) {
    let closed = |cluster: &Cluster| nodes.iter().all(|&node| is_closed(cluster, node, "t", log_end));
    cluster.until("the log is closed", closed).await;
}

#[tokio::test]
async fn a_closed_log_goes_on_where_it_was() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    append(&cluster, 0, id, idempotent(7, 0)).await;
    append(&cluster, 0, id, batch("plain")).await;
    until_closed(&cluster, &[0, 1], 2).await;

    // Who waits at the end opens nothing: a look at the files would take the directory out of service.
    cluster.disks[0].inject("data/t-0/", DiskFault::Any);
    assert_eq!(cluster.fetch(0, id, 2), []);
    let status = cluster.status(0, id);
    assert_eq!((status.log_end, status.high_watermark, status.flushed), (Offset(2), Offset(2), Offset(2)));
    assert!(status.size_bytes > 0);
    cluster.disks[0].heal();

    // What it knew of producers is there again, and followers go on as well.
    let again = cluster.node(0).replicas.append(id, &idempotent(7, 0), highwater_replication::Acks::All);
    assert!(again.expect("recognised").duplicate);
    assert_eq!(cluster.produce(0, id).await, Offset(2));
    assert_eq!(cluster.fetch(0, id, 0).len(), 3);
    until_closed(&cluster, &[0, 1], 3).await;
    cluster.kill(0, true).await;
    cluster.controller.fence(BrokerId(0), &[id]);
    cluster.until("the other leads", |cluster| cluster.status(1, id).role == PartitionRole::Leader).await;
    assert_eq!(cluster.fetch(1, id, 0).len(), 3);
    cluster.run(0).await;
    cluster.until_in_sync(id).await;
    assert_eq!((cluster.status(0, id).log_end, cluster.values(0, id)), (Offset(3), cluster.values(1, id)));
}

#[tokio::test]
async fn what_is_known_of_a_closed_log_outlives_a_clean_stop() {
    let mut cluster = Cluster::start(1).await;
    let id = cluster.create_topic("t", &[]);
    for end in 1..=3 {
        cluster.produce(0, id).await;
        until_closed(&cluster, &[0], end).await;
        cluster.stop(0).await;
        cluster.disks[0].inject("data/t-0/", DiskFault::Any);
        cluster.run(0).await;
        assert_eq!(cluster.status(0, id).log_end, Offset(end), "without a look at its files");
        cluster.disks[0].heal();
        assert_eq!(cluster.fetch(0, id, 0).len() as i64, end);
    }
}

#[tokio::test]
async fn a_log_with_an_open_transaction_stays_open() {
    let mut cluster = Cluster::start(1).await;
    let (id, other) = (cluster.create_topic("t", &[]), cluster.create_topic("other", &[]));
    append(&cluster, 0, id, transactional(7, 0)).await;
    cluster.produce(0, other).await;
    cluster.until("the other log is closed", |cluster| is_closed(cluster, 0, "other", 1)).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(!is_closed(&cluster, 0, "t", 1), "what is stable, only the open log can tell");
    append(&cluster, 0, id, marker(7, true)).await;
    until_closed(&cluster, &[0], 2).await;
}
