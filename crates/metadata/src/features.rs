//! Feature levels: what the nodes of a cluster agree to do in one way (KIP-584).

use crate::MetadataImage;

/// A feature that this version of the code has, and the levels it can run at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportedFeature {
    /// Kafka's name where Kafka has it.
    pub name: &'static str,
    /// Lowest level; in force where none was finalized. At least 1: clients that speak ApiVersions 3 cannot read a range
    /// from 0 (KAFKA-17011).
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// All of them, in order of name.
pub const SUPPORTED_FEATURES: &[SupportedFeature] =
    // The ELR cannot be turned off: leaders are elected by it since the first release that has it.
    &[SupportedFeature { name: "eligible.leader.replicas.version", min: 1, max: 1 }];

impl SupportedFeature {
    /// The feature of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SUPPORTED_FEATURES.iter().find(|feature| feature.name == name)
    }

    /// The level in force.
    pub fn level(&self, image: &MetadataImage) -> i16 {
        image.features().get(self.name).copied().unwrap_or(self.min)
    }
}
