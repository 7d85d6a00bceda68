//! AddRaftVoter (key 80): an observer of the metadata quorum gets a vote (KIP-853).
//!
//! The observer has told where it listens itself. The listeners of the request are only checked for being there.

use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{VoterChange, VoterKey};
use highwater_protocol::messages::{AddRaftVoterRequest, AddRaftVoterResponse};
use highwater_types::{BrokerId, DirectoryId, ErrorCode};

use crate::state::GatewayState;
use crate::wire::text;

pub(crate) async fn handle(state: Arc<GatewayState>, body: AddRaftVoterRequest) -> AddRaftVoterResponse {
    let response = AddRaftVoterResponse::default().with_error_message(None);
    let refused = |code: ErrorCode, message: &str| {
        AddRaftVoterResponse::default().with_error_code(code.code()).with_error_message(Some(text(message)))
    };
    if let Some(message) = state.of_another_cluster(body.cluster_id.as_deref()) {
        return refused(ErrorCode::InconsistentClusterId, &message);
    }
    let key = VoterKey { id: BrokerId(body.voter_id), directory: DirectoryId(body.voter_directory_id) };
    if key.id < BrokerId(0) || key.directory.is_zero() {
        return refused(ErrorCode::InvalidRequest, "Add voter request didn't include a valid voter");
    }
    if body.listeners.is_empty() {
        return refused(ErrorCode::InvalidRequest, "Add voter request didn't include an endpoint of the voter.");
    }
    let timeout = Duration::from_millis(u64::try_from(body.timeout_ms).unwrap_or(0));
    match state.services.controller.change_voters(VoterChange::Add(key), timeout).await {
        Ok(()) => response,
        Err(error) => refused(error.code, &error.message),
    }
}
