//! Log directories of brokers.

use std::collections::BTreeMap;

use highwater_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use highwater_protocol::messages::{AlterReplicaLogDirsRequest, DescribeLogDirsRequest};
use highwater_types::ErrorCode;

use super::reassignments::Outcomes;
use super::{ClusterClient, TopicPartition, topic_name};
use crate::cli::Failure;

/// A log directory with the replicas in it.
#[derive(Debug, Clone)]
pub(crate) struct LogDir {
    pub(crate) broker: i32,
    pub(crate) path: String,
    /// Why it does not serve.
    pub(crate) error: Option<&'static str>,
    /// Of the volume; unknown to older brokers.
    pub(crate) total_bytes: Option<i64>,
    pub(crate) usable_bytes: Option<i64>,
    /// Replicas with their size in bytes and how many records they lag behind.
    pub(crate) replicas: Vec<(TopicPartition, i64, i64)>,
    /// Likewise, copies of replicas of other directories on their way here.
    pub(crate) futures: Vec<(TopicPartition, i64, i64)>,
}

impl LogDir {
    /// Bytes of all its replicas.
    pub(crate) fn size_bytes(&self) -> i64 {
        self.replicas.iter().map(|(_, size, _)| size).sum()
    }
}

impl ClusterClient {
    /// The log directories of a broker.
    pub(crate) async fn log_dirs(&mut self, broker: i32) -> Result<Vec<LogDir>, Failure> {
        let request = DescribeLogDirsRequest::default().with_topics(None);
        let response = self.call_broker(broker, &request, 1..=4).await?;
        if response.error_code != 0 {
            return Err(Failure::refused(&format!("log directories of broker {broker}"), response.error_code, None));
        }
        let known = |bytes: i64| (bytes >= 0).then_some(bytes);
        let directory = |result: highwater_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult| {
            let (mut replicas, mut futures) = (Vec::new(), Vec::new());
            for topic in &result.topics {
                for one in &topic.partitions {
                    let id = TopicPartition::new(topic.name.0.as_str(), one.partition_index);
                    let list = if one.is_future_key { &mut futures } else { &mut replicas };
                    list.push((id, one.partition_size, one.offset_lag));
                }
            }
            replicas.sort();
            futures.sort();
            LogDir {
                broker,
                path: result.log_dir.to_string(),
                error: (result.error_code != 0)
                    .then(|| ErrorCode::from_code(result.error_code).map_or("UNKNOWN_SERVER_ERROR", ErrorCode::name)),
                total_bytes: known(result.total_bytes),
                usable_bytes: known(result.usable_bytes),
                replicas,
                futures,
            }
        };
        Ok(response.results.into_iter().map(directory).collect())
    }

    /// Moves replicas of a broker to the log directory at `path` there, and says what became of each.
    pub(crate) async fn alter_log_dirs(
        &mut self,
        broker: i32,
        path: &str,
        partitions: &[TopicPartition],
    ) -> Result<Outcomes, Failure> {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for id in partitions {
            topics.entry(&id.topic).or_default().push(id.partition);
        }
        let topic = |(name, partitions): (&str, Vec<i32>)| {
            AlterReplicaLogDirTopic::default().with_name(topic_name(name)).with_partitions(partitions)
        };
        let topics = topics.into_iter().map(topic).collect();
        let dir = AlterReplicaLogDir::default().with_path(path.to_owned().into()).with_topics(topics);
        let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]);
        let response = self.call_broker(broker, &request, 1..=2).await?;
        let mut outcomes = Outcomes::new();
        for topic in &response.results {
            for one in &topic.partitions {
                let id = TopicPartition::new(topic.topic_name.as_str(), one.partition_index);
                let outcome = match one.error_code {
                    0 => Ok(()),
                    code => Err(Failure::refused(&format!("move of {id} on broker {broker} to {path}"), code, None)),
                };
                outcomes.insert(id, outcome);
            }
        }
        Ok(outcomes)
    }
}
