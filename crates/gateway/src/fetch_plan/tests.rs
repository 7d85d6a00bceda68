//! Budgets and waiting, over partitions that are lists of batch sizes.

use bytes::Bytes;
use highwater_replication::{DivergingEpoch, Isolation};
use highwater_types::{BrokerId, LeaderEpoch, Offset, TopicId};

use super::*;

/// Reads whole batches of these sizes, as a log does.
fn read_batches(sizes: &[usize], read: &FetchRead) -> FetchResult {
    let mut size_bytes = 0;
    for (index, size) in sizes.iter().enumerate() {
        let first = index == 0 && read.min_one_batch;
        if !first && size_bytes + size > read.max_bytes {
            break;
        }
        size_bytes += size;
    }
    FetchResult {
        high_watermark: Offset(1),
        last_stable_offset: Offset(1),
        log_start: Offset(0),
        records: if size_bytes == 0 { Vec::new() } else { vec![Bytes::from(vec![0; size_bytes])] },
        aborted: None,
        size_bytes,
        diverging: None,
        preferred_read_replica: BrokerId::NONE,
    }
}

fn entry(index: i32, max_bytes: i32) -> FetchEntry {
    let asked = AskedPartition {
        offset: Offset(0),
        current_leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        max_bytes,
    };
    let read = FetchRead {
        partition: TopicIdPartition { topic_id: TopicId::ZERO, partition: PartitionIndex(index) },
        offset: asked.offset,
        current_leader_epoch: asked.current_leader_epoch,
        last_fetched_epoch: asked.last_fetched_epoch,
        max_bytes: 0,
        min_one_batch: false,
        isolation: Isolation::ReadUncommitted,
        from_follower: false,
    };
    FetchEntry { topic: 0, partition: PartitionIndex(index), asked, target: Ok(read), outcome: None }
}

fn sizes(plan: &FetchPlan) -> Vec<usize> {
    plan.entries.iter().map(FetchEntry::size_bytes).collect()
}

/// Plans over partitions with these batches; returns the bytes read of each.
fn plan(max: usize, min: usize, partition_max: i32, logs: &[&[usize]]) -> FetchPlan {
    let entries = (0i32..).zip(logs).map(|(index, _)| entry(index, partition_max)).collect();
    let mut plan = FetchPlan::new(entries, max, min);
    plan.read_all(|read| Ok(read_batches(logs[read.partition.partition.get() as usize], read)));
    plan
}

#[test]
fn budgets_are_kept_across_partitions() {
    assert_eq!(sizes(&plan(1000, 1, 300, &[&[100; 9], &[100; 9]])), [300, 300]);
    assert_eq!(sizes(&plan(500, 1, 300, &[&[100; 9], &[100; 9]])), [300, 200]);
    assert_eq!(sizes(&plan(300, 1, 300, &[&[100; 9], &[100; 9]])), [300, 0]);
}

#[test]
fn the_first_batch_is_returned_whatever_its_size_but_only_the_first() {
    assert_eq!(sizes(&plan(500, 1, 300, &[&[5000], &[5000]])), [5000, 0]);
    assert_eq!(sizes(&plan(500, 1, 300, &[&[], &[5000], &[100]])), [0, 5000, 0]);
    assert_eq!(sizes(&plan(500, 1, 0, &[&[100]])), [100]);
}

#[test]
fn enough_bytes_satisfy() {
    assert!(!plan(1000, 1, 300, &[&[], &[]]).is_satisfied());
    assert!(plan(1000, 0, 300, &[&[], &[]]).is_satisfied());
    assert!(!plan(1000, 200, 300, &[&[100], &[]]).is_satisfied());
    assert!(plan(1000, 200, 300, &[&[100], &[100]]).is_satisfied());
    // More than could ever be answered is not waited for.
    assert!(plan(100, 5000, 300, &[&[100]]).is_satisfied());
    assert!(plan(100, 1, 300, &[]).is_satisfied());
}

#[test]
fn errors_and_divergence_satisfy_at_once() {
    let mut refused = plan(1000, 1, 300, &[&[], &[]]);
    refused.entries[0] = FetchEntry { target: Err(ErrorCode::UnknownTopicId), outcome: None, ..entry(0, 300) };
    assert!(refused.is_satisfied());
    let mut diverging = plan(1000, 1, 300, &[&[], &[]]);
    if let Some(Ok(result)) = &mut diverging.entries[1].outcome {
        result.diverging = Some(DivergingEpoch { epoch: LeaderEpoch(0), end_offset: Offset(0) });
    }
    assert!(diverging.is_satisfied());
}

#[test]
fn a_partition_read_again_keeps_within_what_the_others_left() {
    let mut plan = plan(500, 400, 300, &[&[200], &[]]);
    assert!(!plan.is_satisfied());
    plan.read_again(1, |read| {
        assert_eq!((read.max_bytes, read.min_one_batch), (300, false));
        Ok(read_batches(&[100; 9], read))
    });
    assert_eq!(sizes(&plan), [200, 300]);
    assert!(plan.is_satisfied());
}

#[test]
fn positions_count_readable_partitions_only() {
    let mut plan = plan(500, 400, 300, &[&[], &[]]);
    plan.entries.insert(0, FetchEntry { target: Err(ErrorCode::UnknownTopicId), outcome: None, ..entry(9, 300) });
    assert_eq!(plan.readable().iter().map(|key| key.partition.get()).collect::<Vec<_>>(), [0, 1]);
    plan.read_again(0, |read| {
        assert_eq!(read.partition.partition, PartitionIndex(0));
        Ok(read_batches(&[100], read))
    });
    plan.read_again(2, |_| unreachable!("there is no third readable partition"));
}
