//! Transactions in replicated logs: markers that a coordinator appends, and what `read_committed` makes of them.

use highwater_records::{
    AppendOrigin, BatchBuilder, Compression, EndTransactionMarker, ValidatedBatch, ValidationLimits, validate_produce,
};
use highwater_replication::{Acks, FetchRead, Isolation, OffsetSpec};
use highwater_types::*;

use crate::cluster::{Cluster, batch, read_at};

fn validated(bytes: bytes::Bytes) -> ValidatedBatch {
    let name = TopicPartition { topic: TopicName::new("test").expect("legal"), partition: PartitionIndex(0) };
    let limits = ValidationLimits {
        origin: AppendOrigin::Coordinator,
        ..ValidationLimits::new(highwater_env::clock::wall_ms())
    };
    validate_produce(bytes, &name, &limits).expect("a good batch")
}

fn of_producer(producer: i64, sequence: i32) -> BatchBuilder {
    BatchBuilder::new(Compression::None).producer(ProducerId(producer), ProducerEpoch(0), Sequence(sequence))
}

pub fn transactional(producer: i64, sequence: i32) -> ValidatedBatch {
    let mut builder = of_producer(producer, sequence).transactional();
    builder.append(highwater_env::clock::wall_ms(), None, Some(b"in a transaction"), &[]);
    validated(builder.build())
}

pub fn idempotent(producer: i64, sequence: i32) -> ValidatedBatch {
    let mut builder = of_producer(producer, sequence);
    builder.append(highwater_env::clock::wall_ms(), None, Some(b"once"), &[]);
    validated(builder.build())
}

pub fn marker(producer: i64, committed: bool) -> ValidatedBatch {
    let (producer_id, producer_epoch) = (ProducerId(producer), ProducerEpoch(0));
    let marker = EndTransactionMarker { producer_id, producer_epoch, committed, coordinator_epoch: 0 };
    validated(marker.to_batch(highwater_env::clock::wall_ms()))
}

pub async fn append(cluster: &Cluster, node: usize, id: TopicIdPartition, batch: ValidatedBatch) {
    let outcome = cluster.node(node).replicas.append(id, &batch, Acks::All).expect("appended");
    outcome.wait.expect("acks=all waits").await.expect("acknowledged");
}

/// Log end offset of the fetch, last stable offset, and first offsets of aborted transactions.
fn read_committed(cluster: &Cluster, node: usize, id: TopicIdPartition, offset: i64) -> (usize, i64, Vec<i64>) {
    let read = FetchRead { isolation: Isolation::ReadCommitted, ..read_at(id, offset) };
    let result = cluster.node(node).replicas.read(&read).expect("readable");
    let batches = result.records.iter().flat_map(highwater_records::split_batches).count();
    let aborted = result.aborted.expect("a list for read_committed");
    (
        batches,
        result.last_stable_offset.get(),
        aborted.iter().map(|transaction| transaction.first_offset.get()).collect(),
    )
}

#[tokio::test]
async fn read_committed_is_told_of_aborted_transactions_by_every_leader() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "2")]);
    append(&cluster, 0, id, batch("plain")).await;
    append(&cluster, 0, id, transactional(7, 0)).await;
    append(&cluster, 0, id, transactional(8, 0)).await;
    assert_eq!(read_committed(&cluster, 0, id, 0), (1, 1, vec![]), "undecided from 1 on");
    append(&cluster, 0, id, marker(7, false)).await;
    assert_eq!(read_committed(&cluster, 0, id, 0), (2, 2, vec![1]));
    append(&cluster, 0, id, marker(8, true)).await;
    append(&cluster, 0, id, transactional(7, 1)).await;
    assert_eq!(read_committed(&cluster, 0, id, 0), (5, 5, vec![1]));
    assert_eq!(read_committed(&cluster, 0, id, 4), (1, 5, vec![]));
    assert_eq!(read_committed(&cluster, 0, id, 5), (0, 5, vec![]));
    let latest = |cluster: &Cluster, isolation| {
        let listed = cluster.node(0).replicas.list_offset(id, OffsetSpec::Latest, LeaderEpoch::NONE, isolation);
        listed.expect("the leader answers").offset
    };
    assert_eq!(latest(&cluster, Isolation::ReadCommitted), Offset(5));
    assert_eq!(latest(&cluster, Isolation::ReadUncommitted), Offset(6));

    cluster.until_in_sync(id).await;
    cluster.kill(0, true).await;
    cluster.controller.fence(BrokerId(0), &[id]);
    cluster
        .until("the other leads", |cluster| cluster.status(1, id).role == highwater_replication::PartitionRole::Leader)
        .await;
    assert_eq!(read_committed(&cluster, 1, id, 0).2, [1], "as the follower has it");
}
