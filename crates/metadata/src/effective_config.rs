//! The configuration in force, from the dynamic values in the image and a node's static ones.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::config::resolve::{Layers, Values};
use crate::config::{ConfigEntry, ConfigResource, StaticBrokerConfig, TopicConfig, broker_key, describe, topic_key};
use crate::image::MetadataImage;

impl MetadataImage {
    /// The configuration of a topic as the node of `node` sees it. The topic need not exist. Looks at some 30 keys: keep
    /// the result until a [`MetadataDelta`](crate::MetadataDelta) names the topic or a broker resource.
    pub fn topic_config(&self, topic: &str, node: &StaticBrokerConfig) -> TopicConfig {
        let layers = self.topic_layers(topic, node);
        TopicConfig::from_values(|key| layers.topic_value(key))
    }

    /// The value in force of one topic key, as [`Self::topic_config`] sees it; `None` when it is null or the key unknown.
    pub fn topic_value(&self, topic: &str, name: &str, node: &StaticBrokerConfig) -> Option<String> {
        let layers = self.topic_layers(topic, node);
        topic_key(name).and_then(|key| layers.topic_value(key)).map(Cow::into_owned)
    }

    /// The value in force of a broker key on the node of `node`; `None` when it is null or the key unknown.
    pub fn broker_value(&self, name: &str, node: &StaticBrokerConfig) -> Option<String> {
        let layers = self.broker_layers(None, node);
        broker_key(name).and_then(|key| layers.broker_value(key)).map(Cow::into_owned)
    }

    /// Every key of a topic, as the node of `node` sees it; in order of name. The topic need not exist.
    pub fn describe_topic_config(&self, topic: &str, node: &StaticBrokerConfig) -> Vec<ConfigEntry> {
        describe::describe_topic(&self.topic_layers(topic, node))
    }

    /// Every topic key of a topic that is about to exist with these overrides.
    pub fn describe_new_topic_config(
        &self,
        overrides: &BTreeMap<String, String>,
        node: &StaticBrokerConfig,
    ) -> Vec<ConfigEntry> {
        describe::describe_topic(&self.broker_layers(Some(overrides), node))
    }

    /// Every broker key of the node of `node`, in order of name.
    pub fn describe_broker_config(&self, node: &StaticBrokerConfig) -> Vec<ConfigEntry> {
        describe::describe_broker(&self.broker_layers(None, node))
    }

    /// The broker keys that have a dynamic value for all brokers, in order of name.
    pub fn describe_default_broker_config(&self) -> Vec<ConfigEntry> {
        self.configs(&ConfigResource::DefaultBroker).map_or_else(Vec::new, describe::describe_default_broker)
    }

    fn topic_layers<'a>(&'a self, topic: &str, node: &'a StaticBrokerConfig) -> Layers<'a> {
        let name = self.topic_by_name(topic).map(|topic| topic.name.clone());
        self.broker_layers(name.and_then(|name| self.configs(&ConfigResource::Topic(name))), node)
    }

    fn broker_layers<'a>(&'a self, topic: Option<&'a Values>, node: &'a StaticBrokerConfig) -> Layers<'a> {
        Layers {
            topic,
            dynamic_broker: self.configs(&ConfigResource::Broker(node.node_id())),
            dynamic_default: self.configs(&ConfigResource::DefaultBroker),
            static_broker: node.properties(),
        }
    }
}
