//! Offsets of partitions: first, next, by time; and deletion of records below one.

use std::collections::BTreeMap;

use highwater_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use highwater_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use highwater_protocol::messages::{BrokerId, DeleteRecordsRequest, ListOffsetsRequest};

use super::{
    ATTEMPTS, CHANGE_TIMEOUT_MS, ClusterClient, Partition, RETRY_PAUSE, TopicPartition, is_retriable, topic_name,
};
use crate::cli::Failure;

/// ListOffsets' timestamps for "first offset", "next offset to be written" and "record with the largest timestamp".
pub(crate) const EARLIEST: i64 = -2;
pub(crate) const LATEST: i64 = -1;
pub(crate) const MAX_TIMESTAMP: i64 = -3;

/// An offset with the timestamp of its record, where the question was for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundOffset {
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<i64>,
}

type Found = BTreeMap<TopicPartition, FoundOffset>;

impl ClusterClient {
    /// The first offset at or after `timestamp` (or for Kafka's special values) in each of `partitions`, asked of its leader.
    /// A partition that has no such offset, or no leader, is left out.
    pub(crate) async fn offsets_at(&mut self, partitions: &[Partition], timestamp: i64) -> Result<Found, Failure> {
        let mut found = Found::new();
        let mut left: Vec<(TopicPartition, i32)> =
            partitions.iter().filter_map(|one| Some((one.id.clone(), one.leader?))).collect();
        for attempt in 1.. {
            let failed = self.ask_leaders(&left, timestamp, &mut found).await?;
            match failed.iter().find(|(_, code)| !is_retriable(**code) || attempt >= ATTEMPTS) {
                Some((partition, code)) => return Err(Failure::refused(&partition.to_string(), *code, None)),
                None if failed.is_empty() => return Ok(found),
                None => tokio::time::sleep(RETRY_PAUSE).await,
            }
            left = self.leaders_of(failed.into_keys()).await?;
        }
        unreachable!("the loop ends by returning")
    }

    /// The present leaders of `partitions`; those without one are left out.
    async fn leaders_of(
        &mut self,
        partitions: impl Iterator<Item = TopicPartition>,
    ) -> Result<Vec<(TopicPartition, i32)>, Failure> {
        let wanted: Vec<TopicPartition> = partitions.collect();
        let mut names: Vec<String> = wanted.iter().map(|one| one.topic.clone()).collect();
        names.dedup();
        let topics = self.existing_topics(&names).await?;
        let all = topics.into_iter().flat_map(|topic| topic.partitions);
        Ok(all.filter(|one| wanted.contains(&one.id)).filter_map(|one| Some((one.id, one.leader?))).collect())
    }

    /// Asks each leader once; gives back the error codes of those partitions that have no answer.
    async fn ask_leaders(
        &mut self,
        partitions: &[(TopicPartition, i32)],
        timestamp: i64,
        found: &mut Found,
    ) -> Result<BTreeMap<TopicPartition, i16>, Failure> {
        let mut failed = BTreeMap::new();
        for (leader, topics) in by_leader(partitions) {
            let ask = |partition: &i32| {
                ListOffsetsPartition::default()
                    .with_partition_index(*partition)
                    .with_current_leader_epoch(-1)
                    .with_timestamp(timestamp)
            };
            let topics = topics.iter().map(|(name, partitions)| {
                let partitions = partitions.iter().map(ask).collect();
                ListOffsetsTopic::default().with_name(topic_name(name)).with_partitions(partitions)
            });
            let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(topics.collect());
            let lowest = if timestamp == MAX_TIMESTAMP { 7 } else { 1 };
            let response = self.call_broker(leader, &request, lowest..=9).await?;
            for topic in response.topics {
                for answer in topic.partitions {
                    let id = TopicPartition::new(topic.name.0.as_str(), answer.partition_index);
                    let timestamp = (answer.timestamp >= 0).then_some(answer.timestamp);
                    match answer.error_code {
                        0 if answer.offset >= 0 => {
                            found.insert(id, FoundOffset { offset: answer.offset, timestamp });
                        }
                        0 => {}
                        code => drop(failed.insert(id, code)),
                    }
                }
            }
        }
        Ok(failed)
    }

    /// Deletes the records of each partition below its offset (-1: below the high watermark); the new first offsets.
    pub(crate) async fn delete_records(
        &mut self,
        partitions: &[Partition],
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Result<i64, Failure>>, Failure> {
        let mut outcomes = BTreeMap::new();
        let mut with_leader = Vec::new();
        for one in partitions.iter().filter(|one| before.contains_key(&one.id)) {
            match one.leader {
                Some(leader) => with_leader.push((one.id.clone(), leader)),
                None => drop(outcomes.insert(one.id.clone(), Err(Failure::new(format!("{} has no leader", one.id))))),
            }
        }
        for (leader, topics) in by_leader(&with_leader) {
            let topics = topics.iter().map(|(name, partitions)| {
                let ask = |partition: &i32| {
                    let offset = before[&TopicPartition::new(name, *partition)];
                    DeleteRecordsPartition::default().with_partition_index(*partition).with_offset(offset)
                };
                DeleteRecordsTopic::default()
                    .with_name(topic_name(name))
                    .with_partitions(partitions.iter().map(ask).collect())
            });
            let request =
                DeleteRecordsRequest::default().with_topics(topics.collect()).with_timeout_ms(CHANGE_TIMEOUT_MS);
            let response = self.call_broker(leader, &request, 0..=2).await?;
            for topic in response.topics {
                for answer in topic.partitions {
                    let id = TopicPartition::new(topic.name.0.as_str(), answer.partition_index);
                    let outcome = match answer.error_code {
                        0 => Ok(answer.low_watermark),
                        code => Err(Failure::refused(&id.to_string(), code, None)),
                    };
                    outcomes.insert(id, outcome);
                }
            }
        }
        Ok(outcomes)
    }
}

/// Partitions by leader and topic, as requests list them.
fn by_leader(partitions: &[(TopicPartition, i32)]) -> BTreeMap<i32, BTreeMap<String, Vec<i32>>> {
    let mut grouped: BTreeMap<i32, BTreeMap<String, Vec<i32>>> = BTreeMap::new();
    for (id, leader) in partitions {
        grouped.entry(*leader).or_default().entry(id.topic.clone()).or_default().push(id.partition);
    }
    grouped
}
