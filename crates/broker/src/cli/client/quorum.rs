//! The metadata quorum, where the cluster describes it (KIP-595, KIP-836).

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_metadata::HostPort;
use highwater_protocol::StrBytes;
use highwater_protocol::messages::add_raft_voter_request::Listener;
use highwater_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use highwater_protocol::messages::describe_quorum_response::ReplicaState;
use highwater_protocol::messages::{AddRaftVoterRequest, DescribeQuorumRequest, RemoveRaftVoterRequest};
use highwater_types::DirectoryId;

use super::{ClusterClient, message_of, topic_name, wire};
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
    /// When the active controller heard of it, in milliseconds since 1970; `None` for never.
    pub(crate) last_heard_ms: Option<i64>,
    /// The metadata directory of a controller; `None` of a broker, and where the cluster does not tell.
    pub(crate) directory: Option<DirectoryId>,
    /// Where a controller listens.
    pub(crate) endpoint: Option<HostPort>,
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
        let endpoints: BTreeMap<i32, HostPort> = response
            .nodes
            .into_iter()
            .filter_map(|node| {
                let listener = node.listeners.into_iter().next()?;
                Some((node.node_id.0, HostPort { host: listener.host.to_string(), port: listener.port }))
            })
            .collect();
        let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
        let partition = partition.ok_or_else(|| Failure::new("the broker says nothing of the quorum"))?;
        if partition.error_code != 0 {
            return Err(Failure::refused("the quorum", partition.error_code, message_of(&partition.error_message)));
        }
        let known = |time: i64| (time >= 0).then_some(time);
        let replica = |one: ReplicaState| QuorumReplica {
            id: one.replica_id.0,
            log_end: one.log_end_offset,
            last_caught_up_ms: known(one.last_caught_up_timestamp),
            last_heard_ms: known(one.last_fetch_timestamp),
            directory: Some(DirectoryId(one.replica_directory_id)).filter(|id| !id.is_zero()),
            endpoint: endpoints.get(&one.replica_id.0).cloned(),
        };
        Ok(Quorum {
            leader: (partition.leader_id.0 >= 0).then_some(partition.leader_id.0),
            epoch: partition.leader_epoch,
            high_watermark: partition.high_watermark,
            voters: partition.current_voters.into_iter().map(replica).collect(),
            observers: partition.observers.into_iter().map(replica).collect(),
        })
    }

    /// Gives an observer a vote.
    pub(crate) async fn add_voter(
        &mut self,
        id: i32,
        directory: DirectoryId,
        endpoint: &HostPort,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let listener =
            Listener::default().with_name(wire("CONTROLLER")).with_host(wire(&endpoint.host)).with_port(endpoint.port);
        let request = AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
            .with_voter_id(id)
            .with_voter_directory_id(directory.0)
            .with_listeners(vec![listener]);
        let response = self.call(&request, 0..=0).await?;
        accepted(id, response.error_code, &response.error_message)
    }

    /// Takes a voter's vote.
    pub(crate) async fn remove_voter(&mut self, id: i32, directory: DirectoryId) -> Result<(), Failure> {
        let request = RemoveRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(id)
            .with_voter_directory_id(directory.0);
        let response = self.call(&request, 0..=0).await?;
        accepted(id, response.error_code, &response.error_message)
    }
}

fn accepted(id: i32, code: i16, message: &Option<StrBytes>) -> Result<(), Failure> {
    match code {
        0 => Ok(()),
        _ => Err(Failure::refused(&format!("controller {id}"), code, message_of(message))),
    }
}
