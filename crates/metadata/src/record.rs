//! The records of the metadata log. Everything the cluster agrees on is a sequence of these.

use highwater_types::{BrokerEpoch, BrokerId, DirectoryId, PartitionIndex, ProducerId, TopicId, TopicName};

use crate::{
    BrokerRegistration, ConfigResource, ControllerRegistration, MetadataEvent, NodeSoftware, PartitionChange,
    PartitionImage,
};

/// One change of cluster metadata. Records say what happened, never what to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// Changes nothing; keeps the log moving.
    NoOp,
    /// Why the records behind it were written. Changes nothing. Written from [`EVENTS_LEVEL`](crate::EVENTS_LEVEL) on.
    Event(MetadataEvent),
    /// The cluster's id; the first record of every metadata log.
    ClusterId(String),
    /// The finalized level of a feature; 0 removes it (KIP-584).
    FeatureLevel {
        /// Name such as `metadata.version`.
        name: String,
        /// Level in force from here on.
        level: i16,
    },
    /// A voter with its metadata directory. Replaces an earlier registration of the id.
    RegisterController(ControllerRegistration),
    /// The controller votes no more. Written from [`VOTERS_LEVEL`](crate::VOTERS_LEVEL) on.
    UnregisterController {
        /// The controller.
        id: BrokerId,
    },
    /// A broker process. Replaces an earlier registration of the id.
    RegisterBroker(BrokerRegistration),
    /// Fencing, unfencing, start of a controlled shutdown, log directories that failed.
    BrokerChange(BrokerChange),
    /// The broker is no member any more.
    UnregisterBroker {
        /// The broker.
        id: BrokerId,
        /// Its registration.
        epoch: BrokerEpoch,
    },
    /// A topic without partitions yet.
    Topic {
        /// Unused name.
        name: TopicName,
        /// Unused id.
        id: TopicId,
    },
    /// A new partition: the next index of its topic.
    Partition {
        /// Its topic.
        topic_id: TopicId,
        /// Its index.
        partition: PartitionIndex,
        /// Its whole state.
        state: PartitionImage,
    },
    /// A change to a partition.
    PartitionChange(PartitionChange),
    /// The topic, its partitions and its configuration are gone.
    RemoveTopic {
        /// The topic.
        id: TopicId,
    },
    /// A dynamic configuration value.
    Config {
        /// What it applies to.
        resource: ConfigResource,
        /// Key.
        name: String,
        /// Value, or `None` to remove it.
        value: Option<String>,
    },
    /// A block of producer ids was handed out.
    ProducerIds {
        /// To whom.
        broker: BrokerId,
        /// In which registration.
        broker_epoch: BrokerEpoch,
        /// First id of the next block.
        next: ProducerId,
    },
}

/// A change to a broker's registration. Absent fields stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerChange {
    /// The broker.
    pub id: BrokerId,
    /// Its registration.
    pub epoch: BrokerEpoch,
    /// Fence or unfence.
    pub fenced: Option<bool>,
    /// Start of a controlled shutdown. Only a new registration ends it.
    pub in_controlled_shutdown: Option<bool>,
    /// The log directories that are still in service, sorted (KIP-858). Only a new registration adds one.
    pub log_dirs: Option<Vec<DirectoryId>>,
    /// What the process runs, where its registration does not say so: the node that keeps this image may have taken the
    /// registration in with a version that did not know the field.
    pub software: Option<NodeSoftware>,
}

impl BrokerChange {
    /// A change of nothing, to be filled in.
    pub const fn nothing(id: BrokerId, epoch: BrokerEpoch) -> Self {
        Self { id, epoch, fenced: None, in_controlled_shutdown: None, log_dirs: None, software: None }
    }
}
