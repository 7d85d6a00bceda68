//! Cluster metadata: the records of the metadata log, the immutable image they build, and what changed between two images.
//!
//! In: [`MetadataRecord`]s in the order in which the quorum committed them. Out: a [`MetadataImage`] (cheap to clone, cheap
//! to change: persistent maps), a [`MetadataDelta`] that names what changed, and configuration resolved from topic
//! overrides, dynamic and static broker configuration and defaults ([`config`]).
//! This crate knows nothing of consensus, of how records were decided, of encodings, files, sockets or time.
//!
//! Architecture invariant: pure. No async, no I/O, no clock, no randomness, no wire types.
//! Architecture invariant: state changes only in [`MetadataImage::apply`], and replay is total: a record that does not fit
//! the image is a bug of the deciding code, and stops the process with a message that says which record and why.
//! Architecture invariant: equal records give equal images and equal [`MetadataImage::hash`] on every node (M2).

mod broker;
pub mod config;
mod delta;
mod effective_config;
mod event;
mod features;
mod fnv;
mod image;
mod partition;
mod partition_history;
mod record;
mod replay;
mod snapshot;
mod topic;

pub use broker::{BrokerRegistration, ControllerRegistration, Endpoint, HostPort, SecurityProtocol};
pub use config::{ConfigResource, StaticBrokerConfig, TopicConfig};
pub use delta::MetadataDelta;
pub use event::{EventKind, MetadataEvent};
pub use features::{
    EVENTS_LEVEL, FeatureRange, METADATA_VERSION, NodeSoftware, SUPPORTED_FEATURES, SupportedFeature, VOTERS_LEVEL,
};
pub use image::MetadataImage;
pub use partition::{LeaderRecoveryState, PartitionChange, PartitionImage};
pub use partition_history::{HistoryEntry, PartitionHistory};
pub use record::{BrokerChange, MetadataRecord};
pub use topic::TopicImage;
