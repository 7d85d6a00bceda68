//! JoinGroup (key 11): a member of a classic group joins or rejoins; answered when the rebalance completes.

use std::sync::Arc;

use highwater_coordinator_runtime as groups;
use highwater_protocol::StrBytes;
use highwater_protocol::messages::join_group_response::JoinGroupResponseMember;
use highwater_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use crate::state::{GatewayState, RequestContext};
use crate::wire::{optional_string, string};

/// First version with a rebalance time-out of its own.
const REBALANCE_TIMEOUT_VERSION: i16 = 1;
/// First version in which a new member must come back with the id it is given (KIP-394).
const KNOWN_MEMBER_ID_VERSION: i16 = 4;
/// First version in which the answer can carry an absent protocol name.
const NULLABLE_PROTOCOL_VERSION: i16 = 7;
/// First version in which a leader can be told to skip the assignment (KIP-814).
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

pub(crate) fn handle(
    state: Arc<GatewayState>,
    context: &RequestContext,
    body: JoinGroupRequest,
) -> impl Future<Output = JoinGroupResponse> + Send + use<> {
    let version = context.version;
    let request = groups::JoinGroupRequest {
        group_id: string(&body.group_id),
        session_timeout_ms: body.session_timeout_ms,
        rebalance_timeout_ms: if version >= REBALANCE_TIMEOUT_VERSION {
            body.rebalance_timeout_ms
        } else {
            body.session_timeout_ms
        },
        member_id: string(&body.member_id),
        group_instance_id: optional_string(body.group_instance_id.as_ref()),
        protocol_type: string(&body.protocol_type),
        protocols: body
            .protocols
            .iter()
            .map(|protocol| groups::JoinGroupProtocol {
                name: string(&protocol.name),
                metadata: protocol.metadata.clone(),
            })
            .collect(),
        reason: optional_string(body.reason.as_ref()),
        client_id: context.client_id.as_ref().map(|id| string(id)).unwrap_or_default(),
        client_host: format!("/{}", context.connection.peer.ip()),
        requires_known_member_id: version >= KNOWN_MEMBER_ID_VERSION,
        supports_skip_assignment: version >= SKIP_ASSIGNMENT_VERSION,
    };
    async move { encode(state.services.groups.join_group(request).await, version) }
}

fn encode(response: groups::JoinGroupResponse, version: i16) -> JoinGroupResponse {
    let protocol_name = match response.protocol_name {
        None if version < NULLABLE_PROTOCOL_VERSION => Some(StrBytes::default()),
        name => name.map(StrBytes::from_string),
    };
    let members = response.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(member.member_id.into())
            .with_group_instance_id(member.group_instance_id.map(Into::into))
            .with_metadata(member.metadata)
    });
    JoinGroupResponse::default()
        .with_error_code(response.error.code())
        .with_generation_id(response.generation_id)
        .with_protocol_type(response.protocol_type.map(Into::into))
        .with_protocol_name(protocol_name)
        .with_leader(response.leader.into())
        .with_skip_assignment(response.skip_assignment && version >= SKIP_ASSIGNMENT_VERSION)
        .with_member_id(response.member_id.into())
        .with_members(members.collect())
}
