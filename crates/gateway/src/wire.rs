//! Domain values as `kafka-protocol` wants them.

use highwater_protocol::StrBytes;
use highwater_protocol::messages;
use highwater_types::{BrokerId, TopicName};

/// A topic name. Copies: a response must not keep the request's frame alive.
pub(crate) fn name_of(name: &TopicName) -> messages::TopicName {
    messages::TopicName(text(name.as_str()))
}

/// A text. Copies.
pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Broker ids.
pub(crate) fn broker_ids(ids: &[BrokerId]) -> Vec<messages::BrokerId> {
    ids.iter().map(|id| messages::BrokerId(id.get())).collect()
}

/// An owned text.
pub(crate) fn string(text: &str) -> String {
    text.to_owned()
}

/// An owned text, if there is one.
pub(crate) fn optional_string(text: Option<&StrBytes>) -> Option<String> {
    text.map(|text| text.as_str().to_owned())
}
