//! What a partition that nobody uses costs a whole node in memory: replica, log, metadata, broker and controller together. Counted
//! in the sizes of jemalloc, which the binary has; the metadata store's own buffers are bounded and not counted.

#[path = "../wire/mod.rs"]
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use highwater_broker::{Broker, BrokerConfig, RunningBroker};
use highwater_env::{Conn, Env, Net, clock};
use highwater_kv_rocksdb::RocksDb;
use highwater_protocol::messages::create_topics_request::CreatableTopic;
use highwater_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use highwater_protocol::messages::{CreateTopicsRequest, ProduceRequest};
use highwater_records::{BatchBuilder, Compression};
use highwater_test_allocator::{Counting, held_in_size_classes};
use tokio::time::{Instant, sleep};
use wire::{call, name};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Of one partition: less than 1 KiB.
const MOST_BYTES: i64 = 1023;
const PARTITIONS: i32 = 2000;
/// Of those that are written to.
const WRITTEN: i32 = 500;
/// Until the node has told its controller of new replicas, and has closed logs that nobody uses.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

async fn start(files: &tempfile::TempDir) -> RunningBroker {
    let properties = [
        ("listeners", "PLAINTEXT://127.0.0.1:0".to_owned()),
        ("log.dirs", files.path().display().to_string()),
        ("highwater.durability", "relaxed".to_owned()),
        ("replica.high.watermark.checkpoint.interval.ms", "100".to_owned()),
        ("log.retention.check.interval.ms", "300".to_owned()),
    ];
    let properties: BTreeMap<String, String> =
        properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let config = BrokerConfig::from_properties(&properties).unwrap();
    let node = Broker::start(config, Env::real(Arc::new(RocksDb))).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !node.is_ready() {
        assert!(Instant::now() < deadline, "the node becomes ready");
        sleep(Duration::from_millis(5)).await;
    }
    node
}

async fn create(conn: &mut Conn, topic: &str, partitions: i32) {
    let creation =
        CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions).with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![creation]).with_timeout_ms(30_000);
    let response = call(conn, &request, 5).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
}

/// One small record for each partition.
async fn write_to_all(conn: &mut Conn, topic: &str, partitions: i32) {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(clock::wall_ms(), None, Some(&[7; 100]), &[]);
    let batch: Bytes = batch.build();
    let data = |index| PartitionProduceData::default().with_index(index).with_records(Some(batch.clone()));
    let topic =
        TopicProduceData::default().with_name(name(topic)).with_partition_data((0..partitions).map(data).collect());
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic]);
    let response = call(conn, &request, 9).await;
    assert!(response.responses[0].partition_responses.iter().all(|answer| answer.error_code == 0), "{response:?}");
}

/// What each of `partitions` holds beyond `before`, once that has not become less for a while.
async fn settled(before: i64, partitions: i32) -> i64 {
    let each = || (held_in_size_classes() - before) / i64::from(partitions);
    let (mut least, mut deadline) = (each(), Instant::now() + PATIENCE / 6);
    while Instant::now() < deadline {
        sleep(LOOK_EVERY).await;
        if each() < least {
            (least, deadline) = (each(), Instant::now() + PATIENCE / 6);
        }
    }
    least
}

#[tokio::test]
async fn an_idle_partition_holds_less_than_one_kibibyte() {
    let files = tempfile::tempdir().unwrap();
    let node = start(&files).await;
    let mut conn = Net::Tcp.connect(&node.client_addresses()[0].1.to_string()).await.unwrap();
    // What the first ones bring along is no part of it.
    create(&mut conn, "first", PARTITIONS).await;
    write_to_all(&mut conn, "first", WRITTEN).await;
    settled(0, 1).await;

    let before = held_in_size_classes();
    create(&mut conn, "unused", PARTITIONS).await;
    let unused = settled(before, PARTITIONS).await;
    println!("a partition that was never written to holds {unused} bytes");

    let before = held_in_size_classes();
    create(&mut conn, "written", WRITTEN).await;
    write_to_all(&mut conn, "written", WRITTEN).await;
    let written = settled(before, WRITTEN).await;
    println!("a partition that went idle holds {written} bytes");
    node.shutdown().await;
    assert!(unused <= MOST_BYTES, "{unused} bytes");
    assert!(written <= MOST_BYTES, "{written} bytes once it went idle");
}
