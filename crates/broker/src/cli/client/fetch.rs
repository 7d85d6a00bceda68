//! Reading records from the leaders of partitions.

use bytes::Bytes;
use highwater_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use highwater_protocol::messages::{BrokerId, FetchRequest};

use super::{ClusterClient, topic_name};
use crate::cli::Failure;

/// Most bytes per answer, and per partition in it.
const ANSWER_BYTES: i32 = 32 * 1024 * 1024;
const PARTITION_BYTES: i32 = 4 * 1024 * 1024;

/// What a leader answered for one partition.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) partition: i32,
    pub(crate) error_code: i16,
    pub(crate) high_watermark: i64,
    /// Whole batches; what follows the last one is the start of one that did not fit.
    pub(crate) records: Bytes,
}

impl ClusterClient {
    /// Reads partitions of `topic` (number and offset) from `leader`, which waits up to `wait_ms` if it has nothing.
    pub(crate) async fn fetch(
        &mut self,
        leader: i32,
        topic: &str,
        partitions: &[(i32, i64)],
        wait_ms: i32,
    ) -> Result<Vec<Fetched>, Failure> {
        let ask = |(partition, offset): &(i32, i64)| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(*offset)
                .with_last_fetched_epoch(-1)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(PARTITION_BYTES)
        };
        let topic =
            FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions.iter().map(ask).collect());
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(ANSWER_BYTES)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let response = self.call_broker(leader, &request, 4..=12).await?;
        if response.error_code != 0 {
            return Err(Failure::refused(&format!("broker {leader}"), response.error_code, None));
        }
        let answers = response.responses.into_iter().flat_map(|topic| topic.partitions);
        let fetched = answers.map(|answer| Fetched {
            partition: answer.partition_index,
            error_code: answer.error_code,
            high_watermark: answer.high_watermark,
            records: answer.records.unwrap_or_default(),
        });
        Ok(fetched.collect())
    }
}
