//! Replicas that are behind: on streams of their own, at a limited rate, and never at the cost of what is in sync.

use highwater_metadata::config::REASSIGNMENT_THROTTLE;
use highwater_metadata::{ConfigResource, MetadataRecord};
use highwater_replication::Acks;
use highwater_types::*;

use crate::cluster::Cluster;

/// What the third node misses: more than one frame, which passes before a follower's throttle is felt.
const MISSED: i64 = 40;
const RECORD_BYTES: usize = 100_000;

fn set_rate(cluster: &Cluster, key: &str, rate: Option<u64>) {
    let (resource, name, value) = (ConfigResource::DefaultBroker, key.to_owned(), rate.map(|rate| rate.to_string()));
    cluster.controller.commit(&[MetadataRecord::Config { resource, name, value }]);
}

fn third(cluster: &Cluster, id: TopicIdPartition) -> i64 {
    cluster.status(2, id).log_end.get()
}

/// A topic with these settings that the third node, which was away, has almost nothing of.
async fn behind(configs: &[(&str, &str)], throttle: Option<&str>) -> (Cluster, TopicIdPartition) {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", configs);
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    cluster.kill(2, false).await;
    cluster.controller.fence(BrokerId(2), &[id]);
    for _ in 0..MISSED {
        cluster.append_of_size(0, id, Acks::Leader, RECORD_BYTES).unwrap();
    }
    cluster.produce(0, id).await;
    if let Some(key) = throttle {
        set_rate(&cluster, key, Some(0));
    }
    cluster.run(2).await;
    (cluster, id)
}

#[tokio::test]
async fn a_throttled_replica_waits_while_those_in_sync_go_on() {
    let lists = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];
    for (side, list) in ["leader", "follower"].into_iter().zip(lists) {
        let rate = format!("{side}.replication.throttled.rate");
        let value = if side == "leader" { "0:0,7:1" } else { "0:2" };
        let (mut cluster, id) = behind(&[("min.insync.replicas", "2"), (list, value)], Some(&rate)).await;
        for _ in 0..50 {
            cluster.produce(0, id).await;
        }
        assert!(third(&cluster, id) < MISSED, "{} records in spite of {rate}", third(&cluster, id));
        assert_eq!(cluster.controller.partition(id).isr, [BrokerId(0), BrokerId(1)]);
        set_rate(&cluster, &rate, None);
        cluster.until_in_sync(id).await;
        // In sync, it is throttled no more.
        set_rate(&cluster, &rate, Some(0));
        for _ in 0..50 {
            cluster.produce(0, id).await;
        }
        cluster.until_in_sync(id).await;
        assert_eq!(cluster.values(2, id).len(), cluster.values(0, id).len());
    }
}

#[tokio::test]
async fn a_rate_is_for_replicas_that_are_listed_only() {
    let (cluster, id) =
        behind(&[("follower.replication.throttled.replicas", "0:1,1:2")], Some("follower.replication.throttled.rate"))
            .await;
    cluster.until_in_sync(id).await;
}

#[tokio::test]
async fn the_rate_of_reassignments_is_for_replicas_that_they_add_and_ends_with_them() {
    let (cluster, id) = behind(&[], Some(REASSIGNMENT_THROTTLE)).await;
    cluster.until_in_sync(id).await;

    let mut cluster = cluster;
    cluster.controller.reassign("t", Some(&[0, 1]));
    for _ in 0..MISSED {
        cluster.append_of_size(0, id, Acks::Leader, RECORD_BYTES).unwrap();
    }
    set_rate(&cluster, REASSIGNMENT_THROTTLE, Some(0));
    cluster.controller.reassign("t", Some(&[0, 1, 2]));
    cluster.until("begun", |cluster| cluster.node(2).replicas.partition_status(id).is_some()).await;
    for _ in 0..50 {
        cluster.produce(0, id).await;
    }
    assert!(third(&cluster, id) < MISSED, "{} records", third(&cluster, id));
    assert_eq!(cluster.controller.partition(id).isr, [BrokerId(0), BrokerId(1)]);
    cluster.controller.reassign("t", None);
    cluster.until("gone", |cluster| cluster.node(2).replicas.partition_status(id).is_none()).await;
    let configs = cluster.controller.image().configs(&ConfigResource::DefaultBroker).cloned();
    assert!(!configs.unwrap_or_default().contains_key(REASSIGNMENT_THROTTLE));

    cluster.controller.reassign("t", Some(&[0, 1, 2]));
    cluster.until_in_sync(id).await;
}

#[tokio::test]
async fn a_throttled_replica_gets_there_at_any_rate() {
    let list = [("follower.replication.throttled.replicas", "*"), ("leader.replication.throttled.replicas", "*")];
    let (cluster, id) = behind(&list, Some("leader.replication.throttled.rate")).await;
    assert_eq!(third(&cluster, id), 1);
    set_rate(&cluster, "leader.replication.throttled.rate", Some(20_000_000));
    cluster.until_in_sync(id).await;
}

#[tokio::test]
async fn what_leaves_a_lane_is_not_pushed_on_it_any_more() {
    const RATE: &str = "leader.replication.throttled.rate";
    let mut cluster = Cluster::start(3).await;
    let list = [("leader.replication.throttled.replicas", "*")];
    let (stays, leaves) = (cluster.create_topic("stays", &list), cluster.create_topic("leaves", &list));
    for id in [stays, leaves] {
        cluster.produce(0, id).await;
        cluster.until_in_sync(id).await;
    }
    cluster.kill(2, false).await;
    cluster.controller.fence(BrokerId(2), &[stays, leaves]);
    for id in [stays, leaves].repeat(MISSED as usize) {
        cluster.append_of_size(0, id, Acks::Leader, RECORD_BYTES).unwrap();
    }
    for id in [stays, leaves] {
        cluster.produce(0, id).await;
    }
    set_rate(&cluster, RATE, Some(0));
    cluster.run(2).await;
    cluster.until("held back", |cluster| cluster.metric(2, "highwater_replication_throttled_replicas") == 2.0).await;
    // Both are open at the leader, on one stream.
    for _ in 0..20 {
        cluster.produce(0, stays).await;
    }

    cluster.controller.set_topic_config("leaves", "leader.replication.throttled.replicas", "");
    cluster.until_in_sync(leaves).await;
    assert_eq!(cluster.metric(0, "kafka_server_leaderreplication_byte_total"), 0.0);
    set_rate(&cluster, RATE, Some(20_000_000));
    cluster.until_in_sync(stays).await;
    let throttled = cluster.metric(0, "kafka_server_leaderreplication_byte_total");
    let of_one = (MISSED as usize * RECORD_BYTES) as f64;
    assert!((of_one..1.2 * of_one).contains(&throttled), "{throttled} bytes on the lane that one of the two had left");
}
