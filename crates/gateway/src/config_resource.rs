//! Kafka's numbers of configuration resources.

use highwater_metadata::ConfigResource;
use highwater_types::{BrokerId, ErrorCode, TopicName};

/// `ConfigResource.Type.TOPIC`.
pub(crate) const TOPIC: i8 = 2;
/// `ConfigResource.Type.BROKER`.
pub(crate) const BROKER: i8 = 4;
/// `ConfigResource.Type.BROKER_LOGGER`.
pub(crate) const BROKER_LOGGER: i8 = 8;
/// `ConfigResource.Type.CLIENT_METRICS`.
pub(crate) const CLIENT_METRICS: i8 = 16;
/// `ConfigResource.Type.GROUP`.
pub(crate) const GROUP: i8 = 32;

/// The resource a request names, if it is one that can be altered.
pub(crate) fn parse(resource_type: i8, name: &str) -> Result<ConfigResource, (ErrorCode, String)> {
    match resource_type {
        TOPIC => {
            TopicName::new(name).map(ConfigResource::Topic).map_err(|error| (ErrorCode::InvalidTopicException, error.0))
        }
        BROKER if name.is_empty() => Ok(ConfigResource::DefaultBroker),
        BROKER => match name.parse::<i32>() {
            Ok(id) if id >= 0 => Ok(ConfigResource::Broker(BrokerId(id))),
            _ => Err((ErrorCode::InvalidRequest, format!("Node id must be an integer, but it is: {name}"))),
        },
        other => Err((ErrorCode::InvalidRequest, format!("Configuration of resource type {other} cannot be changed."))),
    }
}

/// Kafka's number and name of a resource.
pub(crate) fn wire_name(resource: &ConfigResource) -> (i8, String) {
    match resource {
        ConfigResource::Topic(name) => (TOPIC, name.to_string()),
        ConfigResource::DefaultBroker => (BROKER, String::new()),
        ConfigResource::Broker(id) => (BROKER, id.to_string()),
    }
}
