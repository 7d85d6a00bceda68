//! The throttle of reassignments ends with them, so that nobody has to remember to remove it.

use highwater_metadata::config::REASSIGNMENT_THROTTLE;
use highwater_metadata::{ConfigResource, MetadataImage, MetadataRecord};

use crate::scratch::Scratch;

/// Removes the throttle in the decision that ends the last reassignment. One that is set while nothing is reassigned waits for
/// the next one, and has no effect before.
pub(crate) fn release(before: &MetadataImage, scratch: &mut Scratch) {
    let image = scratch.image();
    let brokers = image.brokers().map(|broker| ConfigResource::Broker(broker.id));
    let mut throttled: Vec<ConfigResource> = brokers.chain([ConfigResource::DefaultBroker]).collect();
    throttled
        .retain(|resource| image.configs(resource).is_some_and(|values| values.contains_key(REASSIGNMENT_THROTTLE)));
    if throttled.is_empty() || !has_reassignments(before) || has_reassignments(image) {
        return;
    }
    let removal = |resource| MetadataRecord::Config { resource, name: REASSIGNMENT_THROTTLE.to_owned(), value: None };
    scratch.extend(throttled.into_iter().map(removal).collect());
}

fn has_reassignments(image: &MetadataImage) -> bool {
    image.topics().any(|topic| topic.iter().any(|(_, partition)| partition.is_reassigning()))
}
