//! UnregisterBroker (key 64): forgets a broker that will not come back (KIP-746). One that runs registers again.

use std::sync::Arc;

use highwater_controller::{Command, UnregisterBroker};
use highwater_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use highwater_types::BrokerId;

use crate::state::GatewayState;

pub(crate) async fn handle(state: Arc<GatewayState>, body: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
    let response = UnregisterBrokerResponse::default().with_error_message(None);
    let command = Command::UnregisterBroker(UnregisterBroker { id: BrokerId(body.broker_id.0) });
    match state.services.controller.submit(command).await {
        Ok(_) => response,
        Err(error) => response.with_error_code(error.code.code()).with_error_message(Some(error.message.into())),
    }
}
