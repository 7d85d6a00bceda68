//! M1: at most one active controller in a term. M4 follows with M2: what a deposed controller decides is never in any image.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use highwater_types::BrokerId;

use super::View;

#[derive(Default)]
pub struct Controllers {
    active: BTreeMap<u64, BrokerId>,
}

impl Controllers {
    pub fn check(&mut self, view: &View<'_>) -> Result<()> {
        for node in view.nodes {
            if let Some(controller) = node.controller.as_ref().filter(|controller| controller.active) {
                let known = *self.active.entry(controller.term).or_insert(node.node);
                ensure!(
                    known == node.node,
                    "M1: {known} and {} are active controllers in term {}",
                    node.node,
                    controller.term
                );
            }
        }
        Ok(())
    }
}
