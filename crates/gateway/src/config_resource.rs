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
        other => Err(not_served(other)),
    }
}

/// Why configuration of that kind can neither be seen nor changed.
pub(crate) fn not_served(resource_type: i8) -> (ErrorCode, String) {
    let message = match resource_type {
        BROKER_LOGGER => {
            "Log levels cannot be changed at run time: set RUST_LOG (e.g. highwater=debug) and restart.".to_owned()
        }
        CLIENT_METRICS => "Client metrics (KIP-714) are not available: no client pushes any to this broker.".to_owned(),
        GROUP => "Groups have no configuration: only classic groups exist, which are configured by their members and \
                  by the broker's group.* keys."
            .to_owned(),
        other => format!("Configuration of resource type {other} is not served."),
    };
    (ErrorCode::InvalidRequest, message)
}

/// Kafka's number and name of a resource.
pub(crate) fn wire_name(resource: &ConfigResource) -> (i8, String) {
    match resource {
        ConfigResource::Topic(name) => (TOPIC, name.to_string()),
        ConfigResource::DefaultBroker => (BROKER, String::new()),
        ConfigResource::Broker(id) => (BROKER, id.to_string()),
    }
}
