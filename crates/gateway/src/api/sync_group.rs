//! SyncGroup (key 14): a member gets its assignment; the leader brings everybody's.

use std::sync::Arc;

use highwater_coordinator_runtime as groups;
use highwater_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::state::GatewayState;
use crate::wire::{optional_string, string};

pub(crate) async fn handle(state: Arc<GatewayState>, body: SyncGroupRequest) -> SyncGroupResponse {
    let assignment = |assigned: &highwater_protocol::messages::sync_group_request::SyncGroupRequestAssignment| {
        groups::SyncGroupAssignment { member_id: string(&assigned.member_id), assignment: assigned.assignment.clone() }
    };
    let request = groups::SyncGroupRequest {
        group_id: string(&body.group_id),
        generation_id: body.generation_id,
        member_id: string(&body.member_id),
        group_instance_id: optional_string(body.group_instance_id.as_ref()),
        protocol_type: optional_string(body.protocol_type.as_ref()),
        protocol_name: optional_string(body.protocol_name.as_ref()),
        assignments: body.assignments.iter().map(assignment).collect(),
    };
    // The request is in the coordinator's hands now; its frame need not live on.
    drop(body);
    let response = state.services.groups.sync_group(request).await;
    SyncGroupResponse::default()
        .with_error_code(response.error.code())
        .with_protocol_type(response.protocol_type.map(Into::into))
        .with_protocol_name(response.protocol_name.map(Into::into))
        .with_assignment(response.assignment)
}
