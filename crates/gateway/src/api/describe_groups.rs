//! DescribeGroups (key 15): state and members of classic groups.

use std::sync::Arc;

use highwater_coordinator_runtime as groups;
use highwater_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use highwater_protocol::messages::{self, DescribeGroupsRequest, DescribeGroupsResponse};
use highwater_types::ErrorCode;

use crate::authorized_operations;
use crate::duplicates::each_once;
use crate::state::{GatewayState, RequestContext};
use crate::wire::string;

/// First version that carries authorized operations.
const OPERATIONS_VERSION: i16 = 3;
/// First version that shows static ids.
const INSTANCE_ID_VERSION: i16 = 4;
/// First version in which an unknown group is an error (KIP-1043); before, it is a dead group.
const NOT_FOUND_VERSION: i16 = 6;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let ids = each_once(&body.groups, |id| id.as_str()).map(|id| string(id)).collect();
    let described = state.services.groups.describe_groups(ids).await;
    let operations = body.include_authorized_operations && context.version >= OPERATIONS_VERSION;
    let groups = described.into_iter().map(|group| encode(group, context.version, operations));
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn encode(group: groups::DescribedGroup, version: i16, operations: bool) -> DescribedGroup {
    let hidden = group.error == ErrorCode::GroupIdNotFound && version < NOT_FOUND_VERSION;
    let error = if hidden { ErrorCode::None } else { group.error };
    let members = group.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(member.member_id.into())
            .with_group_instance_id(member.group_instance_id.filter(|_| version >= INSTANCE_ID_VERSION).map(Into::into))
            .with_client_id(member.client_id.into())
            .with_client_host(member.client_host.into())
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    DescribedGroup::default()
        .with_error_code(error.code())
        .with_error_message(group.error_message.filter(|_| version >= NOT_FOUND_VERSION).map(Into::into))
        .with_group_id(messages::GroupId(group.group_id.into()))
        .with_group_state(group.state.into())
        .with_protocol_type(group.protocol_type.into())
        .with_protocol_data(group.protocol_data.into())
        .with_members(members.collect())
        .with_authorized_operations(authorized_operations::group(operations && !error.is_error()))
}
