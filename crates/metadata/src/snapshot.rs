//! Images as records, for snapshots and for brokers that start to follow; and what differs between two images.

use std::collections::BTreeSet;

use highwater_types::{BrokerEpoch, BrokerId, MetadataOffset, ProducerId, TopicId};
use imbl::ordmap::DiffItem;

use crate::{MetadataDelta, MetadataImage, MetadataRecord, TopicImage};

impl MetadataImage {
    /// Records that, loaded by [`Self::from_snapshot`], make an equal image. In a fixed order.
    pub fn to_snapshot(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        if !self.cluster_id.is_empty() {
            records.push(MetadataRecord::ClusterId(self.cluster_id.clone()));
        }
        let features = self.features.iter();
        records.extend(features.map(|(name, &level)| MetadataRecord::FeatureLevel { name: name.clone(), level }));
        records.extend(self.controllers.values().cloned().map(MetadataRecord::RegisterController));
        records.extend(self.brokers.values().map(|broker| MetadataRecord::RegisterBroker((**broker).clone())));
        for topic in self.topics.values() {
            records.push(MetadataRecord::Topic { name: topic.name.clone(), id: topic.id });
            records.extend(topic.iter().map(|(partition, state)| MetadataRecord::Partition {
                topic_id: topic.id,
                partition,
                state: (**state).clone(),
            }));
        }
        for (resource, values) in &self.configs {
            records.extend(values.iter().map(|(name, value)| MetadataRecord::Config {
                resource: resource.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            }));
        }
        if self.next_producer_id > ProducerId(0) {
            let (broker, broker_epoch) = (BrokerId::NONE, BrokerEpoch::NONE);
            records.push(MetadataRecord::ProducerIds { broker, broker_epoch, next: self.next_producer_id });
        }
        records
    }

    /// The image of a snapshot that was taken at `offset`.
    ///
    /// # Panics
    /// If the records are not those of [`Self::to_snapshot`]: whoever stores them must check that they are whole.
    pub fn from_snapshot(records: &[MetadataRecord], offset: MetadataOffset) -> Self {
        let mut image = Self::empty();
        let mut delta = MetadataDelta::default();
        for record in records {
            image.apply_one(record, &mut delta);
        }
        image.offset = offset;
        image
    }

    /// What changed since `earlier`, found by comparing: for a node that jumps to a snapshot. Parts that both images share
    /// are skipped.
    pub fn delta_since(&self, earlier: &Self) -> MetadataDelta {
        let mut delta = MetadataDelta {
            from: earlier.offset,
            to: self.offset,
            brokers: changed_keys(earlier.brokers.diff(&self.brokers)),
            controllers: changed_keys(earlier.controllers.diff(&self.controllers)),
            configs: changed_keys(earlier.configs.diff(&self.configs)),
            features: earlier.features != self.features || earlier.cluster_id != self.cluster_id,
            producer_ids: earlier.next_producer_id != self.next_producer_id,
            ..MetadataDelta::default()
        };
        delta.configs.retain(|resource| match resource {
            crate::ConfigResource::Topic(name) => self.topic_ids.contains_key(name),
            _ => true,
        });
        for item in earlier.topics.diff(&self.topics) {
            match item {
                DiffItem::Add(&id, topic) => {
                    delta.created_topics.insert(id);
                    delta.partitions_changed(id, topic, None);
                }
                DiffItem::Remove(&id, topic) => {
                    delta.deleted_topics.insert(id, topic.clone());
                }
                DiffItem::Update { old: (_, old), new: (&id, new) } => delta.partitions_changed(id, new, Some(old)),
            }
        }
        delta
    }
}

impl MetadataDelta {
    fn partitions_changed(&mut self, id: TopicId, new: &TopicImage, old: Option<&TopicImage>) {
        let is_changed = |index| old.and_then(|old| old.partition(index)) != new.partition(index);
        let changed: BTreeSet<_> = new.iter().map(|(index, _)| index).filter(|&index| is_changed(index)).collect();
        if !changed.is_empty() {
            self.changed_partitions.insert(id, changed);
        }
    }
}

fn changed_keys<'a, K: Ord + Clone + 'a, V: PartialEq + 'a>(
    items: impl Iterator<Item = DiffItem<'a, 'a, K, V>>,
) -> BTreeSet<K> {
    items
        .map(|item| match item {
            DiffItem::Add(key, _) | DiffItem::Remove(key, _) | DiffItem::Update { new: (key, _), .. } => key.clone(),
        })
        .collect()
}
