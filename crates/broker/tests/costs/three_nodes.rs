//! Three whole nodes in this process, on one thread: real sockets, real files, the key-value store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_broker::{Broker, BrokerConfig, RunningBroker};
use highwater_env::{Conn, Env, Fs, Net, SimKv};
use highwater_protocol::messages::create_topics_request::CreatableTopic;
use highwater_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use highwater_protocol::messages::metadata_request::MetadataRequestTopic;
use highwater_protocol::messages::{BrokerId, CreateTopicsRequest, ListOffsetsRequest, MetadataRequest};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::wire::{call, name};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct ThreeNodes {
    nodes: Vec<RunningBroker>,
    /// Deleted with it.
    _files: TempDir,
}

impl ThreeNodes {
    pub async fn start(durability: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut ports = Vec::new();
        for _ in 0..6 {
            // No connection leaves from this address, so the port is still free when the node binds it.
            ports.push(Net::Tcp.bind("127.0.0.3:0").await.unwrap());
        }
        let addresses: Vec<String> = ports.iter().map(|port| port.local_addr().unwrap().to_string()).collect();
        drop(ports);
        let voters: Vec<String> = (1..=3).map(|id| format!("{id}@{}", addresses[id + 2])).collect();
        let mut nodes = Vec::new();
        for id in 1..=3 {
            let properties = [
                ("node.id", id.to_string()),
                ("process.roles", "broker,controller".to_owned()),
                ("controller.quorum.voters", voters.join(",")),
                ("controller.listener.names", "CONTROLLER".to_owned()),
                ("listeners", format!("PLAINTEXT://{},CONTROLLER://{}", addresses[id - 1], addresses[id + 2])),
                // Two above the client's port otherwise, which another node may have been given.
                ("highwater.http.listener", "127.0.0.1:0".to_owned()),
                ("log.dirs", files.path().join(id.to_string()).display().to_string()),
                ("highwater.durability", durability.to_owned()),
                // A lock for each partition every five seconds otherwise, on three nodes at three different times.
                ("replica.high.watermark.checkpoint.interval.ms", "3600000".to_owned()),
            ];
            let properties: BTreeMap<String, String> =
                properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            let env = Env { net: Net::Tcp, fs: Fs::Real, kv: Arc::new(SimKv::default()) };
            nodes.push(Broker::start(BrokerConfig::from_properties(&properties).unwrap(), env).await.unwrap());
        }
        let cluster = Self { nodes, _files: files };
        wait("the nodes to be ready", async || cluster.nodes.iter().all(RunningBroker::is_ready)).await;
        cluster
    }

    /// A connection to node `id`.
    pub async fn connect(&self, id: i32) -> Conn {
        let address = self.nodes[id as usize - 1].client_addresses()[0].1.to_string();
        Net::Tcp.connect(&address).await.unwrap()
    }

    /// Creates a topic and waits until all its replicas are in sync and the leader of partition 0 leads. Gives that leader.
    pub async fn create(&self, topic: &str, partitions: i32, replicas: i16) -> i32 {
        let mut conn = self.connect(1).await;
        let creation = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(replicas);
        let request = CreateTopicsRequest::default().with_topics(vec![creation]).with_timeout_ms(30_000);
        let response = call(&mut conn, &request, 5).await;
        assert_eq!(response.topics[0].error_code, 0, "{response:?}");
        let asked = MetadataRequestTopic::default().with_name(Some(name(topic)));
        let request = MetadataRequest::default().with_topics(Some(vec![asked]));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let known = call(&mut conn, &request, 9).await.topics.remove(0).partitions;
            let in_sync = known.iter().filter(|partition| partition.isr_nodes.len() == replicas as usize).count();
            if in_sync == partitions as usize {
                let first = known.iter().find(|partition| partition.partition_index == 0).unwrap();
                let leader = first.leader_id.0;
                wait("the leader to lead", async || self.leads(leader, topic).await).await;
                return leader;
            }
            assert!(Instant::now() < deadline, "{in_sync} of {partitions} partitions are in sync");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether node `id` answers as the leader of partition 0: it may learn later than others that it is.
    async fn leads(&self, id: i32, topic: &str) -> bool {
        let latest = ListOffsetsPartition::default().with_partition_index(0).with_timestamp(-1);
        let asked = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![latest]);
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![asked]);
        let answer = call(&mut self.connect(id).await, &request, 1).await;
        answer.topics[0].partitions[0].error_code == 0
    }
}

async fn wait(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
