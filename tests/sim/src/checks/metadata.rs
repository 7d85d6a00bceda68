//! M2 and M6: one image per metadata offset, on every node. M3: broker epochs strictly increase. M5: a fenced broker leads
//! nothing and is in no ISR. M8: topic ids are never reused. A rate of reassignments does not outlive them.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use highwater_metadata::MetadataImage;
use highwater_metadata::config::REASSIGNMENT_THROTTLE;
use highwater_types::{BrokerEpoch, BrokerId, MetadataOffset, TopicId, TopicName};

use super::View;

#[derive(Default)]
pub struct Metadata {
    hashes: BTreeMap<MetadataOffset, u64>,
    seen: BTreeMap<BrokerId, MetadataOffset>,
    epochs: BTreeMap<BrokerId, (MetadataOffset, BrokerEpoch)>,
    topics: BTreeMap<TopicId, TopicName>,
}

impl Metadata {
    pub fn check(&mut self, view: &View<'_>) -> Result<()> {
        for node in view.nodes {
            let offset = node.image.offset();
            if self.seen.insert(node.node, offset) == Some(offset) {
                continue;
            }
            let hash = node.image.hash();
            let known = *self.hashes.entry(offset).or_insert(hash);
            ensure!(known == hash, "M2: node {} has another image at metadata offset {offset}", node.node);
            self.check_image(&node.image)?;
        }
        Ok(())
    }

    fn check_image(&mut self, image: &MetadataImage) -> Result<()> {
        for broker in image.brokers() {
            let entry = self.epochs.entry(broker.id).or_insert((image.offset(), broker.epoch));
            if image.offset() > entry.0 {
                ensure!(
                    broker.epoch >= entry.1,
                    "M3: epoch of broker {} fell from {} to {}",
                    broker.id,
                    entry.1,
                    broker.epoch
                );
                *entry = (image.offset(), broker.epoch);
            }
        }
        for topic in image.topics() {
            let known = self.topics.entry(topic.id).or_insert_with(|| topic.name.clone());
            ensure!(*known == topic.name, "M8: id {} was {known} and is {}", topic.id, topic.name);
            for (index, partition) in topic.iter() {
                let place = || format!("{}-{index} at metadata offset {}", topic.name, image.offset());
                if partition.leader != BrokerId::NONE {
                    ensure!(
                        image.is_unfenced(partition.leader),
                        "M5: fenced broker {} leads {}",
                        partition.leader,
                        place()
                    );
                    ensure!(
                        partition.isr.contains(&partition.leader),
                        "leader {} outside the ISR of {}",
                        partition.leader,
                        place()
                    );
                }
                ensure!(
                    partition.isr.iter().all(|member| image.is_unfenced(*member)),
                    "M5: a fenced broker is in the ISR {:?} of {}",
                    partition.isr,
                    place()
                );
                if let Some(defect) = partition.defect() {
                    bail!("{defect}: {}", place());
                }
            }
        }
        let limited = image.broker_configs().find(|(_, values)| values.contains_key(REASSIGNMENT_THROTTLE));
        let moves = || image.topics().any(|topic| topic.iter().any(|(_, partition)| partition.is_reassigning()));
        ensure!(limited.is_none() || moves(), "nothing is reassigned, at a limited rate: {limited:?}");
        Ok(())
    }
}
