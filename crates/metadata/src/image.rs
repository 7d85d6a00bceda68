//! The state of the cluster at one offset of the metadata log.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use highwater_types::TopicName;
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, MetadataOffset, PartitionIndex, ProducerId, TopicId, TopicIdPartition,
};
use imbl::OrdMap;

use crate::fnv::Fnv1a;
use crate::{BrokerRegistration, ConfigResource, ControllerRegistration, PartitionImage, TopicImage};

/// An immutable picture of the cluster. Cloning is cheap, and so is a changed copy: unchanged parts are shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MetadataImage {
    /// Records applied so far; the position of the next one.
    pub(crate) offset: MetadataOffset,
    /// Empty until the first record.
    pub(crate) cluster_id: String,
    pub(crate) features: BTreeMap<String, i16>,
    pub(crate) controllers: OrdMap<BrokerId, ControllerRegistration>,
    pub(crate) brokers: OrdMap<BrokerId, Arc<BrokerRegistration>>,
    pub(crate) topics: OrdMap<TopicId, Arc<TopicImage>>,
    /// One entry per topic of `topics`.
    pub(crate) topic_ids: OrdMap<TopicName, TopicId>,
    /// No entry is empty.
    pub(crate) configs: OrdMap<ConfigResource, Arc<BTreeMap<String, String>>>,
    pub(crate) next_producer_id: ProducerId,
}

impl MetadataImage {
    /// The image before the first record.
    pub fn empty() -> Self {
        Self::default()
    }

    /// How many records made this image: the offset of the next record.
    pub fn offset(&self) -> MetadataOffset {
        self.offset
    }

    /// The cluster id; `None` before bootstrap.
    pub fn cluster_id(&self) -> Option<&str> {
        (!self.cluster_id.is_empty()).then_some(self.cluster_id.as_str())
    }

    /// Finalized features with their levels (KIP-584).
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// Voters with their metadata directories, in ascending order of id.
    pub fn controllers(&self) -> impl Iterator<Item = &ControllerRegistration> {
        self.controllers.values()
    }

    /// The voter of that id.
    pub fn controller(&self, id: BrokerId) -> Option<&ControllerRegistration> {
        self.controllers.get(&id)
    }

    /// All registered brokers, fenced ones too, in ascending order of id.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values()
    }

    /// The broker of that id, fenced or not.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// The broker's epoch, or [`BrokerEpoch::NONE`] when it is not registered.
    pub fn broker_epoch(&self, id: BrokerId) -> BrokerEpoch {
        self.broker(id).map_or(BrokerEpoch::NONE, |broker| broker.epoch)
    }

    /// Whether the broker is registered and not fenced: clients may be sent to it.
    pub fn is_unfenced(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| !broker.fenced)
    }

    /// The same with that broker fenced, if it is registered.
    pub fn with_fenced(&self, id: BrokerId) -> Self {
        let mut image = self.clone();
        if let Some(broker) = image.brokers.get_mut(&id) {
            Arc::make_mut(broker).fenced = true;
        }
        image
    }

    /// Whether the broker may become leader and join ISRs: registered, not fenced, not about to stop.
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| broker.is_active())
    }

    /// Whether the log directory of a replica is in service, as far as its broker told (KIP-858). One that was not told yet
    /// counts as in service.
    pub fn has_online_directory(&self, partition: &PartitionImage, id: BrokerId) -> bool {
        let position = partition.replicas.iter().position(|&other| other == id);
        let (Some(position), Some(broker)) = (position, self.broker(id)) else { return false };
        let directory = partition.directories[position];
        directory == DirectoryId::UNASSIGNED || broker.log_dirs.contains(&directory)
    }

    /// Whether the replica may lead the partition and join its ISR: its broker is active, and its directory in service.
    pub fn is_replica_active(&self, partition: &PartitionImage, id: BrokerId) -> bool {
        self.is_active(id) && self.has_online_directory(partition, id)
    }

    /// All topics, in ascending order of id.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }

    /// All topics, in ascending order of name.
    pub fn topics_by_name(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topic_ids.values().map(|id| &self.topics[id])
    }

    /// Topics from `name` on, in ascending order of name; for paging.
    pub fn topics_by_name_from<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<TopicImage>> {
        self.topic_ids
            .range::<_, str>((std::ops::Bound::Included(name), std::ops::Bound::Unbounded))
            .map(|(_, id)| &self.topics[id])
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The topic of that id.
    pub fn topic(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(&id)
    }

    /// The topic of that name. Any text may be asked for.
    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topic_ids.get(name).map(|id| &self.topics[id])
    }

    /// The id of the topic of that name.
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topic_ids.get(name).copied()
    }

    /// The partition of that topic and index.
    pub fn partition(&self, id: TopicId, index: PartitionIndex) -> Option<&Arc<PartitionImage>> {
        self.topics.get(&id).and_then(|topic| topic.partition(index))
    }

    /// The partition of that key.
    pub fn topic_partition(&self, key: TopicIdPartition) -> Option<&Arc<PartitionImage>> {
        self.partition(key.topic_id, key.partition)
    }

    /// The dynamic values of a resource; `None` when it has none.
    pub fn configs(&self, resource: &ConfigResource) -> Option<&BTreeMap<String, String>> {
        self.configs.get(resource).map(|values| &**values)
    }

    /// The dynamic values of brokers, and of all that have none of their own.
    pub fn broker_configs(&self) -> impl Iterator<Item = (&ConfigResource, &BTreeMap<String, String>)> {
        let first = ConfigResource::DefaultBroker;
        self.configs
            .range(first..=ConfigResource::Broker(BrokerId(i32::MAX)))
            .map(|(resource, values)| (resource, &**values))
    }

    /// Resources that have dynamic values, in ascending order.
    pub fn configured_resources(&self) -> impl Iterator<Item = &ConfigResource> {
        self.configs.keys()
    }

    /// First producer id that was not handed out yet.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// A hash of everything in the image: equal on every node that applied the same records (M2). Walks the whole image.
    pub fn hash(&self) -> u64 {
        let mut hasher = Fnv1a::new();
        Hash::hash(self, &mut hasher);
        hasher.finish()
    }
}
