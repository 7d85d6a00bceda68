//! The metadata quorum, where the cluster describes it (KIP-595, KIP-836).

use highwater_protocol::messages::DescribeQuorumRequest;
use highwater_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use highwater_protocol::messages::describe_quorum_response::ReplicaState;

use super::{ClusterClient, message_of, topic_name};
use crate::cli::Failure;

/// The name by which the metadata log is asked for.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Who leads the metadata log, and how far each node has it.
#[derive(Debug, Clone)]
pub(crate) struct Quorum {
    pub(crate) leader: Option<i32>,
    pub(crate) epoch: i32,
    pub(crate) high_watermark: i64,
    pub(crate) voters: Vec<QuorumReplica>,
    pub(crate) observers: Vec<QuorumReplica>,
}

/// A node that has the metadata log.
#[derive(Debug, Clone)]
pub(crate) struct QuorumReplica {
    pub(crate) id: i32,
    pub(crate) log_end: i64,
    /// Milliseconds since 1970; `None` where it is not known.
    pub(crate) last_caught_up_ms: Option<i64>,
}

impl ClusterClient {
    /// Whether the cluster describes its quorum.
    pub(crate) fn describes_quorum(&self) -> bool {
        self.supports::<DescribeQuorumRequest>(0)
    }

    /// The metadata quorum.
    pub(crate) async fn quorum(&mut self) -> Result<Quorum, Failure> {
        let partition = PartitionData::default().with_partition_index(0);
        let topic = TopicData::default().with_topic_name(topic_name(METADATA_TOPIC)).with_partitions(vec![partition]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let response = self.call(&request, 0..=2).await?;
        if response.error_code != 0 {
            return Err(Failure::refused("the quorum", response.error_code, message_of(&response.error_message)));
        }
        let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
        let partition = partition.ok_or_else(|| Failure::new("the broker says nothing of the quorum"))?;
        if partition.error_code != 0 {
            return Err(Failure::refused("the quorum", partition.error_code, message_of(&partition.error_message)));
        }
        let replica = |one: ReplicaState| QuorumReplica {
            id: one.replica_id.0,
            log_end: one.log_end_offset,
            last_caught_up_ms: (one.last_caught_up_timestamp >= 0).then_some(one.last_caught_up_timestamp),
        };
        Ok(Quorum {
            leader: (partition.leader_id.0 >= 0).then_some(partition.leader_id.0),
            epoch: partition.leader_epoch,
            high_watermark: partition.high_watermark,
            voters: partition.current_voters.into_iter().map(replica).collect(),
            observers: partition.observers.into_iter().map(replica).collect(),
        })
    }
}
