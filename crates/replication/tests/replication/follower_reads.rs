//! Consumers that read from followers (KIP-392): who may answer, how far, and whom a leader sends its clients to.

use std::sync::atomic::Ordering;

use highwater_metadata::{BrokerChange, MetadataRecord};
use highwater_replication::{Acks, FetchError, FetchRead, FetchResult};
use highwater_types::*;

use crate::cluster::{Cluster, read_at};

/// What a consumer asks that may be answered by a follower.
fn anywhere(id: TopicIdPartition, offset: i64) -> FetchRead {
    FetchRead { from_follower: true, ..read_at(id, offset) }
}

fn read(cluster: &Cluster, node: usize, id: TopicIdPartition, offset: i64) -> Result<FetchResult, FetchError> {
    cluster.node(node).replicas.read(&anywhere(id, offset))
}

fn code(result: Result<FetchResult, FetchError>) -> ErrorCode {
    result.err().map_or(ErrorCode::None, |error| error.code)
}

/// Three nodes, the first one leads, five records that all know to be committed.
async fn five_records() -> (Cluster, TopicIdPartition) {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    for _ in 0..5 {
        cluster.produce(0, id).await;
    }
    cluster.until_in_sync(id).await;
    cluster
        .until("followers know what is committed", |cluster| {
            [1, 2].iter().all(|&node| cluster.status(node, id).high_watermark == Offset(5))
        })
        .await;
    (cluster, id)
}

/// Takes a follower out of the ISR, and fences it, so that its leader cannot take it back.
fn out_of_the_isr(cluster: &Cluster, id: TopicIdPartition, node: i32) {
    let broker = BrokerId(node);
    let epoch = cluster.controller.image().broker_epoch(broker);
    let (fenced, in_controlled_shutdown, log_dirs, software) = (Some(true), None, None, None);
    let fence = BrokerChange { id: broker, epoch, fenced, in_controlled_shutdown, log_dirs, software };
    cluster.controller.commit(&[MetadataRecord::BrokerChange(fence)]);
    cluster.controller.change(id, |partition| partition.isr.retain(|&member| member != broker));
}

#[tokio::test]
async fn an_in_sync_follower_serves_what_it_knows_to_be_committed() {
    let (mut cluster, id) = five_records().await;
    let there = read(&cluster, 1, id, 0).unwrap();
    assert_eq!(there.records, read(&cluster, 0, id, 0).unwrap().records);
    assert_eq!((there.high_watermark, there.preferred_read_replica), (Offset(5), BrokerId::NONE));
    // Not for a client that must read from the leader, nor of another epoch, nor beyond the log.
    let refused = cluster.node(1).replicas.read(&read_at(id, 0)).unwrap_err();
    assert_eq!(
        (refused.code, refused.leader.map(|hint| hint.leader)),
        (ErrorCode::NotLeaderOrFollower, Some(BrokerId(0)))
    );
    let next_epoch = LeaderEpoch(cluster.status(1, id).leader_epoch.get() + 1);
    let newer = FetchRead { current_leader_epoch: next_epoch, ..anywhere(id, 0) };
    assert_eq!(code(cluster.node(1).replicas.read(&newer)), ErrorCode::UnknownLeaderEpoch);
    assert_eq!(code(read(&cluster, 1, id, 6)), ErrorCode::OffsetOutOfRange);
    // The client has a record of an epoch that the follower has not heard of: not there yet, which is no divergence.
    let ahead = FetchRead { last_fetched_epoch: next_epoch, ..anywhere(id, 5) };
    assert_eq!(code(cluster.node(1).replicas.read(&ahead)), ErrorCode::OffsetNotAvailable);
    // A record that is not committed: the third replica is gone, and still in the ISR.
    cluster.kill(2, false).await;
    cluster.append(0, id, Acks::Leader).unwrap();
    cluster.until("replicated", |cluster| cluster.status(1, id).log_end == Offset(6)).await;
    assert_eq!(read(&cluster, 1, id, 0).unwrap().size_bytes, there.size_bytes);
    for offset in [5, 6] {
        assert_eq!(read(&cluster, 1, id, offset).unwrap().size_bytes, 0, "at {offset}");
    }
}

#[tokio::test]
async fn a_follower_without_lease_leader_or_place_in_the_isr_serves_nothing() {
    let (cluster, id) = five_records().await;
    cluster.node(1).lease.valid.store(false, Ordering::Relaxed);
    assert_eq!(code(read(&cluster, 1, id, 0)), ErrorCode::NotLeaderOrFollower);
    cluster.node(1).lease.valid.store(true, Ordering::Relaxed);
    assert_eq!(code(read(&cluster, 1, id, 0)), ErrorCode::None);

    out_of_the_isr(&cluster, id, 2);
    assert_eq!(code(read(&cluster, 2, id, 0)), ErrorCode::NotLeaderOrFollower);
    assert_eq!(code(read(&cluster, 1, id, 0)), ErrorCode::None);

    let (mut cluster, id) = five_records().await;
    // Nobody vouches that its log is a prefix of the new leader's.
    cluster.kill(2, false).await;
    cluster.controller.change(id, |partition| partition.leader = BrokerId(2));
    let refused = read(&cluster, 1, id, 0).unwrap_err();
    assert_eq!(
        (refused.code, refused.leader.map(|hint| hint.leader)),
        (ErrorCode::NotLeaderOrFollower, Some(BrokerId(2)))
    );
}

#[tokio::test]
async fn a_leader_sends_clients_to_in_sync_followers_that_have_what_they_ask_for() {
    let (mut cluster, id) = five_records().await;
    let redirect = |cluster: &Cluster, offset: i64, candidates: &[i32]| {
        let candidates: Vec<BrokerId> = candidates.iter().copied().map(BrokerId).collect();
        let found = cluster.node(0).replicas.redirect(&anywhere(id, offset), &candidates).unwrap();
        found.map(|found| (found.preferred_read_replica.get(), found.high_watermark, found.size_bytes))
    };
    assert_eq!(redirect(&cluster, 0, &[2]), Some((2, Offset(5), 0)));
    assert_eq!(redirect(&cluster, 5, &[2, 1]), Some((1, Offset(5), 0)));
    for (offset, candidates) in [(0, &[][..]), (0, &[0, 7]), (6, &[1, 2]), (-1, &[1, 2])] {
        assert_eq!(redirect(&cluster, offset, candidates), None, "{offset} of {candidates:?}");
    }
    let elsewhere = cluster.node(1).replicas.redirect(&anywhere(id, 0), &[BrokerId(2)]);
    assert_eq!(elsewhere.unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    // One that has more of the log is better.
    cluster.kill(2, false).await;
    cluster.append(0, id, Acks::Leader).unwrap();
    cluster.until("acknowledged", |cluster| redirect(cluster, 6, &[1, 2]) == Some((1, Offset(5), 0))).await;
    assert_eq!(redirect(&cluster, 0, &[2]), None, "its stream is gone");
    out_of_the_isr(&cluster, id, 1);
    assert_eq!(redirect(&cluster, 0, &[1]), None, "out of sync");
}
