//! What can be asked of the active controller.

use std::collections::BTreeMap;

use highwater_metadata::{ConfigResource, Endpoint, HostPort, LeaderRecoveryState, NodeSoftware};
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, IncarnationId, LeaderEpoch, MetadataOffset, PartitionEpoch, PartitionIndex,
    TopicId, TopicIdPartition,
};

/// One request to change the cluster's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Name the cluster: the first command of all.
    Bootstrap(Bootstrap),
    /// A voter tells its metadata directory.
    RegisterController(RegisterController),
    /// A controller votes no more. Names it.
    UnregisterController(BrokerId),
    /// A broker process starts.
    RegisterBroker(RegisterBroker),
    /// A registered broker caught up and wants to serve.
    UnfenceBroker(UnfenceBroker),
    /// A broker's session ended.
    FenceBroker(FenceBroker),
    /// A broker wants to stop.
    ControlledShutdown(BrokerSession),
    /// A broker will not come back.
    UnregisterBroker(UnregisterBroker),
    /// Create topics.
    CreateTopics(CreateTopics),
    /// Delete topics.
    DeleteTopics(DeleteTopics),
    /// Add partitions to topics.
    CreatePartitions(CreatePartitions),
    /// A leader proposes new ISRs.
    AlterPartition(AlterPartition),
    /// Change dynamic configuration.
    IncrementalAlterConfigs(IncrementalAlterConfigs),
    /// Hand out a block of producer ids.
    AllocateProducerIds(AllocateProducerIds),
    /// Elect leaders.
    ElectLeaders(ElectLeaders),
    /// Move partitions to other replicas, or stop doing so.
    AlterPartitionReassignments(AlterPartitionReassignments),
    /// Change feature levels.
    UpdateFeatures(UpdateFeatures),
    /// Log directories of a broker failed.
    OfflineLogDirs(OfflineLogDirs),
    /// A broker tells in which log directories its replicas are.
    AssignReplicasToDirs(AssignReplicasToDirs),
}

/// See [`Command::Bootstrap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// The cluster's id.
    pub cluster_id: String,
    /// Feature levels to finalize.
    pub features: BTreeMap<String, i16>,
}

/// See [`Command::RegisterController`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterController {
    /// `node.id` of the voter.
    pub id: BrokerId,
    /// Where its gRPC services listen.
    pub endpoint: HostPort,
    /// Id of its metadata directory.
    pub directory_id: DirectoryId,
    /// The cluster it believes to be in; `None` when it does not know yet.
    pub cluster_id: Option<String>,
}

/// One registration of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerSession {
    /// `node.id`.
    pub id: BrokerId,
    /// Epoch of the registration.
    pub epoch: BrokerEpoch,
}

/// See [`Command::RegisterBroker`] (KIP-631).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterBroker {
    /// `node.id`.
    pub id: BrokerId,
    /// Id of this run of the process.
    pub incarnation: IncarnationId,
    /// The cluster it believes to be in; `None` when it does not know yet.
    pub cluster_id: Option<String>,
    /// Advertised listeners.
    pub listeners: Vec<Endpoint>,
    /// Where its gRPC services listen.
    pub internal: HostPort,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Ids of its log directories that are in service.
    pub log_dirs: Vec<DirectoryId>,
    /// Whether it has others, whose ids it cannot read: what is missing may be there, and come back.
    pub has_offline_log_dirs: bool,
    /// The previous run flushed all logs and stopped in order.
    pub clean_shutdown: bool,
    /// Whether the present registration of this id, if any, still has a valid session. Filled in by the active controller,
    /// whatever the sender wrote.
    pub previous_session_valid: bool,
    /// What the process runs.
    pub software: NodeSoftware,
}

/// See [`Command::UnfenceBroker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfenceBroker {
    /// Who.
    pub session: BrokerSession,
    /// How far the broker has applied the metadata log: at least its own registration.
    pub metadata_offset: MetadataOffset,
}

/// See [`Command::OfflineLogDirs`] (KIP-858, where heartbeats carry it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineLogDirs {
    /// Whose.
    pub session: BrokerSession,
    /// Which.
    pub directories: Vec<DirectoryId>,
}

/// See [`Command::AssignReplicasToDirs`] (KIP-858).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignReplicasToDirs {
    /// Whose replicas.
    pub session: BrokerSession,
    /// Each is decided by itself.
    pub assignments: Vec<DirectoryAssignment>,
}

/// Where one replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryAssignment {
    /// Which partition.
    pub target: TopicIdPartition,
    /// The directory, in service or not; [`DirectoryId::LOST`] when the replica's data is damaged or gone,
    /// [`DirectoryId::UNASSIGNED`] while it moves from one directory to another.
    pub directory: DirectoryId,
}

/// See [`Command::FenceBroker`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceBroker {
    /// Who.
    pub session: BrokerSession,
    /// For the log.
    pub reason: String,
}

/// See [`Command::UnregisterBroker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnregisterBroker {
    /// Who.
    pub id: BrokerId,
}

/// Replicas of one partition, chosen by the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManualAssignment {
    /// Which partition.
    pub partition: PartitionIndex,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
}

/// See [`Command::CreateTopics`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopics {
    /// Topics to create; each is decided by itself.
    pub topics: Vec<CreateTopicsEntry>,
    /// Decide, and change nothing.
    pub validate_only: bool,
}

/// One topic of [`CreateTopics`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopicsEntry {
    /// Name, legal or not.
    pub name: String,
    /// Number of partitions, or -1 for the default or when `assignments` are given.
    pub num_partitions: i32,
    /// Replicas of each partition, or -1 for the default or when `assignments` are given.
    pub replication_factor: i16,
    /// Chosen replicas; empty to let the controller place them.
    pub assignments: Vec<ManualAssignment>,
    /// Overrides in the order of the request; a key without value is an error.
    pub configs: Vec<(String, Option<String>)>,
}

/// How a request names a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicSelector {
    /// By name, legal or not.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// See [`Command::DeleteTopics`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteTopics {
    /// Topics to delete; each is decided by itself.
    pub topics: Vec<TopicSelector>,
}

/// See [`Command::CreatePartitions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePartitions {
    /// Topics to grow; each is decided by itself.
    pub topics: Vec<CreatePartitionsTopic>,
    /// Decide, and change nothing.
    pub validate_only: bool,
}

/// One topic of [`CreatePartitions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePartitionsTopic {
    /// Name of the topic.
    pub name: String,
    /// Number of partitions it shall have.
    pub count: i32,
    /// Replicas of each new partition in order; `None` to let the controller place them.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// See [`Command::AlterPartition`] (KIP-497).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterPartition {
    /// The leader that asks.
    pub session: BrokerSession,
    /// Partitions it leads; each is decided by itself.
    pub partitions: Vec<AlterPartitionEntry>,
}

/// One partition of [`AlterPartition`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterPartitionEntry {
    /// Which partition.
    pub target: TopicIdPartition,
    /// Epoch in which the sender leads.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of the state that the proposal changes.
    pub partition_epoch: PartitionEpoch,
    /// Proposed ISR.
    pub new_isr: Vec<IsrMember>,
    /// Proposed recovery state.
    pub leader_recovery: LeaderRecoveryState,
}

/// One member of a proposed ISR (KIP-841).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsrMember {
    /// Who.
    pub broker: BrokerId,
    /// The registration in which it caught up; [`BrokerEpoch::NONE`] is not checked.
    pub epoch: BrokerEpoch,
}

/// What to do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOperationKind {
    /// Set the value.
    Set,
    /// Remove the value.
    Delete,
    /// Add to a list.
    Append,
    /// Remove from a list.
    Subtract,
}

impl ConfigOperationKind {
    /// The number that IncrementalAlterConfigs carries.
    pub const fn code(self) -> i8 {
        match self {
            Self::Set => 0,
            Self::Delete => 1,
            Self::Append => 2,
            Self::Subtract => 3,
        }
    }

    /// The operation of that number.
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }
}

/// One change of one key (KIP-339).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigOperation {
    /// Key.
    pub name: String,
    /// What to do.
    pub kind: ConfigOperationKind,
    /// Value; ignored by [`ConfigOperationKind::Delete`], required by the others.
    pub value: Option<String>,
}

/// All changes of one resource: either all happen or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceConfigOperations {
    /// What to change.
    pub resource: ConfigResource,
    /// The changes; no key twice.
    pub operations: Vec<ConfigOperation>,
    /// Values that no operation names go away, as AlterConfigs wants it.
    pub replaces: bool,
}

/// See [`Command::IncrementalAlterConfigs`] (KIP-339).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncrementalAlterConfigs {
    /// Resources to change; each is decided by itself.
    pub resources: Vec<ResourceConfigOperations>,
    /// Decide, and change nothing.
    pub validate_only: bool,
}

/// See [`Command::AllocateProducerIds`] (KIP-730).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocateProducerIds {
    /// Who asks.
    pub session: BrokerSession,
}

/// Which leader is wanted (KIP-460).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElectionType {
    /// The first assigned replica.
    Preferred,
    /// Any, also one that may lack acknowledged records, where nobody leads.
    Unclean,
}

impl ElectionType {
    /// The number that ElectLeaders carries.
    pub const fn code(self) -> i8 {
        match self {
            Self::Preferred => 0,
            Self::Unclean => 1,
        }
    }

    /// The election of that number.
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Preferred),
            1 => Some(Self::Unclean),
            _ => None,
        }
    }
}

/// See [`Command::ElectLeaders`] (KIP-183, KIP-460).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectLeaders {
    /// Which partitions; `None` for all that do not have the wanted leader.
    pub partitions: Option<Vec<TopicIdPartition>>,
    /// Which leader.
    pub election: ElectionType,
}

/// See [`Command::AlterPartitionReassignments`] (KIP-455).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterPartitionReassignments {
    /// Each is decided by itself.
    pub reassignments: Vec<Reassignment>,
    /// Whether partitions may get more or fewer replicas than they have (KIP-860).
    pub allow_replication_factor_change: bool,
    /// Bytes per second that each broker sends to, and takes in for, replicas that reassignments add, if this begins one. `None`
    /// leaves it as it is.
    pub rate: Option<i64>,
}

/// One partition of [`AlterPartitionReassignments`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// Name of the topic, existing or not.
    pub topic: String,
    /// Which partition.
    pub partition: PartitionIndex,
    /// Replicas that it shall have, the preferred leader first; `None` to go back to those it had.
    pub replicas: Option<Vec<BrokerId>>,
}

/// Which way a feature level may go (KIP-584, KIP-778).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeType {
    /// Up only.
    Upgrade,
    /// Down, if no metadata is lost.
    SafeDowngrade,
    /// Down, also if metadata is lost.
    UnsafeDowngrade,
}

impl UpgradeType {
    /// The number that UpdateFeatures carries.
    pub const fn code(self) -> i8 {
        match self {
            Self::Upgrade => 1,
            Self::SafeDowngrade => 2,
            Self::UnsafeDowngrade => 3,
        }
    }

    /// The type of that number.
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Upgrade),
            2 => Some(Self::SafeDowngrade),
            3 => Some(Self::UnsafeDowngrade),
            _ => None,
        }
    }
}

/// One feature of [`UpdateFeatures`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Name, known or not.
    pub name: String,
    /// Level to finalize; 0 turns the feature off.
    pub level: i16,
    /// Which way it may go.
    pub upgrade_type: UpgradeType,
}

/// See [`Command::UpdateFeatures`] (KIP-584).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateFeatures {
    /// All happen, or none.
    pub updates: Vec<FeatureUpdate>,
    /// Decide, and change nothing.
    pub validate_only: bool,
    /// What the controllers run that the active one has heard of. Filled in by the active controller, whatever the sender wrote.
    pub controllers: BTreeMap<BrokerId, NodeSoftware>,
}
