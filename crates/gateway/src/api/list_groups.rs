//! ListGroups (key 16): the groups this broker coordinates (KIP-518, KIP-848 filters).

use std::sync::Arc;

use highwater_coordinator_runtime as groups;
use highwater_protocol::messages::list_groups_response::ListedGroup;
use highwater_protocol::messages::{self, ListGroupsRequest, ListGroupsResponse};

use crate::state::{GatewayState, RequestContext};
use crate::wire::string;

/// First version that shows a group's state.
const STATE_VERSION: i16 = 4;
/// First version that shows a group's type.
const TYPE_VERSION: i16 = 5;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: ListGroupsRequest,
) -> ListGroupsResponse {
    let filter = groups::ListGroupsFilter {
        states: body.states_filter.iter().map(|state| string(state)).collect(),
        types: body.types_filter.iter().map(|kind| string(kind)).collect(),
    };
    let listed = match state.services.groups.list_groups(filter).await {
        Ok(listed) => listed,
        Err(error) => return ListGroupsResponse::default().with_error_code(error.code()),
    };
    let entry = |group: groups::ListedGroup| {
        let mut entry = ListedGroup::default()
            .with_group_id(messages::GroupId(group.group_id.into()))
            .with_protocol_type(group.protocol_type.into());
        if context.version >= STATE_VERSION {
            entry.group_state = group.state.name().into();
        }
        if context.version >= TYPE_VERSION {
            entry.group_type = group.group_type.name().into();
        }
        entry
    };
    ListGroupsResponse::default().with_groups(listed.into_iter().map(entry).collect())
}
