//! Bootstrap of the cluster, and its voters.

use highwater_metadata::{
    ControllerRegistration, METADATA_VERSION, MetadataImage, MetadataRecord, SupportedFeature, VOTERS_LEVEL,
};
use highwater_types::{BrokerId, ErrorCode};

use crate::scratch::Scratch;
use crate::{Bootstrap, CommandError, CommandResponse, RegisterController};

pub(crate) fn bootstrap(scratch: &mut Scratch, request: &Bootstrap) -> Result<CommandResponse, CommandError> {
    if request.cluster_id.is_empty() {
        return Err(CommandError::new(ErrorCode::InvalidRequest, "The cluster id must not be empty."));
    }
    if scratch.image().cluster_id().is_some() {
        check_cluster_id(scratch.image(), Some(&request.cluster_id))?;
        return Ok(CommandResponse::Bootstrap);
    }
    scratch.push(MetadataRecord::ClusterId(request.cluster_id.clone()));
    for (name, &level) in request.features.iter().filter(|(_, level)| **level != 0) {
        scratch.push(MetadataRecord::FeatureLevel { name: name.clone(), level });
    }
    Ok(CommandResponse::Bootstrap)
}

pub(crate) fn register_controller(
    scratch: &mut Scratch,
    request: &RegisterController,
) -> Result<CommandResponse, CommandError> {
    check_cluster_id(scratch.image(), request.cluster_id.as_deref())?;
    if request.id < BrokerId(0) || request.directory_id.is_zero() {
        let message =
            format!("Controller {} with directory {} cannot be registered.", request.id, request.directory_id);
        return Err(CommandError::new(ErrorCode::InvalidRegistration, message));
    }
    let registration = ControllerRegistration {
        id: request.id,
        endpoint: request.endpoint.clone(),
        directory_id: request.directory_id,
    };
    match scratch.image().controller(request.id) {
        Some(known) if known.directory_id != request.directory_id => Err(emptied_disk(known, request)),
        Some(known) if *known == registration => Ok(CommandResponse::RegisterController),
        _ => {
            scratch.push(MetadataRecord::RegisterController(registration));
            Ok(CommandResponse::RegisterController)
        }
    }
}

pub(crate) fn unregister_controller(scratch: &mut Scratch, id: BrokerId) -> Result<CommandResponse, CommandError> {
    let level = SupportedFeature::find(METADATA_VERSION).map_or(0, |feature| feature.level(scratch.image()));
    if level < VOTERS_LEVEL {
        let message = format!("Controllers leave from level {VOTERS_LEVEL} of {METADATA_VERSION} on; it is {level}.");
        return Err(CommandError::new(ErrorCode::UnsupportedVersion, message));
    }
    if scratch.image().controller(id).is_some() {
        scratch.push(MetadataRecord::UnregisterController { id });
    }
    Ok(CommandResponse::UnregisterController)
}

/// A voter that forgot its vote and its log would break the promises of Raft, so it must not come back as the one it was.
fn emptied_disk(known: &ControllerRegistration, request: &RegisterController) -> CommandError {
    CommandError::new(
        ErrorCode::InvalidRegistration,
        format!(
            "Controller {} comes with metadata directory {}, but this cluster knows it with directory {}: its disk was emptied or \
             replaced, and its vote and log are gone with it. Bring back the directory that belongs to it (metadata.log.dir), \
             and start it again. If that directory is lost, remove the voter, and let the node join as a new one.",
            request.id, request.directory_id, known.directory_id
        ),
    )
}

/// A node that knows its cluster must have come to the right one. Before bootstrap there is no right one.
pub(crate) fn check_cluster_id(image: &MetadataImage, given: Option<&str>) -> Result<(), CommandError> {
    match (image.cluster_id(), given) {
        (None, _) => Err(CommandError::new(ErrorCode::NotController, "The cluster has no id yet. Try again.")),
        (Some(expected), Some(given)) if expected != given => Err(CommandError::new(
            ErrorCode::InconsistentClusterId,
            format!("Expected cluster ID {expected}, but got cluster ID {given}"),
        )),
        _ => Ok(()),
    }
}
