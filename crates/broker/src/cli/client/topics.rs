//! Topics and partitions: what they are, and changes to which there are.

use std::fmt;
use std::str::FromStr;

use highwater_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use highwater_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use highwater_protocol::messages::delete_topics_request::DeleteTopicState;
use highwater_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use highwater_protocol::messages::{BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};
use highwater_types::TopicId;

use super::{CHANGE_TIMEOUT_MS, ClusterClient, message_of, topic_name, wire};
use crate::cli::Failure;

/// What a request says to get the cluster's default number of partitions or replicas, or to bring its own replicas.
const CLUSTER_DEFAULT: i32 = -1;

/// A partition of a topic, written `topic-3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TopicPartition {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

impl TopicPartition {
    pub(crate) fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.to_owned(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl FromStr for TopicPartition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected TOPIC-PARTITION such as orders-3, not {text:?}");
        let (topic, partition) = text.rsplit_once(['-', ':']).ok_or_else(expected)?;
        let partition = partition.parse().ok().filter(|number| *number >= 0).ok_or_else(expected)?;
        if topic.is_empty() { Err(expected()) } else { Ok(Self::new(topic, partition)) }
    }
}

/// A topic with its partitions, by number.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: TopicId,
    pub(crate) internal: bool,
    pub(crate) partitions: Vec<Partition>,
}

/// Who leads and holds a partition.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    pub(crate) id: TopicPartition,
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    /// Replicas whose broker or directory does not serve.
    pub(crate) offline: Vec<i32>,
}

impl Topic {
    pub(crate) fn from_wire(topic: MetadataResponseTopic) -> Self {
        let name = topic.name.map_or_else(String::new, |name| name.0.to_string());
        let partition = |one: MetadataResponsePartition| Partition {
            id: TopicPartition::new(&name, one.partition_index),
            leader: (one.leader_id.0 >= 0).then_some(one.leader_id.0),
            leader_epoch: one.leader_epoch,
            replicas: ids(&one.replica_nodes),
            isr: ids(&one.isr_nodes),
            offline: ids(&one.offline_replicas),
        };
        let mut partitions: Vec<Partition> = topic.partitions.into_iter().map(partition).collect();
        partitions.sort_by(|a, b| a.id.cmp(&b.id));
        Self { id: TopicId::from_bytes(topic.topic_id.into_bytes()), internal: topic.is_internal, name, partitions }
    }

    /// The most replicas that one of its partitions has.
    pub(crate) fn replication_factor(&self) -> usize {
        self.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0)
    }

    /// The partitions that `wanted` names; all if it names none.
    pub(crate) fn select(&self, wanted: &[i32]) -> Result<Vec<Partition>, Failure> {
        if wanted.is_empty() {
            return Ok(self.partitions.clone());
        }
        let find = |&number: &i32| {
            self.partitions.iter().find(|partition| partition.id.partition == number).cloned().ok_or_else(|| {
                let count = self.partitions.len();
                Failure::usage(format!("topic {} has {count} partitions, none is {number}", self.name))
            })
        };
        wanted.iter().map(find).collect()
    }
}

impl Partition {
    pub(crate) fn is_under_replicated(&self) -> bool {
        self.isr.len() < self.replicas.len()
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.leader.is_none()
    }

    /// Whether the first replica, which would lead if all were well, leads.
    pub(crate) fn has_preferred_leader(&self) -> bool {
        self.leader.is_some() && self.leader == self.replicas.first().copied()
    }
}

fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}

pub(crate) fn wire_ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().map(|broker| BrokerId(*broker)).collect()
}

/// Parses replicas of consecutive partitions as Kafka's tools write them: `1:2:3,2:3:1`.
pub(crate) fn parse_assignment(text: &str) -> Result<Vec<Vec<i32>>, String> {
    let replica = |id: &str| id.trim().parse::<i32>().ok().filter(|id| *id >= 0);
    let partition = |part: &str| part.split(':').map(replica).collect::<Option<Vec<i32>>>();
    text.split(',')
        .map(partition)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| format!("expected broker ids such as 1:2:3,2:3:1, not {text:?}"))
}

/// A topic to be created.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    pub(crate) partitions: Option<i32>,
    pub(crate) replication_factor: Option<i16>,
    /// Replicas of each partition; then nothing is said of the two numbers above.
    pub(crate) assignment: Vec<Vec<i32>>,
    pub(crate) configs: Vec<(String, String)>,
}

impl ClusterClient {
    /// Creates a topic, or only checks whether that would work. Gives back its partitions and replication factor.
    pub(crate) async fn create_topic(&mut self, topic: &NewTopic, validate_only: bool) -> Result<(i32, i16), Failure> {
        let config = |(key, value): &(String, String)| {
            CreatableTopicConfig::default().with_name(wire(key)).with_value(Some(wire(value)))
        };
        let assignment = |(index, replicas): (usize, &Vec<i32>)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
                .with_broker_ids(wire_ids(replicas))
        };
        let wanted = CreatableTopic::default()
            .with_name(topic_name(&topic.name))
            .with_num_partitions(topic.partitions.unwrap_or(CLUSTER_DEFAULT))
            .with_replication_factor(topic.replication_factor.unwrap_or(CLUSTER_DEFAULT as i16))
            .with_assignments(topic.assignment.iter().enumerate().map(assignment).collect())
            .with_configs(topic.configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(CHANGE_TIMEOUT_MS)
            .with_validate_only(validate_only);
        let response = self.call(&request, 5..=7).await?;
        let result =
            response.topics.into_iter().next().ok_or_else(|| Failure::new("the broker says nothing of the topic"))?;
        match result.error_code {
            0 => Ok((result.num_partitions, result.replication_factor)),
            code => Err(Failure::refused(&format!("topic {}", topic.name), code, message_of(&result.error_message))),
        }
    }

    /// Enlarges a topic to `total` partitions, or only checks whether that would work.
    pub(crate) async fn create_partitions(
        &mut self,
        name: &str,
        total: i32,
        assignment: &[Vec<i32>],
        validate_only: bool,
    ) -> Result<(), Failure> {
        let replicas = |replicas: &Vec<i32>| CreatePartitionsAssignment::default().with_broker_ids(wire_ids(replicas));
        let assignments = (!assignment.is_empty()).then(|| assignment.iter().map(replicas).collect());
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name(name))
            .with_count(total)
            .with_assignments(assignments);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(CHANGE_TIMEOUT_MS)
            .with_validate_only(validate_only);
        let response = self.call(&request, 0..=3).await?;
        match response.results.iter().find(|result| result.error_code != 0) {
            None => Ok(()),
            Some(result) => {
                let message = message_of(&result.error_message);
                Err(Failure::refused(&format!("topic {name}"), result.error_code, message))
            }
        }
    }

    /// Deletes topics: what became of each, in the order of the answer.
    pub(crate) async fn delete_topics(
        &mut self,
        names: &[String],
    ) -> Result<Vec<(String, Result<(), Failure>)>, Failure> {
        let state = |name: &String| DeleteTopicState::default().with_name(Some(topic_name(name)));
        let request = DeleteTopicsRequest::default()
            .with_topics(names.iter().map(state).collect())
            .with_timeout_ms(CHANGE_TIMEOUT_MS);
        let response = self.call(&request, 6..=6).await?;
        let outcome = |result: highwater_protocol::messages::delete_topics_response::DeletableTopicResult| {
            let name = result.name.as_ref().map_or("", |name| name.0.as_str()).to_owned();
            let outcome = match result.error_code {
                0 => Ok(()),
                code => Err(Failure::refused(&format!("topic {name}"), code, message_of(&result.error_message))),
            };
            (name, outcome)
        };
        Ok(response.responses.into_iter().map(outcome).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_by_the_last_number() {
        let parsed = |text: &str| text.parse::<TopicPartition>().map(|one| (one.topic, one.partition));
        assert_eq!(parsed("my-topic-7"), Ok(("my-topic".to_owned(), 7)));
        assert_eq!(parsed("orders:0"), Ok(("orders".to_owned(), 0)));
        for wrong in ["orders", "orders-", "-3", "orders-x", "orders--1x"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn assignments_are_kafkas() {
        assert_eq!(parse_assignment("1:2:3,2:3:1"), Ok(vec![vec![1, 2, 3], vec![2, 3, 1]]));
        assert_eq!(parse_assignment("4"), Ok(vec![vec![4]]));
        for wrong in ["", "1:", "a", "1:-2", "1,,2"] {
            assert!(parse_assignment(wrong).is_err(), "{wrong}");
        }
    }
}
