//! Which broker coordinates a group.

use highwater_protocol::messages::FindCoordinatorRequest;

use super::{ATTEMPTS, ClusterClient, RETRY_PAUSE, is_retriable, message_of, wire};
use crate::cli::Failure;

/// FindCoordinator's number for groups.
const GROUP_KEY_TYPE: i8 = 0;

impl ClusterClient {
    /// The broker that coordinates `group`.
    pub(crate) async fn coordinator(&mut self, group: &str) -> Result<i32, Failure> {
        let request =
            FindCoordinatorRequest::default().with_key_type(GROUP_KEY_TYPE).with_coordinator_keys(vec![wire(group)]);
        for attempt in 1.. {
            let response = self.call(&request, 4..=4).await?;
            let coordinator = response.coordinators.first();
            let coordinator =
                coordinator.ok_or_else(|| Failure::new(format!("group {group}: no coordinator was named")))?;
            match coordinator.error_code {
                0 => {
                    self.refresh().await?;
                    if self.knows_broker(coordinator.node_id.0) || attempt >= ATTEMPTS {
                        return Ok(coordinator.node_id.0);
                    }
                }
                code if is_retriable(code) && attempt < ATTEMPTS => {}
                code => {
                    let message = message_of(&coordinator.error_message);
                    return Err(Failure::refused(&format!("group {group}"), code, message));
                }
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        unreachable!("the loop ends by returning")
    }
}
