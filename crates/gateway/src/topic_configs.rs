//! Typed topic configuration for the hot path: resolved on first use after each change of the metadata.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_env::lock::RwLock;
use highwater_metadata::{MetadataImage, StaticBrokerConfig, TopicConfig, TopicImage};
use highwater_types::{MetadataOffset, TopicId};

/// A cache over `MetadataImage::topic_config`.
pub(crate) struct TopicConfigs {
    static_config: StaticBrokerConfig,
    cache: RwLock<Cache>,
}

#[derive(Default)]
struct Cache {
    /// The image the entries were resolved from.
    offset: MetadataOffset,
    entries: BTreeMap<TopicId, Arc<TopicConfig>>,
}

impl TopicConfigs {
    /// An empty cache over this node's static configuration.
    pub(crate) fn new(static_config: StaticBrokerConfig) -> Self {
        Self { static_config, cache: RwLock::default() }
    }

    /// The configuration in force for a topic of `image`.
    pub(crate) fn get(&self, image: &MetadataImage, topic: &TopicImage) -> Arc<TopicConfig> {
        {
            let cache = self.cache.read();
            if cache.offset == image.offset()
                && let Some(config) = cache.entries.get(&topic.id)
            {
                return Arc::clone(config);
            }
        }
        let config = Arc::new(image.topic_config(topic.name.as_str(), &self.static_config));
        let mut cache = self.cache.write();
        if cache.offset < image.offset() {
            cache.offset = image.offset();
            cache.entries.clear();
        }
        if cache.offset == image.offset() {
            cache.entries.insert(topic.id, Arc::clone(&config));
        }
        config
    }
}
