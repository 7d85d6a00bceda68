//! RemoveRaftVoter (key 81): a voter of the metadata quorum loses its vote (KIP-853).

use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{VoterChange, VoterKey};
use highwater_protocol::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};
use highwater_types::{BrokerId, DirectoryId, ErrorCode};

use crate::state::GatewayState;
use crate::wire::text;

/// The request names no time-out; clients wait for thirty seconds by default.
const TIMEOUT: Duration = Duration::from_secs(25);

pub(crate) async fn handle(state: Arc<GatewayState>, body: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse {
    let response = RemoveRaftVoterResponse::default().with_error_message(None);
    let refused = |code: ErrorCode, message: &str| {
        RemoveRaftVoterResponse::default().with_error_code(code.code()).with_error_message(Some(text(message)))
    };
    if let Some(message) = state.of_another_cluster(body.cluster_id.as_deref()) {
        return refused(ErrorCode::InconsistentClusterId, &message);
    }
    let key = VoterKey { id: BrokerId(body.voter_id), directory: DirectoryId(body.voter_directory_id) };
    if key.id < BrokerId(0) || key.directory.is_zero() {
        return refused(ErrorCode::InvalidRequest, "Remove voter request didn't include a valid voter");
    }
    match state.services.controller.change_voters(VoterChange::Remove(key), TIMEOUT).await {
        Ok(()) => response,
        Err(error) => refused(error.code, &error.message),
    }
}
