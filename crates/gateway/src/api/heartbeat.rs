//! Heartbeat (key 12): a member is alive; the answer tells it to rejoin when the group rebalances.

use std::sync::Arc;

use highwater_coordinator_runtime as groups;
use highwater_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::state::GatewayState;
use crate::wire::{optional_string, string};

pub(crate) async fn handle(state: Arc<GatewayState>, body: HeartbeatRequest) -> HeartbeatResponse {
    let request = groups::HeartbeatRequest {
        group_id: string(&body.group_id),
        generation_id: body.generation_id,
        member_id: string(&body.member_id),
        group_instance_id: optional_string(body.group_instance_id.as_ref()),
    };
    let error = state.services.groups.heartbeat(request).await;
    HeartbeatResponse::default().with_error_code(error.code())
}
