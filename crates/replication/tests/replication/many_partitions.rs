//! Partitions that nobody uses cost nothing: no file before the first batch, no look at their files after a clean stop.

use std::path::Path;

use highwater_env::{DiskFault, Fs};
use highwater_replication::PartitionRole;
use highwater_types::*;

use crate::cluster::Cluster;

const PARTITIONS: usize = 2_000;
const USED_EVERY: usize = 500;

/// Directories of partitions on the disk of node 0.
fn directories(cluster: &Cluster) -> usize {
    let entries = Fs::Sim(cluster.disks[0].clone()).read_dir(Path::new("data")).expect("a disk in memory");
    entries.iter().filter(|entry| entry.is_dir && entry.name.ends_with("-0")).count()
}

#[tokio::test]
async fn partitions_that_nobody_uses_leave_no_trace() {
    let mut cluster = Cluster::start(1).await;
    let ids: Vec<TopicIdPartition> =
        (0..PARTITIONS).map(|number| cluster.create_topic(&format!("t{number}"), &[])).collect();
    let used: Vec<TopicIdPartition> = ids.iter().copied().step_by(USED_EVERY).collect();
    let led = |cluster: &Cluster| {
        let statuses = cluster.node(0).replicas.statuses();
        statuses.iter().filter(|status| status.role == PartitionRole::Leader).count()
    };
    assert_eq!((led(&cluster), directories(&cluster)), (PARTITIONS, 0));
    for &id in &used {
        cluster.produce(0, id).await;
        cluster.produce(0, id).await;
    }
    assert_eq!(directories(&cluster), used.len());

    // Any look at the files of a partition would take the directory out of service.
    cluster.stop(0).await;
    let disk = cluster.disks[0].clone();
    (0..PARTITIONS).step_by(USED_EVERY).for_each(|number| disk.inject(format!("data/t{number}-0/"), DiskFault::Any));
    cluster.run(0).await;
    assert_eq!(led(&cluster), PARTITIONS, "all lead as soon as the metadata are applied");
    for &id in &used {
        let status = cluster.status(0, id);
        assert_eq!((status.log_end, status.high_watermark, status.flushed), (Offset(2), Offset(2), Offset(2)));
        assert!(status.size_bytes > 0);
    }
    disk.heal();
    for &id in &used {
        assert_eq!(cluster.fetch(0, id, 0).len(), 2);
        assert_eq!(cluster.produce(0, id).await, Offset(2));
    }

    // A clean stop where some were not opened keeps what is known of them.
    cluster.stop(0).await;
    cluster.run(0).await;
    assert_eq!(cluster.produce(0, used[0]).await, Offset(3));
    cluster.stop(0).await;
    cluster.run(0).await;
    assert_eq!(used.iter().map(|&id| cluster.status(0, id).log_end.get()).collect::<Vec<_>>(), [4, 3, 3, 3]);

    // After a crash, those that have files are recovered.
    cluster.produce(0, used[1]).await;
    cluster.kill(0, true).await;
    cluster.run(0).await;
    assert_eq!(led(&cluster), PARTITIONS);
    assert_eq!(used.iter().map(|&id| cluster.status(0, id).log_end.get()).collect::<Vec<_>>(), [4, 4, 3, 3]);
    assert_eq!(directories(&cluster), used.len());
}

#[tokio::test]
async fn a_node_that_could_not_recover_all_does_not_stop_cleanly() {
    let mut cluster = Cluster::start(1).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    let fs = Fs::Sim(cluster.disks[0].clone());
    let checkpoint = Path::new("data/recovery-point-offset-checkpoint");
    cluster.until("a durable mark", |_| fs.read(checkpoint).is_ok_and(|text| text.ends_with(b"t 0 1\n"))).await;
    cluster.kill(0, false).await;
    cluster.disks[0].decay(Path::new("data/t-0/00000000000000000000.log"), 70).unwrap();
    cluster.run(0).await;
    assert_eq!(cluster.node(0).replicas.partition_status(id), None, "damaged below what was flushed");
    cluster.stop(0).await;
    assert!(
        !fs.exists(Path::new("data/.kafka_cleanshutdown")).unwrap(),
        "the next start would believe the damaged log"
    );
}
