//! An administrator who never rests: topics come and go, replicas are moved, at a limited rate or not, topics get other settings.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use highwater_metadata::config::REASSIGNMENT_THROTTLE;
use highwater_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use highwater_protocol::messages::create_topics_request::CreatableTopic;
use highwater_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use highwater_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, CreateTopicsRequest, DeleteTopicsRequest,
    IncrementalAlterConfigsRequest, MetadataRequest, TopicName,
};
use highwater_protocol::{KafkaRequest, StrBytes, with_reassignment_rate};
use highwater_types::ErrorCode;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::sleep;

use crate::client::Client;
use crate::cluster::address;
use crate::plan::NODES;
use crate::workload::{PARTITIONS, TOPIC, topic_name};

/// `config.resource.type` of topics, and of brokers.
const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
/// Operations of IncrementalAlterConfigs.
const SET: i8 = 0;
const DELETE: i8 = 1;
/// Kafka's throttles: the replicas of a topic, and the rate of every broker.
const THROTTLES: [(&str, &str); 2] = [
    ("leader.replication.throttled.replicas", "leader.replication.throttled.rate"),
    ("follower.replication.throttled.replicas", "follower.replication.throttled.rate"),
];
/// Bytes per second. At the lower one a move takes longer than most faults.
const RATES: std::ops::Range<i64> = 500..200_000;
/// With this one the last moves end soon.
const LAST_RATE: i64 = 1_000_000;
/// Attempts to bring the topic into its last state.
const ATTEMPTS: usize = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// What is asked of the cluster.
pub struct Administrator {
    rng: SmallRng,
    topics: Vec<String>,
    created: usize,
    next: usize,
}

impl Administrator {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed ^ 0xad31_u64.rotate_left(40)),
            topics: Vec::new(),
            created: 0,
            next: 0,
        }
    }

    /// Acts until `stop`, then gives every partition of the workload all nodes as replicas again, and deletes the other topics.
    pub async fn run(mut self, stop: impl Fn() -> bool) -> Result<()> {
        while !stop() {
            sleep(Duration::from_millis(self.rng.random_range(100..1500))).await;
            // Whether it succeeds depends on the faults; what is asked is valid at any time.
            let _ = match self.rng.random_range(0..7) {
                0..=1 => self.create().await,
                2 => self.delete().await,
                3..=4 => self.move_replicas().await,
                5 => self.throttle().await,
                _ => self.configure().await,
            };
        }
        for _ in 0..ATTEMPTS {
            match self.restore().await {
                Ok(()) => return Ok(()),
                Err(_) => sleep(PAUSE).await,
            }
        }
        bail!("the topic cannot be given all its replicas")
    }

    async fn ask<R: KafkaRequest>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.next = (self.next + 1) % NODES;
        Client::connect(&address(self.next)).await?.call(version, request).await
    }

    async fn create(&mut self) -> Result<()> {
        let name = format!("x{}", self.created);
        self.created += 1;
        self.topics.push(name.clone());
        let topic = CreatableTopic::default()
            .with_name(TopicName(StrBytes::from_string(name)))
            .with_num_partitions(self.rng.random_range(1..4))
            .with_replication_factor(self.rng.random_range(1..=NODES as i16));
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(2000);
        self.ask(5, &request).await.map(|_| ())
    }

    async fn delete(&mut self) -> Result<()> {
        if self.topics.is_empty() {
            return Ok(());
        }
        let name = self.topics[self.rng.random_range(0..self.topics.len())].clone();
        self.delete_topic(name).await
    }

    async fn delete_topic(&mut self, name: String) -> Result<()> {
        let names = vec![TopicName(StrBytes::from_string(name.clone()))];
        let request = DeleteTopicsRequest::default().with_topic_names(names).with_timeout_ms(2000);
        let answer = self.ask(4, &request).await?;
        let code = answer.responses.first().context("no answer")?.error_code;
        let gone = [ErrorCode::None.code(), ErrorCode::UnknownTopicOrPartition.code()];
        ensure!(gone.contains(&code), "not deleted: {code}");
        self.topics.retain(|topic| *topic != name);
        Ok(())
    }

    /// Two or three replicas in any order, sometimes at a limited rate; sometimes takes back what was asked, or changes the rate.
    async fn move_replicas(&mut self) -> Result<()> {
        if self.rng.random_bool(0.2) {
            let rate = self.rng.random_range(RATES).to_string();
            return self.alter_configs(BROKER_RESOURCE, "", &[(REASSIGNMENT_THROTTLE, Some(rate))]).await;
        }
        let rate = self.rng.random_bool(0.5).then(|| self.rng.random_range(RATES));
        let partition = self.rng.random_range(0..PARTITIONS);
        let first = self.rng.random_range(0..NODES);
        let count = self.rng.random_range(2..=NODES);
        let replicas = (0..count).map(|index| ((first + index) % NODES) as i32 + 1).collect();
        let replicas = self.rng.random_bool(0.8).then_some(replicas);
        self.reassign(vec![(partition, replicas)], rate).await
    }

    async fn reassign(&mut self, wanted: Vec<(i32, Option<Vec<i32>>)>, rate: Option<i64>) -> Result<()> {
        let partition = |(index, replicas): (i32, Option<Vec<i32>>)| {
            let replicas = replicas.map(|replicas| replicas.into_iter().map(BrokerId).collect());
            ReassignablePartition::default().with_partition_index(index).with_replicas(replicas)
        };
        let partitions = wanted.into_iter().map(partition).collect();
        let topic = ReassignableTopic::default().with_name(topic_name()).with_partitions(partitions);
        let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(2000).with_topics(vec![topic]);
        let request = match rate {
            Some(rate) => with_reassignment_rate(request, rate),
            None => request,
        };
        let answer = self.ask(0, &request).await?;
        ensure!(answer.error_code == 0, "reassignment: {}", answer.error_code);
        let refused =
            answer.responses.iter().flat_map(|topic| &topic.partitions).find(|partition| partition.error_code != 0);
        ensure!(refused.is_none(), "reassignment: {refused:?}");
        Ok(())
    }

    async fn configure(&mut self) -> Result<()> {
        let bytes = self.rng.random_range(100_000..2_000_000_000_u64).to_string();
        self.alter_configs(TOPIC_RESOURCE, TOPIC, &[("segment.bytes", Some(bytes))]).await
    }

    /// Changes which replicas of the workload catch up at a limited rate, or the rate.
    async fn throttle(&mut self) -> Result<()> {
        let (replicas, rate) = THROTTLES[self.rng.random_range(0..THROTTLES.len())];
        if self.rng.random_bool(0.5) {
            let value = self.rng.random_bool(0.8).then(|| self.rng.random_range(RATES).to_string());
            return self.alter_configs(BROKER_RESOURCE, "", &[(rate, value)]).await;
        }
        let listed = match self.rng.random_range(0..4) {
            0 => None,
            1 => Some("*".to_owned()),
            _ => Some(format!("0:{},1:{}", self.rng.random_range(1..=NODES), self.rng.random_range(1..=NODES))),
        };
        self.alter_configs(TOPIC_RESOURCE, TOPIC, &[(replicas, listed)]).await
    }

    /// Sets or removes keys of one resource.
    async fn alter_configs(&mut self, kind: i8, name: &'static str, values: &[(&str, Option<String>)]) -> Result<()> {
        let config = |(key, value): &(&str, Option<String>)| {
            AlterableConfig::default()
                .with_name(StrBytes::from_string((*key).to_owned()))
                .with_config_operation(if value.is_some() { SET } else { DELETE })
                .with_value(value.clone().map(StrBytes::from_string))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(StrBytes::from_static_str(name))
            .with_configs(values.iter().map(config).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.ask(0, &request).await?;
        let code = answer.responses.first().context("no answer")?.error_code;
        ensure!(code == 0, "not configured: {code}");
        Ok(())
    }

    /// Nothing is throttled but the last moves, whose rate has to go by itself.
    async fn restore(&mut self) -> Result<()> {
        for (replicas, rate) in THROTTLES {
            self.alter_configs(TOPIC_RESOURCE, TOPIC, &[(replicas, None)]).await?;
            self.alter_configs(BROKER_RESOURCE, "", &[(rate, None)]).await?;
        }
        let replicas = |partition: i32| (0..NODES as i32).map(|index| (partition + index) % NODES as i32 + 1).collect();
        self.reassign(
            (0..PARTITIONS).map(|partition| (partition, Some(replicas(partition)))).collect(),
            Some(LAST_RATE),
        )
        .await?;
        // A creation that nobody waited for any more may have happened late: what is there counts, not what was asked for.
        let everything = MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
        let known = self.ask(9, &everything).await?.topics;
        let names = known.iter().filter_map(|topic| topic.name.as_ref()).map(|name| name.0.to_string());
        let others: Vec<String> = names.filter(|name| name != TOPIC).collect();
        for name in &others {
            self.delete_topic(name.clone()).await?;
        }
        ensure!(others.is_empty(), "{others:?} may still be there");
        Ok(())
    }
}
