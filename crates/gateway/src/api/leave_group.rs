//! LeaveGroup (key 13): members leave a classic group.

use std::sync::Arc;

use highwater_coordinator_runtime as groups;
use highwater_protocol::messages::leave_group_response::MemberResponse;
use highwater_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::state::{GatewayState, RequestContext};
use crate::wire::{optional_string, string};

/// First version that names several members, by member id or static id (KIP-345).
const BATCH_VERSION: i16 = 3;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let batched = context.version >= BATCH_VERSION;
    let members = if batched {
        let member =
            |member: &highwater_protocol::messages::leave_group_request::MemberIdentity| groups::LeaveGroupMember {
                member_id: string(&member.member_id),
                group_instance_id: optional_string(member.group_instance_id.as_ref()),
                reason: optional_string(member.reason.as_ref()),
            };
        body.members.iter().map(member).collect()
    } else {
        vec![groups::LeaveGroupMember { member_id: string(&body.member_id), group_instance_id: None, reason: None }]
    };
    let request = groups::LeaveGroupRequest { group_id: string(&body.group_id), members };
    let response = state.services.groups.leave_group(request).await;
    if !batched {
        return LeaveGroupResponse::default().with_error_code(response.single_member_error().code());
    }
    let members = response.members.into_iter().map(|member| {
        MemberResponse::default()
            .with_member_id(member.member_id.into())
            .with_group_instance_id(member.group_instance_id.map(Into::into))
            .with_error_code(member.error.code())
    });
    LeaveGroupResponse::default().with_error_code(response.error.code()).with_members(members.collect())
}
