//! Log directories of brokers.

use highwater_protocol::messages::DescribeLogDirsRequest;
use highwater_types::ErrorCode;

use super::{ClusterClient, TopicPartition};
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
            let mut replicas = Vec::new();
            for topic in &result.topics {
                replicas.extend(topic.partitions.iter().map(|one| {
                    let id = TopicPartition::new(topic.name.0.as_str(), one.partition_index);
                    (id, one.partition_size, one.offset_lag)
                }));
            }
            replicas.sort();
            LogDir {
                broker,
                path: result.log_dir.to_string(),
                error: (result.error_code != 0)
                    .then(|| ErrorCode::from_code(result.error_code).map_or("UNKNOWN_SERVER_ERROR", ErrorCode::name)),
                total_bytes: known(result.total_bytes),
                usable_bytes: known(result.usable_bytes),
                replicas,
            }
        };
        Ok(response.results.into_iter().map(directory).collect())
    }
}
