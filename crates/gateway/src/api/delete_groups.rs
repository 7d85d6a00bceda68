//! DeleteGroups (key 42): forgets empty groups and their offsets (KIP-229).

use std::sync::Arc;

use highwater_protocol::messages::delete_groups_response::DeletableGroupResult;
use highwater_protocol::messages::{self, DeleteGroupsRequest, DeleteGroupsResponse};

use crate::state::GatewayState;
use crate::wire::string;

pub(crate) async fn handle(state: Arc<GatewayState>, body: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let ids = body.groups_names.iter().map(|id| string(id)).collect();
    let deleted = state.services.groups.delete_groups(ids).await.into_iter().map(|group| {
        DeletableGroupResult::default()
            .with_group_id(messages::GroupId(group.group_id.into()))
            .with_error_code(group.error.code())
    });
    DeleteGroupsResponse::default().with_results(deleted.collect())
}
