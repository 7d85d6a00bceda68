//! What changed between two images.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use highwater_types::{BrokerId, MetadataOffset, PartitionIndex, TopicId};

use crate::{ConfigResource, TopicImage};

/// The names of what changed from one image to a later one. The values are in the later image; only what is gone is kept
/// here. Everything is in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetadataDelta {
    /// Offset of the earlier image.
    pub from: MetadataOffset,
    /// Offset of the later image.
    pub to: MetadataOffset,
    /// Brokers registered, changed or unregistered.
    pub brokers: BTreeSet<BrokerId>,
    /// Controllers registered or changed.
    pub controllers: BTreeSet<BrokerId>,
    /// Topics that did not exist before (and still exist).
    pub created_topics: BTreeSet<TopicId>,
    /// Topics that existed before and are gone, as they were.
    pub deleted_topics: BTreeMap<TopicId, Arc<TopicImage>>,
    /// Partitions that are new or changed, of existing topics (also of created ones).
    pub changed_partitions: BTreeMap<TopicId, BTreeSet<PartitionIndex>>,
    /// Resources of which a configuration value changed. Not those of deleted topics.
    pub configs: BTreeSet<ConfigResource>,
    /// The finalized features or the cluster id changed.
    pub features: bool,
    /// Producer ids were handed out.
    pub producer_ids: bool,
    /// How many partitions went from one leader to another. Known to replay only: 0 when images were compared.
    pub elections: u64,
    /// How many leaders were elected that were in neither ISR nor ELR. Known to replay only: 0 when images were compared.
    pub unclean_elections: u64,
}

impl MetadataDelta {
    /// Nothing but perhaps the offset changed.
    pub fn is_empty(&self) -> bool {
        self.brokers.is_empty()
            && self.controllers.is_empty()
            && self.created_topics.is_empty()
            && self.deleted_topics.is_empty()
            && self.changed_partitions.is_empty()
            && self.configs.is_empty()
            && !self.features
            && !self.producer_ids
    }
}
