//! The rate of reassignments begins and ends with them, so that nobody has to remember to remove it, and no request that comes late
//! leaves one behind: there is none while nothing is reassigned.

use highwater_metadata::config::{REASSIGNMENT_THROTTLE, validate_broker_value};
use highwater_metadata::{ConfigResource, MetadataImage, MetadataRecord};
use highwater_types::ErrorCode;

use crate::CommandError;
use crate::scratch::Scratch;

/// Refuses a rate that no broker would take.
pub(crate) fn check(rate: i64) -> Result<(), CommandError> {
    let refused = |message| CommandError::new(ErrorCode::InvalidRequest, message);
    validate_broker_value(REASSIGNMENT_THROTTLE, &rate.to_string()).map_err(refused)
}

/// Limits the reassignments that run.
pub(crate) fn set(scratch: &mut Scratch, rate: i64) {
    scratch.push(record(ConfigResource::DefaultBroker, Some(rate.to_string())));
}

/// Whether something is reassigned: only then there may be a rate.
pub(crate) fn has_reassignments(image: &MetadataImage) -> bool {
    image.topics().any(|topic| topic.iter().any(|(_, partition)| partition.is_reassigning()))
}

/// Removes the rate in the decision that ends the last reassignment.
pub(crate) fn maybe_release(scratch: &mut Scratch) {
    let image = scratch.image();
    let limited = image.broker_configs().filter(|(_, values)| values.contains_key(REASSIGNMENT_THROTTLE));
    let limited: Vec<ConfigResource> = limited.map(|(resource, _)| resource.clone()).collect();
    if limited.is_empty() || has_reassignments(image) {
        return;
    }
    scratch.extend(limited.into_iter().map(|resource| record(resource, None)).collect());
}

fn record(resource: ConfigResource, value: Option<String>) -> MetadataRecord {
    MetadataRecord::Config { resource, name: REASSIGNMENT_THROTTLE.to_owned(), value }
}
