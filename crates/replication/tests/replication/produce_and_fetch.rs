//! A healthy partition: acknowledgements, visibility, waiting, offsets, fencing of clients.

use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_metadata::{ConfigResource, MetadataRecord};
use highwater_replication::{Acks, FetchRead, FetchWaiter, Isolation, OffsetSpec};
use highwater_types::*;

use crate::cluster::{Cluster, batch, read_at};

#[tokio::test]
async fn acks_all_means_durable_on_all_in_sync() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for expected in 0..20 {
        let offset = cluster.produce(0, id).await;
        assert_eq!(offset, Offset(expected));
        for node in 0..3 {
            assert!(cluster.status(node, id).flushed > offset, "acknowledged {offset} is not on node {node}'s disk");
        }
    }
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(1, id), cluster.values(0, id));
    assert_eq!(cluster.values(2, id), cluster.values(0, id));
    assert_eq!(cluster.fetch(0, id, 5), cluster.values(0, id)[5..]);
}

#[tokio::test]
async fn many_requests_in_flight_are_released_in_order() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[]);
    let outcomes: Vec<_> = (0..500).map(|_| cluster.append(0, id, Acks::All).unwrap()).collect();
    for (expected, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.base_offset, Offset(expected as i64));
        outcome.wait.unwrap().await.unwrap();
    }
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(2, id), cluster.values(0, id));
}

#[tokio::test]
async fn a_single_replica_commits_with_its_own_flush() {
    let mut cluster = Cluster::start(1).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "3")]);
    assert_eq!(cluster.produce(0, id).await, Offset(0));
    assert_eq!(cluster.fetch(0, id, 0).len(), 1);
}

#[tokio::test]
async fn relaxed_durability_acknowledges_without_a_flush() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("highwater.durability", "relaxed")]);
    for _ in 0..10 {
        cluster.produce(0, id).await;
    }
    for node in 0..3 {
        assert_eq!(cluster.status(node, id).flushed, Offset(0));
    }
    // From now on what is not flushed counts no more; what is committed stays committed.
    cluster.controller.commit(&[MetadataRecord::Config {
        resource: ConfigResource::Topic(TopicName::new("t").unwrap()),
        name: "highwater.durability".to_owned(),
        value: Some("strict".to_owned()),
    }]);
    assert_eq!(cluster.produce(0, id).await, Offset(10));
    for node in 0..3 {
        assert_eq!(cluster.status(node, id).flushed, Offset(11));
    }
}

#[tokio::test]
async fn a_fetch_waits_for_what_is_committed() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[]);
    let waiter = FetchWaiter::new();
    let registration = cluster.node(0).replicas.register_waiter(&[id], waiter.clone());
    // The new leader's positions may still settle.
    let _ = tokio::time::timeout(Duration::from_millis(50), waiter.ready()).await;
    assert!(cluster.node(0).replicas.read(&read_at(id, 0)).unwrap().records.is_empty());
    cluster.append(0, id, Acks::Leader).unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), waiter.ready()).await.unwrap(), [0]);
    let result = cluster.node(0).replicas.read(&read_at(id, 0)).unwrap();
    assert_eq!((result.high_watermark, result.records.len()), (Offset(1), 1));
    drop(registration);
    cluster.produce(0, id).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), waiter.ready()).await.is_err(), "not registered any more");
}

#[tokio::test]
async fn clients_with_another_idea_of_the_leadership_are_refused() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    let replicas = &cluster.node(0).replicas;
    let code = |epoch: i32| {
        let read = FetchRead { current_leader_epoch: LeaderEpoch(epoch), ..read_at(id, 0) };
        replicas.read(&read).map(|_| ()).map_err(|error| error.code)
    };
    cluster.controller.change(id, |partition| partition.leader = BrokerId(1));
    cluster.controller.change(id, |partition| partition.leader = BrokerId(0));
    assert_eq!(code(2), Ok(()));
    assert_eq!(code(1), Err(ErrorCode::FencedLeaderEpoch));
    assert_eq!(code(3), Err(ErrorCode::UnknownLeaderEpoch));
    let follower = cluster.node(1).replicas.read(&read_at(id, 0)).unwrap_err();
    assert_eq!(follower.code, ErrorCode::NotLeaderOrFollower);
    assert_eq!(follower.leader.unwrap().leader, BrokerId(0));
    let unknown = TopicIdPartition { partition: PartitionIndex(9), ..id };
    assert_eq!(replicas.read(&read_at(unknown, 0)).unwrap_err().code, ErrorCode::UnknownTopicOrPartition);
    let beyond = replicas.read(&read_at(id, 100)).unwrap_err();
    assert_eq!((beyond.code, beyond.log_start), (ErrorCode::OffsetOutOfRange, Offset(0)));
    let refused = cluster.node(1).replicas.append(id, &batch("x"), Acks::Leader).unwrap_err();
    assert_eq!((refused.code, refused.leader.unwrap().epoch), (ErrorCode::NotLeaderOrFollower, LeaderEpoch(2)));
}

#[tokio::test]
async fn offsets_are_listed() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[]);
    let list = |cluster: &Cluster, spec| {
        cluster.node(0).replicas.list_offset(id, spec, LeaderEpoch::NONE, Isolation::ReadUncommitted).unwrap()
    };
    let before = highwater_env::clock::wall_ms();
    for _ in 0..3 {
        cluster.produce(0, id).await;
    }
    assert_eq!(list(&cluster, OffsetSpec::Latest).offset, Offset(3));
    let earliest = list(&cluster, OffsetSpec::Earliest);
    assert_eq!((earliest.offset, earliest.leader_epoch), (Offset(0), LeaderEpoch(0)));
    assert_eq!(list(&cluster, OffsetSpec::Timestamp(before)).offset, Offset(0));
    assert_eq!(list(&cluster, OffsetSpec::Timestamp(Timestamp(before.0 + 1_000_000))).offset, Offset::NONE);
    assert!(list(&cluster, OffsetSpec::MaxTimestamp).offset >= Offset(0));
    assert_eq!(list(&cluster, OffsetSpec::EarliestLocal), earliest);
    let tiered = list(&cluster, OffsetSpec::LatestTiered);
    assert_eq!(
        (tiered.offset, tiered.timestamp),
        (Offset::NONE, Timestamp::NONE),
        "nothing is tiered, as Kafka says it"
    );
    let end = cluster.node(0).replicas.offset_for_leader_epoch(id, LeaderEpoch::NONE, LeaderEpoch(0)).unwrap();
    assert_eq!(end, (LeaderEpoch(0), Offset(3)));
}

/// M9.
#[tokio::test]
async fn a_broker_without_a_lease_serves_nothing() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    let parked = cluster.append(0, id, Acks::All).unwrap().wait.unwrap();
    cluster.node(0).lease.valid.store(false, Ordering::SeqCst);
    assert_eq!(parked.await, Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(cluster.append(0, id, Acks::Leader).unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    assert_eq!(cluster.node(0).replicas.read(&read_at(id, 0)).unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    cluster.node(0).lease.valid.store(true, Ordering::SeqCst);
    assert_eq!(cluster.fetch(0, id, 0).len(), 2);
}

/// A leader that is cut off from all nodes: what waits for its followers is answered as soon as the lease has lapsed.
#[tokio::test]
async fn a_lapsed_lease_answers_those_who_wait() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    cluster.kill(1, false).await;
    cluster.kill(2, false).await;
    let waiting = cluster.append(0, id, Acks::All).unwrap().wait.unwrap();
    let replicas = cluster.node(0).replicas.clone();
    let deletion = tokio::spawn(async move {
        replicas.delete_records(id, None, tokio::time::Instant::now() + Duration::from_secs(60)).await
    });
    cluster.until("deleted here", |cluster| cluster.status(0, id).log_start == Offset(1)).await;
    cluster.node(0).lease.valid.store(false, Ordering::SeqCst);
    let answers = async { (waiting.await, deletion.await.unwrap()) };
    let (waiting, deletion) = tokio::time::timeout(Duration::from_secs(10), answers).await.expect("in time");
    assert_eq!(waiting, Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(deletion, Err(ErrorCode::NotLeaderOrFollower));
}

/// S4: a failed flush takes the directory out of service, and those who wait for it hear of it.
#[tokio::test]
async fn a_failed_flush_fails_those_who_wait() {
    let mut cluster = Cluster::start(1).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    cluster.disks[0].fail_next_syncs(1);
    let waiting = cluster.append(0, id, Acks::All).unwrap().wait.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    assert_eq!(answer.expect("in time"), Err(ErrorCode::KafkaStorageError));
    assert_eq!(cluster.append(0, id, Acks::All).unwrap_err().code, ErrorCode::KafkaStorageError);
    assert_eq!(cluster.node(0).replicas.read(&read_at(id, 0)).unwrap_err().code, ErrorCode::KafkaStorageError);
}

/// `message.max.bytes` and `socket.request.max.bytes` can be set so high; everything else on the stream would wait behind it.
#[tokio::test]
async fn a_batch_of_any_size_is_replicated() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[]);
    cluster.append_of_size(0, id, Acks::Leader, 129 << 20).unwrap();
    cluster.until_in_sync(id).await;
}
