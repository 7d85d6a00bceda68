//! The controller's decisions: commands and the image in, records and a response out.
//!
//! In: a [`Command`], the [`MetadataImage`](highwater_metadata::MetadataImage) it is decided over, the node's
//! configuration, the time and randomness. Out: a [`Decision`]: the records to commit and what to answer once they are.
//! This crate knows nothing of consensus, sessions, connections or encodings: who is alive is told by commands.
//!
//! Architecture invariant: pure. No async, no I/O, no clock, no ambient randomness, no state between two decisions.
//! Architecture invariant: a refused command has no records.
//! Architecture invariant: the records of a decision apply to the image it was decided over ([`decide`] never panics replay).

mod alter_partition;
mod alter_reassignments;
mod assignment;
mod brokers;
mod cluster;
mod command;
mod config;
mod configs;
mod create_partitions;
mod create_topics;
mod decide;
mod delete_topics;
mod directories;
mod elect_leaders;
mod election;
mod error;
mod event;
mod features;
mod placement;
mod producer_ids;
mod quorum_description;
mod reassignment;
mod response;
mod scratch;
mod throttles;
mod voter_change;

pub use command::{
    AllocateProducerIds, AlterPartition, AlterPartitionEntry, AlterPartitionReassignments, AssignReplicasToDirs,
    Bootstrap, BrokerSession, Command, ConfigOperation, ConfigOperationKind, CreatePartitions, CreatePartitionsTopic,
    CreateTopics, CreateTopicsEntry, DeleteTopics, DirectoryAssignment, ElectLeaders, ElectionType, FeatureUpdate,
    FenceBroker, IncrementalAlterConfigs, IsrMember, ManualAssignment, OfflineLogDirs, Reassignment, RegisterBroker,
    RegisterController, ResourceConfigOperations, TopicSelector, UnfenceBroker, UnregisterBroker, UpdateFeatures,
    UpgradeType,
};
pub use config::ControllerConfig;
pub use decide::decide;
pub use error::CommandError;
pub use quorum_description::{QuorumDescription, QuorumReplica};
pub use response::{
    AlterPartitionResult, CommandResponse, CreatedTopic, CreatedTopicConfig, Decision, DeletedTopic,
    DirectoryAssignmentResult, ElectionResult, PartitionIsrState, ProducerIdBlock, ReassignmentResult, TopicResult,
};
pub use voter_change::{VoterChange, VoterKey};
