//! What configuration applies to.

use std::collections::BTreeMap;
use std::fmt;

use highwater_types::{BrokerId, TopicName};

use super::value::validate_broker_value;

/// A resource that has dynamic configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigResource {
    /// One topic, by name.
    Topic(TopicName),
    /// All brokers that have no value of their own: the resource name is empty.
    DefaultBroker,
    /// One broker.
    Broker(BrokerId),
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::DefaultBroker => f.write_str("default of all brokers"),
            Self::Broker(id) => write!(f, "broker {id}"),
        }
    }
}

/// A node's own configuration, as in its `server.properties`: fixed while the process runs. The values are legal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StaticBrokerConfig {
    node_id: BrokerId,
    properties: BTreeMap<String, String>,
}

impl StaticBrokerConfig {
    /// The configuration of the node `node_id` with the keys that were set. Unknown keys are kept, and ignored. An illegal
    /// value of a known key is an error: all messages, one per line.
    pub fn new(node_id: BrokerId, properties: BTreeMap<String, String>) -> Result<Self, String> {
        let check = |(name, value): (&String, &String)| validate_broker_value(name, value).err();
        let errors: Vec<String> = properties.iter().filter_map(check).collect();
        if errors.is_empty() { Ok(Self { node_id, properties }) } else { Err(errors.join("\n")) }
    }

    /// `node.id`: whose dynamic configuration applies.
    pub fn node_id(&self) -> BrokerId {
        self.node_id
    }

    /// Keys and values that were set.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }
}
