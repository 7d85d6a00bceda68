//! One whole node in this process: real sockets on free ports, disk and key-value store in memory.

mod features;
mod follower_reads;
mod groups;
mod history;
mod metrics;
mod pair;
#[path = "../wire/mod.rs"]
mod wire;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use highwater_broker::{Broker, BrokerConfig, RunningBroker};
use highwater_env::{Conn, DiskFault, Env, Fs, Net, SimFs, SimKv, clock};
use highwater_protocol::StrBytes;
use highwater_protocol::messages::create_topics_request::CreatableTopic;
use highwater_protocol::messages::metadata_request::MetadataRequestTopic;
use highwater_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use highwater_protocol::messages::{CreateTopicsRequest, DescribeLogDirsRequest, MetadataRequest, ProduceRequest};
use highwater_records::{BatchBuilder, Compression};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use wire::{call, name};

const READY_WITHIN: Duration = Duration::from_secs(10);

/// What outlives the node.
#[derive(Clone, Default)]
struct Machine {
    disk: SimFs,
    store: SimKv,
}

impl Machine {
    fn config(extra: &[(&str, &str)]) -> BrokerConfig {
        let properties = [("listeners", "PLAINTEXT://127.0.0.1:0"), ("log.dirs", "/data")];
        let all: BTreeMap<String, String> =
            properties.iter().chain(extra).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        BrokerConfig::from_properties(&all).unwrap()
    }

    async fn start(&self) -> RunningBroker {
        self.start_with(&[]).await
    }

    async fn start_with(&self, extra: &[(&str, &str)]) -> RunningBroker {
        let env = Env::in_memory(self.disk.clone(), self.store.clone());
        let node = Broker::start(Self::config(extra), env).await.unwrap();
        let ready = async {
            while !node.is_ready() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(READY_WITHIN, ready).await.expect("the node becomes ready");
        node
    }

    async fn refusal(&self, extra: &[(&str, &str)]) -> String {
        let env = Env::in_memory(self.disk.clone(), self.store.clone());
        match Broker::start(Self::config(extra), env).await {
            Ok(_) => panic!("it must not start"),
            Err(error) => error.to_string(),
        }
    }
}

/// Stops a node in order, and lets go of its directories.
async fn stop(node: RunningBroker) {
    node.shutdown().await;
}

async fn client(node: &RunningBroker) -> Conn {
    Net::Tcp.connect(&node.client_addresses()[0].1.to_string()).await.unwrap()
}

async fn create_topic(conn: &mut Conn, topic: &str) {
    create_topic_of(conn, topic, 1).await;
}

async fn create_topic_of(conn: &mut Conn, topic: &str, partitions: i32) {
    let topic =
        CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions).with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let response = call(conn, &request, 5).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
}

fn one_record() -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(clock::wall_ms(), None, Some(b"hello"), &[]);
    batch.build()
}

/// Error code and offset of one record sent with acks=all.
async fn produce(conn: &mut Conn, topic: &str) -> (i16, i64) {
    produce_to(conn, topic, 0).await
}

async fn produce_to(conn: &mut Conn, topic: &str, partition: i32) -> (i16, i64) {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(one_record()));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(500).with_topic_data(vec![topic]);
    let response = call(conn, &request, 9).await;
    let answer = &response.responses[0].partition_responses[0];
    (answer.error_code, answer.base_offset)
}

/// Status line and body.
async fn get(node: &RunningBroker, path: &str) -> (String, String) {
    let mut conn = Net::Tcp.connect(&node.http_address().unwrap().to_string()).await.unwrap();
    conn.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    conn.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_node_serves_and_shows_its_figures() {
    let node = Machine::default().start().await;
    let mut conn = client(&node).await;
    create_topic(&mut conn, "t").await;
    assert_eq!(produce(&mut conn, "t").await, (0, 0));
    assert_eq!(produce(&mut conn, "t").await, (0, 1));
    for path in ["/healthz", "/readyz"] {
        let (status, body) = get(&node, path).await;
        assert!(status.contains("200") && body == "ok\n", "{path}: {status} {body}");
    }
    let (_, figures) = get(&node, "/metrics").await;
    for line in [
        "kafka_controller_kafkacontroller_activecontrollercount 1",
        "kafka_controller_kafkacontroller_globaltopiccount 1",
        "kafka_server_replicamanager_underreplicatedpartitions 0",
        "highwater_raft_commit_lag 0",
    ] {
        assert!(figures.contains(line), "{line} is not in\n{figures}");
    }
    let seen = node.inspector()();
    assert_eq!((seen.replicas.len(), seen.replicas[0].log_end.0), (1, 2));
    assert!(seen.controller.is_some_and(|controller| controller.active && controller.term > 0));
    node.shutdown().await;
    assert_eq!(node.closed().await, Ok(()));
}

#[tokio::test]
async fn a_stopped_node_comes_back_with_all_it_had() {
    let machine = Machine::default();
    let node = machine.start().await;
    let mut conn = client(&node).await;
    create_topic(&mut conn, "t").await;
    assert_eq!(produce(&mut conn, "t").await, (0, 0));
    let first_epoch = node.inspector()().broker_epoch;
    node.shutdown().await;
    drop((conn, node));
    assert!(Fs::Sim(machine.disk.clone()).exists(Path::new("/data/.kafka_cleanshutdown")).unwrap());
    let node = machine.start().await;
    let mut conn = client(&node).await;
    assert_eq!(produce(&mut conn, "t").await, (0, 1));
    assert!(node.inspector()().broker_epoch > first_epoch, "M3: epochs increase");
}

#[tokio::test]
async fn directories_are_held_and_owned() {
    let machine = Machine::default();
    let node = machine.start().await;
    let refusal = machine.refusal(&[]).await;
    assert!(refusal.contains("/data is in use by another process"), "{refusal}");
    node.shutdown().await;
    drop(node);
    let refusal = machine.refusal(&[("node.id", "7")]).await;
    assert!(refusal.contains("belongs to node 1"), "{refusal}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let machine = Machine::default();
    let taken = Net::Tcp.bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refusal = machine.refusal(&[("listeners", &format!("PLAINTEXT://{address}"))]).await;
    assert!(refusal.contains("listener PLAINTEXT") && refusal.contains(&address), "{refusal}");
    let refusal = machine.refusal(&[("highwater.http.listener", &address)]).await;
    assert!(refusal.contains(&address), "{refusal}");
}

#[tokio::test]
async fn a_failed_flush_in_the_only_log_directory_stops_the_node() {
    let machine = Machine::default();
    let node = machine.start().await;
    let mut conn = client(&node).await;
    create_topic(&mut conn, "t").await;
    assert_eq!(produce(&mut conn, "t").await, (0, 0));
    machine.disk.inject("/data/t-0", DiskFault::Sync);
    let (refused, failure) = tokio::join!(produce(&mut conn, "t"), node.closed());
    assert_ne!(refused.0, 0, "nothing is acknowledged that is not on disk");
    let failure = failure.unwrap_err().to_string();
    assert!(failure.contains("no log directory is left: /data/t-0"), "{failure}");
    assert!(get(&node, "/healthz").await.0.contains("503"));
}

/// Directory of each partition of a topic, and those that are offline, as DescribeLogDirs tells.
async fn log_dirs(conn: &mut Conn, topic: &str) -> (BTreeMap<i32, String>, Vec<String>) {
    let response = call(conn, &DescribeLogDirsRequest::default().with_topics(None), 4).await;
    let (mut places, mut offline) = (BTreeMap::new(), Vec::new());
    for result in response.results {
        let path = result.log_dir.to_string();
        if result.error_code == KAFKA_STORAGE_ERROR {
            offline.push(path);
            continue;
        }
        assert!(result.total_bytes > 0 && result.usable_bytes > 0, "{path}");
        for found in result.topics.iter().filter(|found| found.name == name(topic)) {
            places.extend(found.partitions.iter().map(|partition| (partition.partition_index, path.clone())));
        }
    }
    (places, offline)
}

/// Offline replicas of each partition of a topic.
async fn offline_replicas(conn: &mut Conn, topic: &str) -> Vec<Vec<i32>> {
    let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
    let response = call(conn, &MetadataRequest::default().with_topics(Some(vec![topic])), 9).await;
    let ids = |ids: &[highwater_protocol::messages::BrokerId]| ids.iter().map(|id| id.0).collect();
    let mut partitions = response.topics[0].partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    partitions.iter().map(|partition| ids(&partition.offline_replicas)).collect()
}

const KAFKA_STORAGE_ERROR: i16 = 56;

#[tokio::test]
async fn one_of_two_log_directories_fails_and_the_rest_goes_on() {
    let machine = Machine::default();
    let two = [("log.dirs", "/data,/other"), ("highwater.http.listener", "127.0.0.1:0")];
    let node = machine.start_with(&two).await;
    let mut conn = client(&node).await;
    create_topic_of(&mut conn, "t", 4).await;
    for partition in 0..4 {
        assert_eq!(produce_to(&mut conn, "t", partition).await, (0, 0));
    }
    let (places, offline) = log_dirs(&mut conn, "t").await;
    assert_eq!(offline, Vec::<String>::new());
    assert_eq!(places.values().filter(|path| *path == "/other").count(), 2, "as many in each: {places:?}");
    machine.disk.inject("/other", DiskFault::Sync);
    for (&partition, path) in &places {
        let (code, _) = produce_to(&mut conn, "t", partition).await;
        assert_eq!(code == 0, path == "/data", "partition {partition} in {path}: {code}");
    }
    assert_eq!(log_dirs(&mut conn, "t").await.1, ["/other"]);
    let deadline = tokio::time::Instant::now() + READY_WITHIN;
    let expected: Vec<Vec<i32>> = places.values().map(|path| if path == "/data" { vec![] } else { vec![1] }).collect();
    while offline_replicas(&mut conn, "t").await != expected {
        assert!(tokio::time::Instant::now() < deadline, "the controller is not told");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, figures) = get(&node, "/metrics").await;
    for line in [
        "kafka_log_logmanager_offlinelogdirectorycount 1",
        "kafka_log_logmanager_logdirectoryoffline{logDirectory=\"/other\"} 1",
        "kafka_server_replicamanager_offlinereplicacount 2",
    ] {
        assert!(figures.contains(line), "{line} is not in\n{figures}");
    }
    // Still broken at the next start: the node serves what it has. Then it is healthy again.
    node.shutdown().await;
    drop((conn, node));
    machine.disk.inject("/other", DiskFault::Any);
    let node = machine.start_with(&two).await;
    let mut conn = client(&node).await;
    for (&partition, path) in &places {
        let (code, _) = produce_to(&mut conn, "t", partition).await;
        assert_eq!(code == 0, path == "/data", "partition {partition} in {path}: {code}");
    }
    assert_eq!(log_dirs(&mut conn, "t").await.1, ["/other"]);
    node.shutdown().await;
    drop((conn, node));
    machine.disk.heal();
    let node = machine.start_with(&two).await;
    let mut conn = client(&node).await;
    for (&partition, path) in &places {
        let (code, offset) = produce_to(&mut conn, "t", partition).await;
        assert_eq!(code, 0, "partition {partition} is back");
        assert!(path == "/other" || offset == 3, "partition {partition} in {path}: {offset}");
        assert!(offset >= 1, "what was acknowledged is there");
    }
    assert_eq!(log_dirs(&mut conn, "t").await, (places, vec![]));
}

#[tokio::test]
async fn the_directory_with_the_metadata_is_one_that_a_controller_cannot_do_without() {
    let machine = Machine::default();
    let node = machine.start_with(&[("log.dirs", "/data,/other")]).await;
    let mut conn = client(&node).await;
    create_topic_of(&mut conn, "t", 2).await;
    machine.disk.inject("/data", DiskFault::Sync);
    let mut other = client(&node).await;
    let both = futures::future::join(produce_to(&mut other, "t", 0), produce_to(&mut conn, "t", 1));
    let (_, failure) = tokio::join!(both, node.closed());
    let failure = failure.unwrap_err().to_string();
    assert!(failure.contains("the log directory with the controller's metadata failed"), "{failure}");
}

#[tokio::test]
async fn a_copied_log_directory_is_refused() {
    let machine = Machine::default();
    let node = machine.start().await;
    node.shutdown().await;
    drop(node);
    let fs = Fs::Sim(machine.disk.clone());
    fs.create_dir_all(Path::new("/copy")).unwrap();
    let meta = fs.read(Path::new("/data/meta.properties")).unwrap();
    fs.write_atomic(Path::new("/copy/meta.properties"), &meta).unwrap();
    let refusal = machine.refusal(&[("log.dirs", "/data,/copy")]).await;
    assert!(refusal.contains("/data and /copy have the same directory.id"), "{refusal}");
}
