//! What the commands ask of a cluster, over the Kafka protocol (and HTTP, for probes and histories): connections, requests grouped
//! by the broker that has to answer them, and answers without the wire's types.

mod cluster;
mod cluster_client;
mod configs;
mod connection;
mod coordinator;
mod fetch;
mod groups;
mod http;
mod log_dirs;
mod offsets;
mod partitioner;
mod producer;
mod quorum;
mod reassignments;
mod topics;

pub(crate) use cluster::{BrokerInfo, Feature, UpgradeType};
pub(crate) use cluster_client::{ATTEMPTS, ClusterClient, RETRY_PAUSE, is_retriable};
pub(crate) use configs::{Alteration, ConfigEntry, Operation, Resource};
pub(crate) use fetch::Fetched;
pub(crate) use groups::{Group, Member, Offsets};
pub(crate) use http::{http_address, http_get};
pub(crate) use log_dirs::LogDir;
pub(crate) use offsets::{EARLIEST, FoundOffset, LATEST, MAX_TIMESTAMP};
pub(crate) use partitioner::partition_for_key;
pub(crate) use producer::{Acks, Producer};
pub(crate) use quorum::{Quorum, QuorumReplica};
pub(crate) use reassignments::{ElectionType, Reassignment};
pub(crate) use topics::{NewTopic, Partition, Topic, TopicPartition, parse_assignment};

use highwater_protocol::StrBytes;
use highwater_protocol::messages::{GroupId, TopicName};

/// How long the cluster may take over a change.
const CHANGE_TIMEOUT_MS: i32 = 30_000;

/// Text as messages carry it.
fn wire(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A topic name as messages carry it.
fn topic_name(name: &str) -> TopicName {
    TopicName(wire(name))
}

/// A group id as messages carry it.
fn group_id(group: &str) -> GroupId {
    GroupId(wire(group))
}

/// An error's message, if it has one.
fn message_of(message: &Option<StrBytes>) -> Option<&str> {
    message.as_ref().map(StrBytes::as_str)
}
