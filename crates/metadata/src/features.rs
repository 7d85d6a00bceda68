//! Feature levels: what the nodes of a cluster agree to do in one way (KIP-584).
//!
//! Each node tells the [`NodeSoftware`] that it runs. A level is finalized by a record of its own once every node knows it; until
//! then everybody keeps to the level before, so that nodes of two versions can run side by side.

use std::collections::BTreeMap;
use std::fmt;

use crate::MetadataImage;

/// What kinds of records are in the metadata log. 1: those of the first release. 2: also
/// [`Event`](crate::MetadataRecord::Event)s, which say why the records behind them were written. 3: also controllers that left, and
/// memberships of the quorum that name voters by their directories.
pub const METADATA_VERSION: &str = "highwater.metadata.version";
/// Level of [`METADATA_VERSION`] from which events are written.
pub const EVENTS_LEVEL: i16 = 2;
/// Level of [`METADATA_VERSION`] from which the voters of the quorum can be changed (KIP-853).
pub const VOTERS_LEVEL: i16 = 3;

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
    /// Whether a finalized level can be lowered again.
    pub can_be_lowered: bool,
}

/// All of them, in order of name.
pub const SUPPORTED_FEATURES: &[SupportedFeature] = &[
    // The ELR cannot be turned off: leaders are elected by it since the first release that has it.
    SupportedFeature { name: "eligible.leader.replicas.version", min: 1, max: 1, can_be_lowered: true },
    // What was written at a higher level stays in the log.
    SupportedFeature { name: METADATA_VERSION, min: 1, max: VOTERS_LEVEL, can_be_lowered: false },
];

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

/// Levels of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureRange {
    /// Lowest.
    pub min: i16,
    /// Highest.
    pub max: i16,
}

impl fmt::Display for FeatureRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// Which version of the software a node runs, and what it can do (KIP-584).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeSoftware {
    /// Version of the release; empty of nodes that do not tell.
    pub version: String,
    /// Levels by name of the feature. Nodes of the first release tell none.
    pub features: BTreeMap<String, FeatureRange>,
}

impl NodeSoftware {
    /// What this build is and can do.
    pub fn of_this_build() -> Self {
        let ranges = SUPPORTED_FEATURES.iter();
        let range =
            |feature: &SupportedFeature| (feature.name.to_owned(), FeatureRange { min: feature.min, max: feature.max });
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), features: ranges.map(range).collect() }
    }

    /// The levels of a feature that the node knows; `None` where it knows nothing of the feature. A node that tells nothing is
    /// of the first release, which has every feature at its lowest level.
    pub fn range(&self, name: &str) -> Option<FeatureRange> {
        let first_release =
            || SupportedFeature::find(name).map(|feature| FeatureRange { min: feature.min, max: feature.min });
        self.features.get(name).copied().or_else(|| self.features.is_empty().then(first_release).flatten())
    }

    /// Whether the node knows what to do at this level.
    pub fn supports(&self, name: &str, level: i16) -> bool {
        self.range(name).is_some_and(|range| (range.min..=range.max).contains(&level))
    }

    /// The first of the finalized features of which the node does not know the level, and that level.
    pub fn first_unknown<'a>(&self, image: &'a MetadataImage) -> Option<(&'a str, i16)> {
        let mut finalized = image.features().iter().map(|(name, &level)| (name.as_str(), level));
        finalized.find(|&(name, level)| !self.supports(name, level))
    }

    /// The highest level of each feature: what a new cluster starts with.
    pub fn highest_levels(&self) -> BTreeMap<String, i16> {
        self.features.iter().map(|(name, range)| (name.clone(), range.max)).collect()
    }
}

#[cfg(test)]
mod tests {
    use highwater_types::MetadataOffset;

    use super::*;
    use crate::MetadataRecord;

    fn finalized(name: &str, level: i16) -> MetadataImage {
        MetadataImage::empty()
            .apply(&[MetadataRecord::FeatureLevel { name: name.to_owned(), level }], MetadataOffset(1))
            .0
    }

    #[test]
    fn a_node_knows_the_levels_that_it_tells_and_one_that_tells_nothing_knows_the_lowest() {
        let (this, first) = (NodeSoftware::of_this_build(), NodeSoftware::default());
        assert!(this.supports(METADATA_VERSION, 3) && !this.supports(METADATA_VERSION, 4));
        assert!(first.supports(METADATA_VERSION, 1) && !first.supports(METADATA_VERSION, 2));
        for node in [&this, &first] {
            assert!(!node.supports("from.the.future", 1));
            assert_eq!(node.first_unknown(&finalized("from.the.future", 1)), Some(("from.the.future", 1)));
            assert_eq!(node.first_unknown(&MetadataImage::empty()), None);
        }
        assert_eq!(first.first_unknown(&finalized(METADATA_VERSION, 2)), Some((METADATA_VERSION, 2)));
        assert_eq!(this.first_unknown(&finalized(METADATA_VERSION, 2)), None);
    }

    #[test]
    fn features_are_in_order_of_name() {
        assert!(SUPPORTED_FEATURES.is_sorted_by(|a, b| a.name < b.name));
    }
}
