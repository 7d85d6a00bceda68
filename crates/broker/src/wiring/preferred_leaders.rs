//! Gives leaderships back to preferred leaders from time to time (`auto.leader.rebalance.enable`).

use std::time::Duration;

use highwater_controller::{ElectLeaders, ElectionType};
use highwater_quorum::{Command, ControllerClient, ControllerNode};

/// Asks for it every `interval` while this node is the active controller. Runs until dropped.
pub(crate) async fn rebalance(controller: ControllerNode, client: ControllerClient, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        if !controller.is_active() {
            continue;
        }
        let command = Command::ElectLeaders(ElectLeaders { partitions: None, election: ElectionType::Preferred });
        if let Err(error) = client.submit(command).await {
            tracing::warn!("leaderships were not given back to preferred leaders: {error}");
        }
    }
}
