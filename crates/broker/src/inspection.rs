//! What a test sees of a running node from outside its tasks.

use std::sync::Arc;

use highwater_metadata::MetadataImage;
use highwater_quorum::{BrokerLink, ControllerNode};
use highwater_replication::{PartitionStatus, Replicas};
use highwater_types::{BrokerEpoch, BrokerId, MonoMs};

/// One look at a node: what it believes at this moment.
#[derive(Debug, Clone)]
pub struct NodeInspection {
    /// `node.id`.
    pub node: BrokerId,
    /// Epoch of its registration, or [`BrokerEpoch::NONE`].
    pub broker_epoch: BrokerEpoch,
    /// When its lease lapses.
    pub lease_until: MonoMs,
    /// The metadata as it knows it.
    pub image: Arc<MetadataImage>,
    /// Its replicas, in ascending order of key.
    pub replicas: Vec<PartitionStatus>,
    /// Its controller, if it is one.
    pub controller: Option<ControllerInspection>,
}

/// One look at a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControllerInspection {
    /// Whether it is the active one.
    pub active: bool,
    /// Its term, which is the controller epoch.
    pub term: u64,
}

/// Takes looks at a node. Reads no clock and needs no runtime, so that a simulation can call it between two steps.
pub type Inspector = Arc<dyn Fn() -> NodeInspection + Send + Sync>;

/// The parts that are looked at.
pub(crate) struct Inspected {
    pub(crate) node: BrokerId,
    pub(crate) link: Option<BrokerLink>,
    pub(crate) replicas: Option<Arc<Replicas>>,
    pub(crate) controller: Option<ControllerNode>,
}

impl Inspected {
    pub(crate) fn look(&self) -> NodeInspection {
        let controller = self.controller.as_ref();
        let image = match (&self.link, controller) {
            (Some(link), _) => link.metadata().load(),
            (None, Some(controller)) => controller.image(),
            (None, None) => Arc::new(MetadataImage::empty()),
        };
        NodeInspection {
            node: self.node,
            broker_epoch: self.link.as_ref().map_or(BrokerEpoch::NONE, BrokerLink::broker_epoch),
            lease_until: self.link.as_ref().map_or(MonoMs(0), BrokerLink::lease_until),
            image,
            replicas: self.replicas.as_ref().map_or_else(Vec::new, |replicas| replicas.statuses()),
            controller: controller.map(|controller| ControllerInspection {
                active: controller.is_active(),
                term: controller.active_controller().1.0,
            }),
        }
    }
}
