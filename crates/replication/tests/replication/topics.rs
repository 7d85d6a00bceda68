//! Topics come, change and go.

use std::path::Path;
use std::time::Duration;

use highwater_env::Fs;
use highwater_metadata::{ConfigResource, MetadataRecord};
use highwater_replication::{Acks, PartitionRole};
use highwater_types::*;

use crate::cluster::Cluster;

fn directories(cluster: &Cluster, node: usize) -> Vec<String> {
    let entries = Fs::Sim(cluster.disks[node].clone()).read_dir(Path::new("data")).unwrap();
    entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect()
}

#[tokio::test]
async fn a_deleted_topic_leaves_nothing() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[("file.delete.delay.ms", "50")]);
    cluster.produce(0, id).await;
    let waiting = cluster.append(0, id, Acks::All).unwrap().wait.unwrap();
    cluster.controller.commit(&[MetadataRecord::RemoveTopic { id: id.topic_id }]);
    assert!(matches!(waiting.await, Ok(()) | Err(ErrorCode::NotLeaderOrFollower)));
    assert!(cluster.node(0).replicas.partition_status(id).is_none());
    assert_eq!(cluster.append(0, id, Acks::Leader).unwrap_err().code, ErrorCode::UnknownTopicOrPartition);
    cluster.until("files removed", |cluster| (0..2).all(|node| directories(cluster, node).is_empty())).await;
    // A topic of the same name shares nothing with it.
    let again = cluster.create_topic("t", &[]);
    assert_eq!(cluster.produce(0, again).await, Offset(0));
}

#[tokio::test]
async fn directories_of_a_deleted_topic_wait_for_their_time_or_for_the_next_process() {
    let mut cluster = Cluster::start(1).await;
    let id = cluster.create_topic("t", &[("file.delete.delay.ms", "3600000")]);
    cluster.produce(0, id).await;
    cluster.controller.commit(&[MetadataRecord::RemoveTopic { id: id.topic_id }]);
    cluster.until("deleted", |cluster| cluster.node(0).replicas.partition_status(id).is_none()).await;
    let is_waiting =
        |names: &[String]| matches!(names, [name] if name.starts_with("t-0.") && name.ends_with("-delete"));
    cluster.until("renamed", |cluster| is_waiting(&directories(cluster, 0))).await;
    // Retention looks every 100 ms for files whose time has come.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(is_waiting(&directories(&cluster, 0)), "{:?}", directories(&cluster, 0));
    cluster.kill(0, false).await;
    cluster.run(0).await;
    cluster.until("removed", |cluster| directories(cluster, 0).is_empty()).await;
}

#[tokio::test]
async fn what_was_deleted_while_a_broker_was_down_is_set_aside() {
    let mut cluster = Cluster::start(2).await;
    let old = cluster.create_topic("recreated", &[]);
    let gone = cluster.create_topic("gone", &[]);
    cluster.produce(0, old).await;
    cluster.produce(0, gone).await;
    cluster.kill(1, false).await;
    let removals = [old, gone].map(|id| MetadataRecord::RemoveTopic { id: id.topic_id });
    cluster.controller.commit(&removals);
    let new = cluster.create_topic("recreated", &[]);
    cluster.run(1).await;
    assert_eq!(cluster.produce(0, new).await, Offset(0));
    let found = directories(&cluster, 1);
    assert_eq!(found.iter().filter(|name| name.ends_with("-stray")).count(), 2, "{found:?}");
    assert!(found.contains(&"recreated-0".to_owned()));
}

#[tokio::test]
async fn a_changed_configuration_applies() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[]);
    cluster.kill(1, false).await;
    cluster.controller.fence(BrokerId(1), &[id]);
    cluster.produce(0, id).await;
    cluster.controller.commit(&[MetadataRecord::Config {
        resource: ConfigResource::Topic(TopicName::new("t").unwrap()),
        name: "min.insync.replicas".to_owned(),
        value: Some("2".to_owned()),
    }]);
    assert_eq!(cluster.status(0, id).min_isr, 2);
    assert_eq!(cluster.append(0, id, Acks::All).unwrap_err().code, ErrorCode::NotEnoughReplicas);
}

/// What the metadata says about an earlier run of this broker is about a leader that may have lost records.
#[tokio::test]
async fn metadata_of_an_earlier_process_is_not_obeyed() {
    let mut cluster = Cluster::start(1).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    // The broker has registered anew, and the metadata does not know yet.
    cluster.node(0).lease.set_epoch(BrokerEpoch(77));
    cluster.controller.change(id, |partition| partition.leader = BrokerId::NONE);
    assert_eq!(cluster.status(0, id).leader_epoch, LeaderEpoch(0));
    cluster.register(0, BrokerEpoch(77));
    let status = cluster.status(0, id);
    assert_eq!((status.role, status.leader_epoch), (PartitionRole::Offline, LeaderEpoch(1)));
}

#[tokio::test]
async fn figures_are_collected() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    let figures = cluster.node(0).replicas.figures().remove(0);
    assert_eq!((figures.log_end, figures.high_watermark, figures.segments), (Offset(1), Offset(1), 1));
    assert!(figures.size_bytes > 61 && figures.leads() && !figures.is_under_replicated());
    assert_eq!(figures.follower_lags, [(BrokerId(1), 0)]);
    let behind = |offset| cluster.node(0).replicas.records_behind("t", PartitionIndex(0), Offset(offset));
    assert_eq!((behind(0), behind(1), behind(5)), (Some(1), Some(0), Some(0)));
    assert!(cluster.node(0).replicas.timestamp_near("t", PartitionIndex(0), Offset(0)).is_some());
    assert_eq!(cluster.node(0).replicas.timestamp_near("t", PartitionIndex(0), Offset(1)), None);
    assert!(cluster.metric(0, "kafka_server_brokertopicmetrics_replicationbytesout_total") > 61.0);
    assert_eq!(cluster.metric(0, "kafka_server_replicamanager_underreplicatedpartitions"), 0.0);
    assert_eq!(cluster.metric(0, "kafka_server_replicamanager_isrshrinks_total"), 0.0);
    cluster.kill(1, false).await;
    cluster.controller.fence(BrokerId(1), &[id]);
    assert_eq!(cluster.metric(0, "kafka_server_replicamanager_underreplicatedpartitions"), 1.0);
    assert_eq!(cluster.metric(0, "kafka_server_replicamanager_isrshrinks_total"), 1.0);
}
