//! The throttle of reassignments ends with them, so that nobody has to remember to remove it.

use highwater_metadata::config::REASSIGNMENT_THROTTLE;
use highwater_metadata::{ConfigResource, MetadataImage, MetadataRecord};

use crate::Command;
use crate::scratch::Scratch;

/// Removes the throttle in the decision that ends the last reassignment, or that begins none although it was asked to: it was
/// refused, or only the order of replicas changes. One that is set while nothing is reassigned waits for the next one, and has no
/// effect before.
pub(crate) fn maybe_release(before: &MetadataImage, scratch: &mut Scratch, command: &Command) {
    let image = scratch.image();
    let throttled = image.broker_configs().filter(|(_, values)| values.contains_key(REASSIGNMENT_THROTTLE));
    let throttled: Vec<ConfigResource> = throttled.map(|(resource, _)| resource.clone()).collect();
    if throttled.is_empty() || has_reassignments(image) {
        return;
    }
    if has_reassignments(before) || matches!(command, Command::AlterPartitionReassignments(_)) {
        let name = || REASSIGNMENT_THROTTLE.to_owned();
        let removal = |resource| MetadataRecord::Config { resource, name: name(), value: None };
        scratch.extend(throttled.into_iter().map(removal).collect());
    }
}

fn has_reassignments(image: &MetadataImage) -> bool {
    image.topics().any(|topic| topic.iter().any(|(_, partition)| partition.is_reassigning()))
}
