//! Which brokers hold a partition, and which of them leads it.

use std::collections::BTreeMap;

use highwater_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use highwater_protocol::messages::elect_leaders_request::TopicPartitions;
use highwater_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest, ListPartitionReassignmentsRequest,
};
use highwater_protocol::with_reassignment_rate;
use highwater_types::ErrorCode;

use super::topics::wire_ids;
use super::{CHANGE_TIMEOUT_MS, ClusterClient, TopicPartition, message_of, topic_name};
use crate::cli::Failure;

/// A reassignment under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reassignment {
    pub(crate) id: TopicPartition,
    pub(crate) replicas: Vec<i32>,
    pub(crate) adding: Vec<i32>,
    pub(crate) removing: Vec<i32>,
}

/// Who may be elected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ElectionType {
    /// The first replica, if it is in sync.
    Preferred,
    /// Any replica that lives: records that only others have are lost.
    Unclean,
}

/// What became of each partition.
pub(crate) type Outcomes = BTreeMap<TopicPartition, Result<(), Failure>>;

impl ClusterClient {
    /// Starts reassignments (`None` cancels one), at a rate in bytes per second if there is one, and says what became of each.
    pub(crate) async fn alter_reassignments(
        &mut self,
        targets: &BTreeMap<TopicPartition, Option<Vec<i32>>>,
        rate: Option<i64>,
    ) -> Result<Outcomes, Failure> {
        let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
        for (id, replicas) in targets {
            let partition = ReassignablePartition::default()
                .with_partition_index(id.partition)
                .with_replicas(replicas.as_deref().map(wire_ids));
            topics.entry(&id.topic).or_default().push(partition);
        }
        let topic = |(name, partitions): (&str, Vec<ReassignablePartition>)| {
            ReassignableTopic::default().with_name(topic_name(name)).with_partitions(partitions)
        };
        let request = AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(CHANGE_TIMEOUT_MS)
            .with_topics(topics.into_iter().map(topic).collect());
        let request = match rate {
            Some(rate) => with_reassignment_rate(request, rate),
            None => request,
        };
        let response = self.call(&request, 0..=1).await?;
        if response.error_code != 0 {
            return Err(Failure::refused("reassignment", response.error_code, message_of(&response.error_message)));
        }
        let mut outcomes = Outcomes::new();
        for topic in response.responses {
            for one in topic.partitions {
                let id = TopicPartition::new(topic.name.0.as_str(), one.partition_index);
                let outcome = outcome(&id, one.error_code, message_of(&one.error_message));
                outcomes.insert(id, outcome);
            }
        }
        Ok(outcomes)
    }

    /// All reassignments under way, by partition.
    pub(crate) async fn reassignments(&mut self) -> Result<Vec<Reassignment>, Failure> {
        let request = ListPartitionReassignmentsRequest::default().with_timeout_ms(CHANGE_TIMEOUT_MS).with_topics(None);
        let response = self.call(&request, 0..=0).await?;
        if response.error_code != 0 {
            return Err(Failure::refused("reassignments", response.error_code, message_of(&response.error_message)));
        }
        let ids = |brokers: Vec<BrokerId>| brokers.into_iter().map(|broker| broker.0).collect::<Vec<_>>();
        let mut all = Vec::new();
        for topic in response.topics {
            for one in topic.partitions {
                all.push(Reassignment {
                    id: TopicPartition::new(topic.name.0.as_str(), one.partition_index),
                    replicas: ids(one.replicas),
                    adding: ids(one.adding_replicas),
                    removing: ids(one.removing_replicas),
                });
            }
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// Elects leaders of `partitions`, or of all. Gives back only those where something was to be done.
    pub(crate) async fn elect_leaders(
        &mut self,
        election: ElectionType,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Outcomes, Failure> {
        let topics = partitions.map(|partitions| {
            let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
            for id in partitions {
                topics.entry(&id.topic).or_default().push(id.partition);
            }
            let topic = |(name, partitions): (&str, Vec<i32>)| {
                TopicPartitions::default().with_topic(topic_name(name)).with_partitions(partitions)
            };
            topics.into_iter().map(topic).collect::<Vec<_>>()
        });
        let request = ElectLeadersRequest::default()
            .with_election_type(if election == ElectionType::Unclean { 1 } else { 0 })
            .with_topic_partitions(topics)
            .with_timeout_ms(CHANGE_TIMEOUT_MS);
        let response = self.call(&request, 1..=2).await?;
        if response.error_code != 0 {
            return Err(Failure::refused("election", response.error_code, None));
        }
        let mut outcomes = Outcomes::new();
        for topic in response.replica_election_results {
            for one in topic.partition_result {
                if one.error_code == ErrorCode::ElectionNotNeeded as i16 {
                    continue;
                }
                let id = TopicPartition::new(topic.topic.0.as_str(), one.partition_id);
                let outcome = outcome(&id, one.error_code, message_of(&one.error_message));
                outcomes.insert(id, outcome);
            }
        }
        Ok(outcomes)
    }
}

fn outcome(id: &TopicPartition, code: i16, message: Option<&str>) -> Result<(), Failure> {
    match code {
        0 => Ok(()),
        code => Err(Failure::refused(&id.to_string(), code, message)),
    }
}
