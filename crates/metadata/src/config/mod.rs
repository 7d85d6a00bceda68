//! Configuration: which keys exist, what values they take, and which value is in force.
//!
//! A topic value is looked up as topic override, then dynamic configuration of this broker, dynamic default of all brokers,
//! this node's static configuration (`server.properties`), then the default. A broker value is looked up the same way from
//! the second step on (KIP-226).

mod broker_keys;
mod definition;
pub(crate) mod describe;
pub(crate) mod resolve;
mod resource;
mod source;
mod throttled_replicas;
mod topic_config;
mod topic_keys;
mod value;

pub use broker_keys::{BROKER_KEYS, broker_key};
pub use definition::{ConfigDef, ConfigType, Synonym, ValidValues};
pub use describe::{ConfigEntry, ConfigSynonym};
pub use resource::{ConfigResource, StaticBrokerConfig};
pub use source::ConfigSource;
pub use throttled_replicas::ThrottledReplicas;
pub use topic_config::{CleanupPolicy, CompressionType, Durability, TimestampType, TopicConfig};
pub use topic_keys::{TOPIC_KEYS, topic_key};
pub use value::{split_list, validate_broker_value, validate_topic_value, validate_topic_values};

/// Key of our durability setting, of topics and of brokers: `strict` or `relaxed`.
pub const DURABILITY: &str = "highwater.durability";
/// Key of the rate at which replicas that reassignments add are fed, in bytes per second; begins and ends with them.
pub const REASSIGNMENT_THROTTLE: &str = "highwater.reassignment.throttled.rate";
/// Key of the HTTP listener of a node.
pub const HTTP_LISTENER: &str = "highwater.http.listener";
/// Key that switches the figures of single partitions off.
pub const PARTITION_SERIES: &str = "highwater.metrics.partition.series";
