//! What a decided command answers, once its records are committed.

use highwater_metadata::MetadataRecord;
use highwater_metadata::config::ConfigSource;
use highwater_metadata::{ConfigResource, LeaderRecoveryState};
use highwater_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, MetadataOffset, PartitionEpoch, PartitionIndex, ProducerId, TopicId,
    TopicIdPartition,
};

use crate::CommandError;

/// The outcome of [`decide`](crate::decide).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// To commit, all or none, in one entry. Empty when nothing changes.
    pub records: Vec<MetadataRecord>,
    /// To answer once the records are committed (at once when there are none).
    pub response: Result<CommandResponse, CommandError>,
}

/// The answer to a command; the variants are named as those of [`Command`](crate::Command).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandResponse {
    /// The cluster has the id (also when it had it before).
    Bootstrap,
    /// The voter is known.
    RegisterController,
    /// The controller is not known any more (also when it was not before).
    UnregisterController,
    /// The broker is registered, and fenced unless it was unfenced in this same run before.
    RegisterBroker {
        /// Epoch of the registration.
        epoch: BrokerEpoch,
    },
    /// The broker may serve once it has applied these records.
    UnfenceBroker,
    /// The broker is fenced.
    FenceBroker,
    /// Leaderships moved away.
    ControlledShutdown {
        /// The broker leads nothing any more. Otherwise it asks again: one decision moves a bounded number.
        may_stop: bool,
        /// Where the other brokers must be in the metadata log to know of it.
        offset: MetadataOffset,
    },
    /// The broker is unknown from now on.
    UnregisterBroker,
    /// By name, in the order of the request.
    CreateTopics(Vec<(String, TopicResult<CreatedTopic>)>),
    /// In the order of the request.
    DeleteTopics(Vec<DeletedTopic>),
    /// By name, in the order of the request.
    CreatePartitions(Vec<(String, TopicResult<()>)>),
    /// In the order of the request.
    AlterPartition(Vec<AlterPartitionResult>),
    /// In the order of the request.
    IncrementalAlterConfigs(Vec<(ConfigResource, Result<(), CommandError>)>),
    /// The block.
    AllocateProducerIds(ProducerIdBlock),
    /// In the order of the request; without one, all partitions that did not have the wanted leader.
    ElectLeaders(Vec<ElectionResult>),
    /// In the order of the request.
    AlterPartitionReassignments(Vec<ReassignmentResult>),
    /// By name, in the order of the request. With an error none was changed.
    UpdateFeatures(Vec<(String, Result<(), CommandError>)>),
    /// Their replicas are offline.
    OfflineLogDirs,
    /// In the order of the request.
    AssignReplicasToDirs(Vec<DirectoryAssignmentResult>),
}

/// Result for one partition of AssignReplicasToDirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryAssignmentResult {
    /// Which partition.
    pub target: TopicIdPartition,
    /// Whether it is known now.
    pub result: Result<(), CommandError>,
}

/// Result for one topic.
pub type TopicResult<T> = Result<T, CommandError>;

/// A topic that was created, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; zero when only validated.
    pub id: TopicId,
    /// Number of partitions.
    pub num_partitions: i32,
    /// Replicas of the first partition.
    pub replication_factor: i16,
    /// Every topic key with its value in force (KIP-525).
    pub configs: Vec<CreatedTopicConfig>,
}

/// One configuration value of a created topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopicConfig {
    /// Key.
    pub name: String,
    /// Value.
    pub value: Option<String>,
    /// Cannot be changed.
    pub read_only: bool,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Never show the value.
    pub sensitive: bool,
}

/// Result for one topic of DeleteTopics. What is known of the topic is filled in, also with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Name, when it was asked for or the topic exists.
    pub name: Option<String>,
    /// Id, when it was asked for or the topic exists; zero otherwise.
    pub id: TopicId,
    /// Whether it is deleted.
    pub result: Result<(), CommandError>,
}

/// Result for one partition of AlterPartition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterPartitionResult {
    /// Which partition.
    pub target: TopicIdPartition,
    /// The state in force, or why the proposal was refused.
    pub result: Result<PartitionIsrState, CommandError>,
}

/// What a leader needs to know of its partition after AlterPartition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionIsrState {
    /// The leader.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// The ISR in force.
    pub isr: Vec<BrokerId>,
    /// The eligible leader replicas in force: the high watermark counts them.
    pub elr: Vec<BrokerId>,
    /// The recovery state in force.
    pub leader_recovery: LeaderRecoveryState,
    /// To be named in the next proposal.
    pub partition_epoch: PartitionEpoch,
}

/// Producer ids `first .. first + length`, given to nobody else ever (M8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// First id.
    pub first: ProducerId,
    /// How many.
    pub length: i32,
}

/// Result for one partition of ElectLeaders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectionResult {
    /// Which partition.
    pub target: TopicIdPartition,
    /// Whether the wanted leader leads now.
    pub result: Result<(), CommandError>,
}

/// Result for one partition of AlterPartitionReassignments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReassignmentResult {
    /// Name of the topic, existing or not.
    pub topic: String,
    /// Which partition.
    pub partition: PartitionIndex,
    /// Whether the reassignment is under way, or done.
    pub result: Result<(), CommandError>,
}
