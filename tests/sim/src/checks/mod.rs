//! The invariants, one file each family, checked after every tick on a consistent view of all running nodes.

mod controllers;
mod epochs;
mod high_watermark;
mod metadata;
mod promises;

use anyhow::Result;
use highwater_broker::NodeInspection;
use highwater_metadata::MetadataImage;
use highwater_types::MonoMs;

use crate::history::{Acknowledged, History};

/// All running nodes at one instant.
pub struct View<'a> {
    pub nodes: &'a [NodeInspection],
    /// The newest committed metadata that any running node has.
    pub newest: &'a MetadataImage,
    /// The nodes' monotonic clocks.
    pub now: MonoMs,
    /// Acknowledgements since the last tick.
    pub acknowledged: &'a [Acknowledged],
}

/// The memory of all checks.
#[derive(Default)]
pub struct Checks {
    controllers: controllers::Controllers,
    epochs: epochs::Epochs,
    high_watermark: high_watermark::HighWatermark,
    metadata: metadata::Metadata,
    promises: promises::Promises,
    newest: Option<std::sync::Arc<MetadataImage>>,
    acknowledged_seen: usize,
}

impl Checks {
    /// Whether something was acknowledged that was not checked yet.
    pub fn awaits(&self, history: &History) -> bool {
        history.acknowledgements() > self.acknowledged_seen
    }

    /// Checks everything that must hold at every moment.
    pub fn after_tick(&mut self, nodes: &[NodeInspection], now: MonoMs, history: &History) -> Result<()> {
        for node in nodes {
            if self.newest.as_ref().is_none_or(|newest| newest.offset() < node.image.offset()) {
                self.newest = Some(node.image.clone());
            }
        }
        let Some(newest) = self.newest.clone() else { return Ok(()) };
        let acknowledged = history.acknowledgements_since(self.acknowledged_seen);
        self.acknowledged_seen += acknowledged.len();
        let view = View { nodes, newest: &newest, now, acknowledged: &acknowledged };
        self.controllers.check(&view)?;
        self.metadata.check(&view)?;
        self.epochs.check(&view)?;
        self.high_watermark.check(&view)?;
        self.promises.check(&view)
    }
}
