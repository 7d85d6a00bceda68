//! Followers and leaders come and go.

use std::time::Duration;

use highwater_replication::{Acks, Isolation, OffsetSpec, PartitionRole};
use highwater_types::*;
use tokio::time::Instant;

use crate::cluster::{Cluster, batch_of};
use crate::transactions::idempotent;

#[tokio::test]
async fn a_follower_comes_back_and_catches_up() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for _ in 0..5 {
        cluster.produce(0, id).await;
    }
    cluster.kill(2, true).await;
    cluster.controller.fence(BrokerId(2), &[id]);
    for _ in 0..50 {
        cluster.produce(0, id).await;
    }
    cluster.run(2).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(2, id), cluster.values(0, id));
    assert_eq!(cluster.values(2, id).len(), 55);
}

#[tokio::test]
async fn a_stuck_follower_leaves_the_isr_and_min_isr_holds() {
    let mut cluster = Cluster::start_with(3, Duration::from_millis(300)).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    cluster.produce(0, id).await;
    // Nobody fences it: the leader has to notice.
    cluster.kill(2, false).await;
    cluster.produce(0, id).await;
    assert_eq!(cluster.controller.partition(id).isr, [BrokerId(0), BrokerId(1)]);
    cluster.kill(1, false).await;
    let waiting = cluster.append(0, id, Acks::All).unwrap();
    cluster.until("ISR of one", |cluster| cluster.controller.partition(id).isr == [BrokerId(0)]).await;
    let refused = cluster.append(0, id, Acks::All).unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotEnoughReplicas);
    // acks=1 is still served, but nothing new is committed until enough are in sync again (KIP-966).
    cluster.append(0, id, Acks::Leader).unwrap();
    assert_eq!(cluster.status(0, id).high_watermark, Offset(2));
    cluster.run(1).await;
    assert_eq!(waiting.wait.unwrap().await, Ok(()));
    cluster.run(2).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(2, id), cluster.values(0, id));
}

/// librdkafka has five requests under way, and begins a new epoch if one is refused for its sequence.
#[tokio::test]
async fn what_comes_behind_a_refused_batch_waits_for_it() {
    let mut cluster = Cluster::start_with(3, Duration::from_millis(300)).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "3")]);
    let refusal = |cluster: &Cluster, sequence| {
        let appended = cluster.node(0).replicas.append(id, &idempotent(5, sequence), Acks::All);
        appended.err().map(|refused| refused.code)
    };
    cluster.until_in_sync(id).await;
    assert_eq!(refusal(&cluster, 0), None);
    cluster.kill(2, false).await;
    cluster.until("ISR of two", |cluster| cluster.controller.partition(id).isr.len() == 2).await;
    assert_eq!(refusal(&cluster, 1), Some(ErrorCode::NotEnoughReplicas));
    cluster.run(2).await;
    cluster.until_in_sync(id).await;
    assert_eq!(refusal(&cluster, 2), Some(ErrorCode::NotLeaderOrFollower));
    assert_eq!(refusal(&cluster, 1), None);
    assert_eq!(refusal(&cluster, 2), None);
    assert_eq!(refusal(&cluster, 4), Some(ErrorCode::OutOfOrderSequenceNumber));
}

/// A planned move: who waits is not told that the records are missing, for they are not.
#[tokio::test]
async fn an_append_is_acknowledged_by_the_follower_that_its_leader_became() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    // Nothing is committed without node 2, which is in sync as far as the controller knows.
    cluster.kill(2, false).await;
    let mut waiting = cluster.append(0, id, Acks::All).unwrap().wait.unwrap();
    cluster.until("replicated", |cluster| cluster.status(1, id).log_end == Offset(2)).await;
    cluster.controller.change(id, |partition| partition.leader = BrokerId(1));
    cluster.until("following", |cluster| cluster.status(0, id).role == PartitionRole::Follower).await;
    assert_eq!(cluster.append(0, id, Acks::All).unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_err(), "not committed yet");
    cluster.controller.change(id, |partition| partition.isr = vec![BrokerId(0), BrokerId(1)]);
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("in time"), Ok(()));
    assert_eq!(cluster.values(1, id).len(), 2);
}

/// And of records that the new leader does not have, that they are missing.
#[tokio::test]
async fn an_append_that_the_new_leader_lacks_is_refused_once_it_is_cut() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    cluster.kill(1, false).await;
    cluster.kill(2, false).await;
    let waiting = cluster.append(0, id, Acks::All).unwrap().wait.unwrap();
    cluster.controller.change(id, |partition| partition.leader = BrokerId(1));
    cluster.run(1).await;
    cluster.run(2).await;
    let answer = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert_eq!(answer.expect("in time"), Err(ErrorCode::NotLeaderOrFollower));
    cluster.until("cut", |cluster| cluster.status(0, id).log_end == Offset(1)).await;
}

#[tokio::test]
async fn a_deposed_leader_gives_up_what_was_not_committed() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for _ in 0..3 {
        cluster.produce(0, id).await;
    }
    cluster.until_in_sync(id).await;
    // Node 0 is alone, takes records that nobody else gets, and dies with them on its disk.
    cluster.kill(1, false).await;
    cluster.kill(2, false).await;
    for _ in 0..4 {
        cluster.append(0, id, Acks::Leader).unwrap();
    }
    cluster.until("flushed", |cluster| cluster.status(0, id).flushed == Offset(7)).await;
    let lost = cluster.values(0, id);
    cluster.kill(0, false).await;
    cluster.controller.change(id, |partition| partition.leader = BrokerId(1));
    cluster.controller.change(id, |partition| partition.isr = vec![BrokerId(1), BrokerId(2)]);
    cluster.run(1).await;
    cluster.run(2).await;
    for _ in 0..2 {
        cluster.produce(1, id).await;
    }
    cluster.run(0).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(0, id), cluster.values(1, id));
    assert_eq!(cluster.values(0, id).len(), 5);
    assert_eq!(cluster.values(0, id)[..3], lost[..3]);
    assert_ne!(cluster.values(0, id)[3..], lost[3..5]);
}

/// P3: a new leader whose high watermark has not reached its epoch's start does not tell the latest offset.
#[tokio::test]
async fn a_new_leader_withholds_what_it_cannot_know() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for _ in 0..3 {
        cluster.produce(0, id).await;
    }
    cluster.until_in_sync(id).await;
    cluster.kill(2, false).await;
    // It has a fourth record that is not committed: node 2 is in the ISR and does not have it.
    cluster.append(0, id, Acks::Leader).unwrap();
    cluster.until("replicated", |cluster| cluster.status(1, id).log_end == Offset(4)).await;
    cluster.kill(0, false).await;
    cluster.controller.change(id, |partition| partition.leader = BrokerId(1));
    let latest = |cluster: &Cluster| {
        let replicas = &cluster.node(1).replicas;
        replicas
            .list_offset(id, OffsetSpec::Latest, LeaderEpoch::NONE, Isolation::ReadUncommitted)
            .map_err(|error| error.code)
    };
    assert_eq!(latest(&cluster), Err(ErrorCode::OffsetNotAvailable));
    cluster.run(0).await;
    cluster.run(2).await;
    cluster.until("exposed", |cluster| latest(cluster).is_ok_and(|latest| latest.offset == Offset(4))).await;
    assert_eq!(cluster.fetch(1, id, 0).len(), 4);
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_all_lose_power() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for round in 0..3 {
        let leader = round % 3;
        for _ in 0..10 {
            cluster.produce(leader, id).await;
        }
        // Some more that nobody was promised.
        for _ in 0..5 {
            cluster.append(leader, id, Acks::Leader).unwrap();
        }
        let promised = cluster.values(leader, id);
        let promised = &promised[..promised.len() - 5];
        for node in 0..3 {
            cluster.kill(node, true).await;
        }
        let next = (round + 1) % 3;
        cluster.controller.change(id, |partition| partition.leader = BrokerId(next as i32));
        for node in 0..3 {
            cluster.run(node).await;
        }
        cluster.until_in_sync(id).await;
        for node in 0..3 {
            assert_eq!(&cluster.values(node, id)[..promised.len()], promised, "round {round}, node {node}");
        }
    }
}

#[tokio::test]
async fn a_clean_stop_keeps_the_high_watermark() {
    let mut cluster = Cluster::start(1).await;
    let id = cluster.create_topic("t", &[]);
    for _ in 0..7 {
        cluster.produce(0, id).await;
    }
    cluster.stop(0).await;
    cluster.controller.change(id, |partition| partition.leader = BrokerId::NONE);
    cluster.run(0).await;
    assert_eq!(cluster.status(0, id).high_watermark, Offset(7));
    cluster.controller.change(id, |partition| partition.leader = BrokerId(0));
    assert_eq!(cluster.produce(0, id).await, Offset(7));
}

/// Retention has deleted what the follower would need next: it starts anew at the leader's first offset.
#[tokio::test]
async fn a_follower_that_is_too_far_behind_starts_anew() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[("segment.bytes", "1048576"), ("retention.bytes", "1048576")]);
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    cluster.kill(1, false).await;
    cluster.controller.fence(BrokerId(1), &[id]);
    for _ in 0..40 {
        cluster.append_of_size(0, id, Acks::All, 100_000).unwrap().wait.unwrap().await.unwrap();
    }
    cluster.until("old segments deleted", |cluster| cluster.status(0, id).log_start > Offset(10)).await;
    cluster.run(1).await;
    cluster.until_in_sync(id).await;
    let (leader, follower) = (cluster.status(0, id), cluster.status(1, id));
    assert!(follower.log_start > Offset(10) && follower.log_start <= leader.log_start);
    assert_eq!(cluster.values(1, id).last(), cluster.values(0, id).last());
    // And what is deleted later is deleted there too.
    for _ in 0..30 {
        cluster.append_of_size(0, id, Acks::All, 100_000).unwrap().wait.unwrap().await.unwrap();
    }
    cluster
        .until("log start replicated", |cluster| {
            let (leader, follower) = (cluster.status(0, id), cluster.status(1, id));
            leader.log_start > Offset(40) && follower.log_start >= leader.log_start
        })
        .await;
}

/// More than a frame, and more than a window of frames, at once.
#[tokio::test]
async fn a_large_backlog_is_caught_up() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[]);
    let other = cluster.create_topic("other", &[]);
    cluster.kill(1, false).await;
    cluster.controller.fence(BrokerId(1), &[id, other]);
    for _ in 0..150 {
        cluster.append_of_size(0, id, Acks::Leader, 200_000).unwrap();
        cluster.append(0, other, Acks::Leader).unwrap();
    }
    cluster.run(1).await;
    cluster.until_in_sync(id).await;
    cluster.until_in_sync(other).await;
    assert_eq!(cluster.values(1, id), cluster.values(0, id));
    assert_eq!(cluster.values(1, other).len(), 150);
}

/// Nothing of the former run may answer its followers any more, although the connections that it accepted are still there.
#[tokio::test]
async fn followers_find_a_leader_that_restarts_within_its_epoch() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for killed in [true, false] {
        cluster.produce(0, id).await;
        match killed {
            true => cluster.kill(0, false).await,
            false => cluster.stop(0).await,
        }
        cluster.run(0).await;
        cluster.produce(0, id).await;
        cluster.until_in_sync(id).await;
    }
    assert_eq!(cluster.controller.partition(id).leader_epoch, LeaderEpoch(0));
}

/// DeleteRecords cut amid a batch: a follower that begins anew gets the whole batch, and the log start all the same.
#[tokio::test]
async fn a_new_follower_catches_up_with_a_log_that_starts_within_a_batch() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[]);
    cluster.kill(1, false).await;
    cluster.controller.fence(BrokerId(1), &[id]);
    for _ in 0..2 {
        let appended = cluster.node(0).replicas.append(id, &batch_of(8), Acks::All).unwrap();
        appended.wait.unwrap().await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    cluster.node(0).replicas.clone().delete_records(id, Some(Offset(3)), deadline).await.unwrap();
    cluster.run(1).await;
    cluster.until_in_sync(id).await;
    let status = cluster.status(1, id);
    assert_eq!((status.log_start, status.log_end), (Offset(3), Offset(16)));
    assert_eq!(cluster.values(1, id), cluster.values(0, id));
    cluster.kill(1, true).await;
    cluster.run(1).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.status(1, id).log_start, Offset(3));
}

/// P8: two processes have one id, as after a machine was replaced that was only cut off.
#[tokio::test]
async fn a_process_whose_id_another_one_has_does_not_count() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    // That of another process, which is the one in the ISR from now on.
    let another = BrokerEpoch(50);
    cluster.register(1, another);
    cluster.kill(0, false).await;
    cluster.run(0).await;
    let outcome = cluster.append(0, id, Acks::All).unwrap();
    let mut acknowledged = outcome.wait.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut acknowledged).await.is_err(), "it is nowhere else");
    cluster.node(1).lease.set_epoch(another);
    cluster.controller.set_broker_config("log.retention.ms", "1000000");
    assert_eq!(acknowledged.await, Ok(()), "now it is that process");
}

/// A broker that was unregistered while it ran comes back with another epoch, and its streams do too. One that another partition
/// keeps in use is still of the earlier registration, otherwise.
#[tokio::test]
async fn a_broker_that_registers_anew_comes_back_into_the_isr() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[]);
    let another = cluster.create_topic("u", &[]);
    cluster.produce(0, id).await;
    cluster.produce(0, another).await;
    cluster.register(1, BrokerEpoch(50));
    cluster.controller.fence(BrokerId(1), &[id]);
    cluster.node(1).lease.set_epoch(BrokerEpoch(50));
    cluster.controller.set_broker_config("log.retention.ms", "1000000");
    cluster.until_in_sync(id).await;
}
