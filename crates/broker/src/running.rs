//! A node at work, and how it stops.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use highwater_coordinator_runtime::GroupCoordinator;
use highwater_env::lock::Mutex;
use highwater_gateway::Gateway;
use highwater_quorum::{BrokerLink, ControllerNode};
use highwater_replication::Replicas;
use tokio::task::JoinSet;

use crate::NodeFailure;
use crate::config::BrokerConfig;
use crate::http::Readiness;
use crate::inspection::{Inspected, Inspector};
use crate::lifecycle::Lifecycle;
use crate::sockets::Addresses;
use crate::wiring::LinkLease;

/// Longest wait for other brokers to take over the leaderships. When the whole cluster stops at once nobody can, and then
/// this is what each stop costs.
const HAND_OVER: Duration = Duration::from_secs(5);

/// Longest time in which clients are told where the leaders are now. Most have gone after the first answer; who goes on asking
/// is cut off.
const CLIENTS_LEAVE: Duration = Duration::from_secs(1);

/// The parts of the role broker.
pub(crate) struct BrokerParts {
    pub(crate) link: BrokerLink,
    pub(crate) lease: Arc<LinkLease>,
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) groups: Arc<GroupCoordinator>,
    /// Set once clients are served.
    pub(crate) gateway: Arc<OnceLock<Arc<Gateway>>>,
}

/// A running node. Dropping it ends its tasks as a crash would; [`RunningBroker::shutdown`] ends it in order.
pub struct RunningBroker {
    config: BrokerConfig,
    addresses: Addresses,
    lifecycle: Lifecycle,
    tasks: Mutex<JoinSet<()>>,
    readiness: Readiness,
    inspected: Arc<Inspected>,
    broker: Option<BrokerParts>,
    controller: Option<ControllerNode>,
}

impl RunningBroker {
    #[expect(clippy::too_many_arguments, reason = "the parts of a node, handed over once")]
    pub(crate) fn new(
        config: BrokerConfig,
        addresses: Addresses,
        lifecycle: Lifecycle,
        tasks: JoinSet<()>,
        readiness: Readiness,
        inspected: Inspected,
        broker: Option<BrokerParts>,
        controller: Option<ControllerNode>,
    ) -> Self {
        let (tasks, inspected) = (Mutex::new(tasks), Arc::new(inspected));
        Self { config, addresses, lifecycle, tasks, readiness, inspected, broker, controller }
    }

    /// The configuration, with real ports where 0 was asked for.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// Client listeners by name with the addresses they are bound to.
    pub fn client_addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses.clients
    }

    /// Where metrics and health are served.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.addresses.http
    }

    /// Whether the node does its work: as a broker it serves clients, as a controller it knows the active one.
    pub fn is_ready(&self) -> bool {
        self.problem().is_none()
    }

    /// Why the node does not do its work, in words for its operator; `None` if it does.
    pub fn problem(&self) -> Option<String> {
        self.readiness.problem()
    }

    /// Waits for the end of the node.
    ///
    /// # Errors
    /// When it could not go on. The node does nothing useful any more; drop it.
    pub async fn closed(&self) -> Result<(), NodeFailure> {
        self.lifecycle.closed().await
    }

    /// Looks at the node from outside its tasks. Keeps parts of it alive, but none of its tasks.
    pub fn inspector(&self) -> Inspector {
        let inspected = self.inspected.clone();
        Arc::new(move || inspected.look())
    }

    /// Stops in order: other brokers take the leaderships over, clients are let go, logs are closed so that the next start
    /// reads nothing twice, another controller becomes active.
    pub async fn shutdown(&self) {
        if let Some(broker) = &self.broker {
            let hand_over = self.config.flag("controlled.shutdown.enable");
            let handed_over = hand_over && broker.link.controlled_shutdown(HAND_OVER).await;
            if hand_over && !handed_over {
                tracing::warn!("no other broker took the leaderships over within {HAND_OVER:?}: going on");
            }
            if let Some(gateway) = broker.gateway.get() {
                if handed_over {
                    gateway.leave(CLIENTS_LEAVE).await;
                }
                gateway.shutdown().await;
            }
            broker.groups.shutdown();
            broker.replicas.shutdown().await;
            broker.link.stop().await;
        }
        if let Some(controller) = &self.controller {
            controller.shutdown().await;
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
        self.lifecycle.stop();
    }
}

impl Drop for RunningBroker {
    fn drop(&mut self) {
        self.broker.iter().for_each(|broker| broker.lease.detach());
    }
}
