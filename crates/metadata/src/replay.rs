//! Replay: records into images. The one place where the image changes.

use std::sync::Arc;

use highwater_types::{BrokerId, MetadataOffset, PartitionIndex, ProducerId, TopicId, TopicName};
use imbl::Vector;
use thin_vec::ThinVec;

use crate::{
    BrokerChange, BrokerRegistration, ConfigResource, LeaderRecoveryState, MetadataDelta, MetadataImage,
    MetadataRecord, PartitionChange, PartitionImage, TopicImage,
};

/// Stops the process when a record does not fit the image.
macro_rules! fits {
    ($condition:expr, $($message:tt)+) => {
        assert!($condition, "metadata record does not fit the image: {}", format_args!($($message)+))
    };
}

impl MetadataImage {
    /// The image after `records`, of which the last ends at `new_offset`, and what changed.
    ///
    /// # Panics
    /// If a record does not fit: records are produced by the deciding code over this very image, so that is a bug, and a
    /// node that went on would disagree with the others.
    #[must_use]
    pub fn apply(&self, records: &[MetadataRecord], new_offset: MetadataOffset) -> (Self, MetadataDelta) {
        let count = i64::try_from(records.len()).expect("fewer than 2^63 records");
        fits!(
            new_offset.get() == self.offset.get() + count,
            "{count} records on top of offset {} cannot end at {new_offset}",
            self.offset
        );
        let mut image = self.clone();
        let mut delta = MetadataDelta { from: self.offset, to: new_offset, ..MetadataDelta::default() };
        for record in records {
            image.apply_one(record, &mut delta);
            image.offset = MetadataOffset(image.offset.get() + 1);
        }
        (image, delta)
    }

    pub(crate) fn apply_one(&mut self, record: &MetadataRecord, delta: &mut MetadataDelta) {
        match record {
            MetadataRecord::NoOp | MetadataRecord::Event(_) => {}
            MetadataRecord::ClusterId(id) => {
                fits!(self.cluster_id.is_empty(), "cluster id {id} after {}", self.cluster_id);
                fits!(!id.is_empty(), "an empty cluster id");
                self.cluster_id.clone_from(id);
                delta.features = true;
            }
            MetadataRecord::FeatureLevel { name, level } => {
                if *level == 0 {
                    fits!(self.features.remove(name).is_some(), "feature {name} is not there to be removed");
                } else {
                    self.features.insert(name.clone(), *level);
                }
                delta.features = true;
            }
            MetadataRecord::RegisterController(registration) => {
                self.controllers.insert(registration.id, registration.clone());
                delta.controllers.insert(registration.id);
            }
            MetadataRecord::UnregisterController { id } => {
                fits!(self.controllers.remove(id).is_some(), "controller {id} is not registered");
                delta.controllers.insert(*id);
            }
            MetadataRecord::RegisterBroker(registration) => self.register_broker(registration, delta),
            MetadataRecord::BrokerChange(change) => self.change_broker(change, delta),
            MetadataRecord::UnregisterBroker { id, epoch } => {
                let removed = self.brokers.remove(id);
                fits!(
                    removed.is_some_and(|broker| broker.epoch == *epoch),
                    "broker {id} is not registered with epoch {epoch}"
                );
                delta.brokers.insert(*id);
            }
            MetadataRecord::Topic { name, id } => self.add_topic(name, *id, delta),
            MetadataRecord::Partition { topic_id, partition, state } => {
                self.add_partition(*topic_id, *partition, state, delta)
            }
            MetadataRecord::PartitionChange(change) => self.change_partition(change, delta),
            MetadataRecord::RemoveTopic { id } => self.remove_topic(*id, delta),
            MetadataRecord::Config { resource, name, value } => {
                self.change_config(resource, name, value.as_deref(), delta)
            }
            MetadataRecord::ProducerIds { next, .. } => {
                fits!(*next > self.next_producer_id, "next producer id {next} is not after {}", self.next_producer_id);
                self.next_producer_id = ProducerId(next.get());
                delta.producer_ids = true;
            }
        }
    }

    fn register_broker(&mut self, registration: &BrokerRegistration, delta: &mut MetadataDelta) {
        let (id, epoch) = (registration.id, registration.epoch);
        fits!(id >= BrokerId(0), "broker id {id} is negative");
        if let Some(present) = self.brokers.get(&id) {
            fits!(
                epoch > present.epoch,
                "broker {id} registers with epoch {epoch}, which is not after {}",
                present.epoch
            );
        }
        self.brokers.insert(id, Arc::new(registration.clone()));
        delta.brokers.insert(id);
    }

    fn change_broker(&mut self, change: &BrokerChange, delta: &mut MetadataDelta) {
        let BrokerChange { id, epoch, fenced, in_controlled_shutdown, ref log_dirs, ref software } = *change;
        let Some(broker) = self.brokers.get_mut(&id) else {
            panic!("metadata record does not fit the image: no broker {id} to change")
        };
        fits!(broker.epoch == epoch, "change of broker {id} at epoch {epoch}, which is at {}", broker.epoch);
        let broker = Arc::make_mut(broker);
        broker.fenced = fenced.unwrap_or(broker.fenced);
        broker.in_controlled_shutdown = in_controlled_shutdown.unwrap_or(broker.in_controlled_shutdown);
        if let Some(log_dirs) = log_dirs {
            broker.log_dirs.clone_from(log_dirs);
        }
        if let Some(software) = software {
            broker.software.clone_from(software);
        }
        delta.brokers.insert(id);
    }

    fn add_topic(&mut self, name: &TopicName, id: TopicId, delta: &mut MetadataDelta) {
        fits!(!id.is_zero(), "topic {name} has no id");
        fits!(!self.topic_ids.contains_key(name), "topic {name} exists");
        fits!(!self.topics.contains_key(&id), "topic id {id} exists");
        self.topic_ids.insert(name.clone(), id);
        self.topics.insert(id, Arc::new(TopicImage { name: name.clone(), id, partitions: Vector::new() }));
        delta.created_topics.insert(id);
    }

    fn topic_mut(&mut self, id: TopicId) -> &mut TopicImage {
        let Some(topic) = self.topics.get_mut(&id) else {
            panic!("metadata record does not fit the image: no topic {id}")
        };
        Arc::make_mut(topic)
    }

    fn add_partition(
        &mut self,
        topic_id: TopicId,
        index: PartitionIndex,
        state: &PartitionImage,
        delta: &mut MetadataDelta,
    ) {
        let topic = self.topic_mut(topic_id);
        let next = PartitionIndex(topic.partition_count());
        fits!(index == next, "partition {index} of topic {} added where {next} is next", topic.name);
        if let Some(defect) = state.defect() {
            panic!("metadata record does not fit the image: partition {}-{index}: {defect}", topic.name);
        }
        topic.partitions.push_back(Arc::new(state.clone()));
        delta.changed_partitions.entry(topic_id).or_default().insert(index);
    }

    fn change_partition(&mut self, change: &PartitionChange, delta: &mut MetadataDelta) {
        let topic = self.topic_mut(change.topic_id);
        let (name, index) = (topic.name.clone(), change.partition);
        let position = usize::try_from(index.get()).ok();
        let Some(partition) = position.and_then(|position| topic.partitions.get_mut(position)) else {
            panic!("metadata record does not fit the image: no partition {name}-{index}")
        };
        let before = Arc::clone(partition);
        let after = Arc::make_mut(partition);
        after.change(change);
        if let Some(defect) = after.defect() {
            panic!("metadata record does not fit the image: partition {name}-{index}: {defect}");
        }
        fits!(
            after.partition_epoch > before.partition_epoch,
            "partition {name}-{index}: partition epoch {} is not after {}",
            after.partition_epoch,
            before.partition_epoch
        );
        fits!(
            after.leader_epoch >= before.leader_epoch
                && (after.leader == before.leader || after.leader_epoch > before.leader_epoch),
            "partition {name}-{index}: leader {} epoch {} after leader {} epoch {}",
            after.leader,
            after.leader_epoch,
            before.leader,
            before.leader_epoch
        );
        delta.elections += u64::from(after.has_leader() && after.leader != before.leader);
        // A leader that joined the ISR in this very change, which ended a reassignment, is not marked as recovering.
        if after.leader_recovery == LeaderRecoveryState::Recovering
            && after.has_leader()
            && after.leader != before.leader
            && !before.is_eligible(after.leader)
        {
            after.unclean_epoch = after.leader_epoch;
            delta.unclean_elections += 1;
        }
        delta.changed_partitions.entry(change.topic_id).or_default().insert(index);
    }

    fn remove_topic(&mut self, id: TopicId, delta: &mut MetadataDelta) {
        let Some(topic) = self.topics.remove(&id) else {
            panic!("metadata record does not fit the image: no topic {id} to remove")
        };
        self.topic_ids.remove(&topic.name);
        let resource = ConfigResource::Topic(topic.name.clone());
        self.configs.remove(&resource);
        delta.configs.remove(&resource);
        delta.changed_partitions.remove(&id);
        if !delta.created_topics.remove(&id) {
            delta.deleted_topics.insert(id, topic);
        }
    }

    fn change_config(&mut self, resource: &ConfigResource, name: &str, value: Option<&str>, delta: &mut MetadataDelta) {
        if let ConfigResource::Topic(topic) = resource {
            fits!(self.topic_ids.contains_key(topic), "configuration {name} of topic {topic}, which does not exist");
        }
        let mut values = self.configs.get(resource).map(|values| (**values).clone()).unwrap_or_default();
        match value {
            Some(value) => {
                values.insert(name.to_owned(), value.to_owned());
            }
            None => {
                fits!(values.remove(name).is_some(), "configuration {name} of {resource} is not there to be removed")
            }
        }
        if values.is_empty() {
            self.configs.remove(resource);
        } else {
            self.configs.insert(resource.clone(), Arc::new(values));
        }
        delta.configs.insert(resource.clone());
    }
}

impl PartitionImage {
    /// Whether the broker is known to hold all that is committed.
    fn is_eligible(&self, id: BrokerId) -> bool {
        self.isr.contains(&id) || self.elr.contains(&id)
    }

    /// Takes over the fields that are present in `change`.
    fn change(&mut self, change: &PartitionChange) {
        fn set<T: Clone>(field: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        fn set_thin(field: &mut ThinVec<BrokerId>, value: Option<&Vec<BrokerId>>) {
            if let Some(value) = value {
                *field = value.as_slice().into();
            }
        }
        set(&mut self.replicas, change.replicas.as_ref());
        set(&mut self.directories, change.directories.as_ref());
        set(&mut self.isr, change.isr.as_ref());
        set_thin(&mut self.elr, change.elr.as_ref());
        set_thin(&mut self.last_known_elr, change.last_known_elr.as_ref());
        set_thin(&mut self.adding, change.adding.as_ref());
        set_thin(&mut self.removing, change.removing.as_ref());
        set(&mut self.leader, change.leader.as_ref());
        set(&mut self.leader_recovery, change.leader_recovery.as_ref());
        self.leader_epoch = change.leader_epoch;
        self.partition_epoch = change.partition_epoch;
    }
}
