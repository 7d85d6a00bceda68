//! What a produce, a fetch and a round of replication cost three nodes and a client together, all on this thread: counted, not
//! timed. A limit that is too low by one is a change to look at; one that can be lowered shows a gain.

mod counting;
mod three_nodes;
#[path = "../wire/mod.rs"]
mod wire;

use std::time::Duration;

use bytes::Bytes;
use counting::Costs;
use highwater_env::{Conn, clock};
use highwater_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use highwater_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use highwater_protocol::messages::{FetchRequest, ProduceRequest};
use highwater_protocol::{decode_response, encode_request};
use highwater_records::{BatchBuilder, Compression};
use three_nodes::ThreeNodes;
use tokio::sync::Mutex;
use wire::{exchange, name};

/// Of each step the least of so many counts: what else the nodes do meanwhile (heartbeats, metrics) is not part of it.
const STEPS: usize = 200;
const SMALL: usize = 1024;
const LARGE: usize = 64 * 1024;
const MANY_PARTITIONS: i32 = 1000;
const PRODUCE_VERSION: i16 = 9;
const FETCH_VERSION: i16 = 11;

/// Counts are of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// One batch of one record.
fn batch(bytes: usize) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(clock::wall_ms(), None, Some(&vec![7; bytes]), &[]);
    batch.build()
}

fn produce(topic: &str, acks: i16, records: Bytes) -> Bytes {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(5000).with_topic_data(vec![topic]);
    encode_request(PRODUCE_VERSION, 1, None, &request).unwrap()
}

fn fetch(topic: &str, max_bytes: i32) -> Bytes {
    let partition = FetchPartition::default().with_fetch_offset(0).with_partition_max_bytes(max_bytes);
    let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_max_bytes(max_bytes).with_min_bytes(1).with_topics(vec![topic]);
    encode_request(FETCH_VERSION, 1, None, &request).unwrap()
}

/// What sending the frame and receiving its answer costs.
async fn cost(conn: &mut Conn, frame: &[u8], check: impl Fn(Bytes)) -> Costs {
    let mut least: Option<Costs> = None;
    for _ in 0..STEPS {
        let before = Costs::so_far();
        let answer = exchange(conn, frame).await;
        // Acknowledgements and high watermarks that follow belong to the step.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let costs = Costs::so_far().since(before);
        least = Some(least.map_or(costs, |least| least.least(costs)));
        check(answer);
    }
    least.unwrap()
}

fn is_appended(answer: Bytes) {
    let response = decode_response::<ProduceRequest>(PRODUCE_VERSION, answer).unwrap().1;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

fn has_records(bytes: usize) -> impl Fn(Bytes) {
    move |answer| {
        let response = decode_response::<FetchRequest>(FETCH_VERSION, answer).unwrap().1;
        let records = response.responses[0].partitions[0].records.as_ref().map_or(0, Bytes::len);
        assert!(records > bytes, "{records} bytes");
    }
}

/// The most that each step may cost, with one other partition or with [`MANY_PARTITIONS`].
const LIMITS: [Costs; 6] = [
    limit(12, 1, 7, 3, 1_100, 10),
    limit(15, 0, 7, 3, 0, 3),
    limit(45, 3, 15, 5, 3_300, 74),
    limit(67, 7, 19, 5, 17_000, 81),
    limit(11, 1, 7, 3, 0, 9),
    limit(23, 2, 7, 3, 0, 7),
];

const fn limit(
    allocations: u64,
    file_calls: u64,
    socket_calls: u64,
    waits: u64,
    copied_bytes: u64,
    locks: u64,
) -> Costs {
    Costs { allocations, file_calls, socket_calls, waits, copied_bytes, locks }
}

/// The steps in the order of [`LIMITS`], by name.
async fn all_costs(cluster: &ThreeNodes) -> Vec<(&'static str, Costs)> {
    let mut found = Vec::new();
    let (alone, followed) = (cluster.create("alone", 1, 1).await, cluster.create("followed", 1, 3).await);
    let mut conn = cluster.connect(alone).await;
    found.push(("produce of 1 KiB", cost(&mut conn, &produce("alone", 1, batch(SMALL)), is_appended).await));
    found.push(("fetch of 1 KiB", cost(&mut conn, &fetch("alone", SMALL as i32), has_records(SMALL)).await));
    let mut conn = cluster.connect(followed).await;
    let frame = produce("followed", -1, batch(SMALL));
    found.push(("produce of 1 KiB to three replicas", cost(&mut conn, &frame, is_appended).await));
    let frame = produce("followed", -1, batch(LARGE));
    found.push(("produce of 64 KiB to three replicas", cost(&mut conn, &frame, is_appended).await));
    let large = cluster.create("large", 1, 1).await;
    let mut conn = cluster.connect(large).await;
    found.push(("produce of 64 KiB", cost(&mut conn, &produce("large", 1, batch(LARGE)), is_appended).await));
    found.push(("fetch of 64 KiB", cost(&mut conn, &fetch("large", LARGE as i32), has_records(LARGE)).await));
    found
}

#[tokio::test]
async fn a_step_costs_no_more_than_it_did_however_many_partitions_there_are() {
    let _alone = ALONE.lock().await;
    for others in [1, MANY_PARTITIONS] {
        let cluster = ThreeNodes::start("relaxed").await;
        cluster.create("others", others, 3).await;
        for ((step, costs), limit) in all_costs(&cluster).await.into_iter().zip(LIMITS) {
            println!("beside {others} other partitions: {step}: {costs}");
            assert!(costs.is_within(limit), "beside {others} other partitions, {step}: {costs}; it was {limit}");
        }
    }
}

/// What the nodes do by themselves in this time: heartbeats of sessions and of the quorum, timers.
async fn at_rest(cluster: &ThreeNodes, partitions: i32) -> Costs {
    const WATCHED: Duration = Duration::from_secs(3);
    const TIMES: usize = 3;
    cluster.create("idle", partitions, 3).await;
    let mut least: Option<Costs> = None;
    for _ in 0..TIMES {
        let before = Costs::so_far();
        tokio::time::sleep(WATCHED).await;
        let costs = Costs::so_far().since(before);
        least = Some(least.map_or(costs, |least| least.least(costs)));
    }
    least.unwrap()
}

#[tokio::test]
async fn partitions_at_rest_make_no_calls() {
    let _alone = ALONE.lock().await;
    let one = at_rest(&ThreeNodes::start("strict").await, 1).await;
    let many = at_rest(&ThreeNodes::start("strict").await, MANY_PARTITIONS).await;
    println!("at rest: {one} with one partition, {many} with {MANY_PARTITIONS}");
    // Whether a heartbeat more or less falls into the time.
    let allowance = |count: u64| count + count / 2;
    assert!(many.socket_calls <= allowance(one.socket_calls) && many.waits <= allowance(one.waits), "{one}; {many}");
    assert!(many.file_calls <= allowance(one.file_calls) + 3, "{one}; {many}");
    assert!(many.allocations <= 2 * one.allocations && many.locks <= 2 * one.locks, "{one}; {many}");
}
