//! InitProducerId (key 22): an id for an idempotent producer (KIP-98).

use std::sync::Arc;

use highwater_protocol::messages::{self, InitProducerIdRequest, InitProducerIdResponse};
use highwater_types::ErrorCode;

use crate::state::GatewayState;

pub(crate) async fn handle(state: Arc<GatewayState>, body: InitProducerIdRequest) -> InitProducerIdResponse {
    match assign(&state, &body).await {
        // The epoch of a new id is 0.
        Ok(id) => InitProducerIdResponse::default().with_producer_id(messages::ProducerId(id)).with_producer_epoch(0),
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(messages::ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

async fn assign(state: &GatewayState, body: &InitProducerIdRequest) -> Result<i64, ErrorCode> {
    match &body.transactional_id {
        Some(id) if id.is_empty() => return Err(ErrorCode::InvalidRequest),
        // As FindCoordinator answers for transactional ids: not served yet, and retrying does not help.
        Some(_) => return Err(ErrorCode::UnsupportedVersion),
        None => {}
    }
    // KIP-360: both or neither. An idempotent producer without a transactional id gets a new id in any case.
    if (body.producer_id.0 == -1) != (body.producer_epoch == -1) {
        return Err(ErrorCode::InvalidRequest);
    }
    state.producer_ids.next().await.map(|id| id.get())
}
