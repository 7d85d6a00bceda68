//! Topics, leaders and the active controller, asked for over the raw client.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use highwater_protocol::StrBytes;
use highwater_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use highwater_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use highwater_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use highwater_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use highwater_protocol::messages::metadata_request::MetadataRequestTopic;
use highwater_protocol::messages::metadata_response::MetadataResponseTopic;
use highwater_protocol::messages::{
    CreateTopicsRequest, DescribeClusterRequest, IncrementalAlterConfigsRequest, ListOffsetsRequest, MetadataRequest,
};
use highwater_test_cluster::Cluster;

use crate::raw::{Connection, topic_name};
use crate::system::System;

/// Versions that both systems serve.
const CREATE_TOPICS_VERSION: i16 = 7;
const METADATA_VERSION: i16 = 12;
const LIST_OFFSETS_VERSION: i16 = 7;
const DESCRIBE_CLUSTER_VERSION: i16 = 1;
const INCREMENTAL_ALTER_CONFIGS_VERSION: i16 = 1;
/// `resource_type` of a topic.
const TOPIC_RESOURCE: i8 = 2;
/// The timestamp of ListOffsets that asks for the end of a log.
const LATEST: i64 = -1;
/// `endpoint_type` of DescribeCluster that asks about controllers (KIP-919).
const CONTROLLERS: i8 = 2;
/// Pause between two questions whether something has happened.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest time that topics may take until every broker knows their leaders.
pub const LEADERS_WITHIN: Duration = Duration::from_secs(300);

/// A topic to create.
#[derive(Debug, Clone, Default)]
pub struct Topic<'a> {
    pub name: &'a str,
    pub partitions: i32,
    pub replicas: i16,
    pub configs: &'a [(&'a str, &'a str)],
}

/// Creates one topic and waits until every broker knows leaders and full ISRs of all its partitions.
pub fn create_topic(cluster: &Cluster, name: &str, partitions: i32, replicas: i16) -> Result<()> {
    create_topics(cluster, &[Topic { name, partitions, replicas, configs: &[] }])
}

/// Creates topics in one request and waits as [`create_topic`].
pub fn create_topics(cluster: &Cluster, topics: &[Topic<'_>]) -> Result<()> {
    wait_for_brokers(cluster)?;
    let mut connection = Connection::open(cluster.nodes()[0].address())?;
    request_topics(&mut connection, topics)?;
    wait_for_leaders(cluster, topics)
}

/// Sends one CreateTopics request. Fails if one of the topics is refused.
pub fn request_topics(connection: &mut Connection, topics: &[Topic<'_>]) -> Result<()> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let config = |(key, value): &(&str, &str)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    };
    let wanted = |topic: &Topic<'_>| {
        CreatableTopic::default()
            .with_name(topic_name(topic.name))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(topic.replicas)
            .with_configs(topic.configs.iter().map(config).collect())
    };
    let request = CreateTopicsRequest::default()
        .with_topics(topics.iter().map(wanted).collect())
        .with_timeout_ms(i32::try_from(LEADERS_WITHIN.as_millis())?);
    for topic in connection.call(CREATE_TOPICS_VERSION, &request)?.topics {
        ensure!(
            topic.error_code == 0,
            "create {}: error {} {}",
            topic.name.0.as_str(),
            topic.error_code,
            topic.error_message.as_ref().map_or("", |message| message.as_str())
        );
    }
    Ok(())
}

/// Sets properties of a topic.
pub fn set_topic_configs(cluster: &Cluster, topic: &str, configs: &[(&str, &str)]) -> Result<()> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    // Operation 0 is SET.
    let set =
        |(key, value): &(&str, &str)| AlterableConfig::default().with_name(text(key)).with_value(Some(text(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(text(topic))
        .with_configs(configs.iter().map(set).collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let mut connection = Connection::open(cluster.nodes()[0].address())?;
    for outcome in connection.call(INCREMENTAL_ALTER_CONFIGS_VERSION, &request)?.responses {
        ensure!(outcome.error_code == 0, "configuration of {topic}: error {}", outcome.error_code);
    }
    Ok(())
}

/// Waits until every broker knows every broker.
pub fn wait_for_brokers(cluster: &Cluster) -> Result<()> {
    let count = cluster.nodes().len();
    wait(LEADERS_WITHIN, "a cluster of all brokers", || {
        cluster.nodes().iter().all(|node| brokers(node.address()).is_ok_and(|brokers| brokers == count))
    })
}

fn brokers(address: &str) -> Result<usize> {
    let request = MetadataRequest::default().with_topics(Some(Vec::new())).with_allow_auto_topic_creation(false);
    Ok(Connection::open(address)?.call(METADATA_VERSION, &request)?.brokers.len())
}

/// Waits until every broker says that all these partitions have a leader and all their replicas in sync.
pub fn wait_for_leaders(cluster: &Cluster, topics: &[Topic<'_>]) -> Result<()> {
    let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
    let complete = |described: &MetadataResponseTopic, topic: &Topic<'_>| {
        described.error_code == 0
            && described.partitions.len() == topic.partitions as usize
            && described.partitions.iter().all(|partition| {
                partition.leader_id.0 >= 0 && partition.isr_nodes.len() == usize::from(topic.replicas.unsigned_abs())
            })
    };
    for node in cluster.nodes().iter().filter(|node| node.pid().is_some()) {
        let mut connection = None;
        wait(LEADERS_WITHIN, "leaders of all partitions", || {
            let known = describe(&mut connection, node.address(), &names);
            known.is_ok_and(|known| {
                topics.iter().all(|topic| known.get(topic.name).is_some_and(|known| complete(known, topic)))
            })
        })?;
    }
    Ok(())
}

/// Waits until all partitions of one topic are complete again, after a fault.
pub fn wait_for_full_isr(cluster: &Cluster, name: &str, partitions: i32, replicas: i16) -> Result<()> {
    wait_for_leaders(cluster, &[Topic { name, partitions, replicas, configs: &[] }])
}

/// The sum of the log ends of partitions. Fails if the broker does not lead one of them, or does not serve it yet.
pub fn log_ends(address: &str, topic: &str, partitions: impl IntoIterator<Item = i32>) -> Result<i64> {
    let mut sum = 0;
    for partition in latest_offsets(address, topic, partitions)? {
        ensure!(partition.error_code == 0, "ListOffsets: error {}", partition.error_code);
        sum += partition.offset;
    }
    Ok(sum)
}

/// Whether the broker serves one of these partitions at least.
pub fn serves_one(address: &str, topic: &str, partitions: impl IntoIterator<Item = i32>) -> bool {
    latest_offsets(address, topic, partitions)
        .is_ok_and(|answers| answers.iter().any(|partition| partition.error_code == 0))
}

fn latest_offsets(
    address: &str,
    topic: &str,
    partitions: impl IntoIterator<Item = i32>,
) -> Result<Vec<ListOffsetsPartitionResponse>> {
    let latest = |index| ListOffsetsPartition::default().with_partition_index(index).with_timestamp(LATEST);
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(partitions.into_iter().map(latest).collect());
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let response = Connection::open(address)?.call(LIST_OFFSETS_VERSION, &request)?;
    Ok(response.topics.into_iter().flat_map(|topic| topic.partitions).collect())
}

/// Waits until the leader of each partition answers for it, of those that run: being told of leaders is not yet being served.
pub fn wait_until_served(cluster: &Cluster, topics: &[Topic<'_>]) -> Result<()> {
    let running = || cluster.nodes().iter().filter(|node| node.pid().is_some());
    let bootstrap = running().next().context("no node runs")?.address();
    for topic in topics {
        let leaders = leaders(bootstrap, topic.name)?;
        for node in running() {
            let led = |partition: &i32| leaders[*partition as usize] == node.id() as i32;
            wait(LEADERS_WITHIN, "leaders that answer", || {
                log_ends(node.address(), topic.name, (0..topic.partitions).filter(led)).is_ok()
            })?;
        }
    }
    Ok(())
}

/// The leader of each partition of a topic, as one broker knows it; -1 where there is none.
pub fn leaders(address: &str, topic: &str) -> Result<Vec<i32>> {
    let known = describe(&mut None, address, &[topic])?;
    let mut partitions = known.get(topic).with_context(|| format!("no topic {topic}"))?.partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    Ok(partitions.iter().map(|partition| partition.leader_id.0).collect())
}

fn describe(
    connection: &mut Option<Connection>,
    address: &str,
    topics: &[&str],
) -> Result<BTreeMap<String, MetadataResponseTopic>> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(address)?,
    };
    let wanted = topics.iter().map(|topic| MetadataRequestTopic::default().with_name(Some(topic_name(topic))));
    let request = MetadataRequest::default().with_topics(Some(wanted.collect())).with_allow_auto_topic_creation(false);
    let response = open.call(METADATA_VERSION, &request)?;
    *connection = Some(open);
    let named = |topic: MetadataResponseTopic| Some((topic.name.clone()?.0.as_str().to_owned(), topic));
    Ok(response.topics.into_iter().filter_map(named).collect())
}

/// The id of the node whose controller is active.
pub fn active_controller(cluster: &Cluster, system: System) -> Result<usize> {
    let mut found = None;
    wait(Duration::from_secs(30), "an active controller", || {
        found = cluster.nodes().iter().filter(|node| node.pid().is_some()).find_map(|node| match system {
            System::Kafka => kafka_controller(node.controller()).ok(),
            System::Strict | System::Relaxed => {
                let active = node.metric("kafka_controller_kafkacontroller_activecontrollercount").ok().flatten();
                (active == Some(1.0)).then(|| node.id())
            }
        });
        found.is_some()
    })?;
    found.context("no active controller")
}

fn kafka_controller(address: &str) -> Result<usize> {
    let mut connection = Connection::open(address)?;
    connection.answer_within(Duration::from_secs(5))?;
    let request = DescribeClusterRequest::default().with_endpoint_type(CONTROLLERS);
    let response = connection.call(DESCRIBE_CLUSTER_VERSION, &request)?;
    ensure!(response.error_code == 0, "DescribeCluster: error {}", response.error_code);
    Ok(usize::try_from(response.controller_id.0)?)
}

/// Asks until the condition holds.
pub fn wait(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() > deadline {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
