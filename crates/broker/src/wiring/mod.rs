//! Adapters between the layers: each crate of level 4 and the gateway name what they need as a small trait, and the traits
//! are implemented here over the crate that has it.

mod controller_access;
mod directory_reports;
mod group_leadership;
mod isr_changes;
mod lease;
mod metadata_access;
mod offsets_partitions;
mod preferred_leaders;
mod publisher;

pub(crate) use controller_access::ControllerAccess;
pub(crate) use directory_reports::DirectoryReports;
pub(crate) use group_leadership::GroupLeadership;
pub(crate) use isr_changes::IsrChanges;
pub(crate) use lease::LinkLease;
pub(crate) use metadata_access::MetadataAccess;
pub(crate) use offsets_partitions::OffsetsPartitions;
pub(crate) use preferred_leaders::rebalance;
pub(crate) use publisher::Publisher;

/// Name of the topic in which groups keep their offsets.
const OFFSETS_TOPIC: &str = "__consumer_offsets";
