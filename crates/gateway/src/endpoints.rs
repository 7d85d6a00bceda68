//! Where brokers can be reached, as the client of one listener sees it.

use std::collections::BTreeSet;

use highwater_metadata::{BrokerRegistration, Endpoint, MetadataImage, PartitionImage};
use highwater_protocol::{LeaderIdAndEpoch, NodeEndpoint};
use highwater_types::{BrokerId, TopicIdPartition};

/// Unfenced brokers that have the listener, in ascending order of id.
pub(crate) fn alive_brokers<'a>(
    image: &'a MetadataImage,
    listener: &'a str,
) -> impl Iterator<Item = (&'a BrokerRegistration, &'a Endpoint)> {
    brokers_at(image, listener).filter(|(broker, _)| !broker.fenced)
}

/// The brokers to list for a client on that listener, in ascending order of id: the unfenced ones and those of `others`, or all that
/// are registered if none is unfenced. A client that forgets who is not listed must be left with somebody to ask: librdkafka 2 asks
/// nobody ever after.
pub(crate) fn listed_brokers<'a>(
    image: &'a MetadataImage,
    listener: &'a str,
    others: &[BrokerId],
) -> impl Iterator<Item = (&'a BrokerRegistration, &'a Endpoint)> {
    let is_anybody_alive = alive_brokers(image, listener).next().is_some();
    brokers_at(image, listener)
        .filter(move |(broker, _)| !broker.fenced || !is_anybody_alive || others.contains(&broker.id))
}

/// Registered brokers that have the listener, in ascending order of id.
fn brokers_at<'a>(
    image: &'a MetadataImage,
    listener: &'a str,
) -> impl Iterator<Item = (&'a BrokerRegistration, &'a Endpoint)> {
    image.brokers().filter_map(move |broker| broker.listener(listener).map(|endpoint| (&**broker, endpoint)))
}

/// The endpoint of an unfenced broker on that listener.
pub(crate) fn alive_endpoint<'a>(image: &'a MetadataImage, broker: BrokerId, listener: &str) -> Option<&'a Endpoint> {
    image.broker(broker).filter(|broker| !broker.fenced)?.listener(listener)
}

/// Replicas of the partition that a client on that listener cannot reach, or whose log directory is offline.
pub(crate) fn offline_replicas(image: &MetadataImage, partition: &PartitionImage, listener: &str) -> Vec<BrokerId> {
    let is_offline =
        |&id: &BrokerId| alive_endpoint(image, id, listener).is_none() || !image.has_online_directory(partition, id);
    partition.replicas.iter().copied().filter(is_offline).collect()
}

/// Replicas of the partition in that rack that a client on that listener can reach, its leader left out.
pub(crate) fn followers_in_rack(
    image: &MetadataImage,
    partition: TopicIdPartition,
    rack: &str,
    listener: &str,
) -> Vec<BrokerId> {
    let Some(partition) = image.topic_partition(partition) else { return Vec::new() };
    let is_there = |id: BrokerId| image.broker(id).is_some_and(|broker| broker.rack.as_deref() == Some(rack));
    let is_candidate =
        |&id: &BrokerId| id != partition.leader && is_there(id) && alive_endpoint(image, id, listener).is_some();
    partition.replicas.iter().copied().filter(is_candidate).collect()
}

/// The broker that a client should take for the controller. Brokers forward what only the controller can do, so any will
/// do (as in KRaft mode of Kafka): this one, or while it is fenced the first that is not.
pub(crate) fn controller_for_clients(image: &MetadataImage, this: BrokerId, listener: &str) -> BrokerId {
    if alive_endpoint(image, this, listener).is_some() {
        return this;
    }
    alive_brokers(image, listener).next().map_or(BrokerId::NONE, |(broker, _)| broker.id)
}

/// Leaders to teach a client in error answers (KIP-951), with their endpoints, each once.
pub(crate) struct LeaderHints<'a> {
    image: &'a MetadataImage,
    listener: &'a str,
    named: BTreeSet<BrokerId>,
}

impl<'a> LeaderHints<'a> {
    /// No hints yet.
    pub(crate) fn new(image: &'a MetadataImage, listener: &'a str) -> Self {
        Self { image, listener, named: BTreeSet::new() }
    }

    /// The leader of the partition; `None` if there is none that the client could reach.
    pub(crate) fn leader(&mut self, partition: TopicIdPartition) -> Option<LeaderIdAndEpoch> {
        let partition = self.image.topic_partition(partition)?;
        alive_endpoint(self.image, partition.leader, self.listener)?;
        self.named.insert(partition.leader);
        Some(LeaderIdAndEpoch { leader_id: partition.leader, leader_epoch: partition.leader_epoch })
    }

    /// Endpoints of all leaders named.
    pub(crate) fn into_endpoints(self) -> Vec<NodeEndpoint> {
        let endpoint = |id: &BrokerId| {
            let endpoint = alive_endpoint(self.image, *id, self.listener)?;
            let rack = self.image.broker(*id).and_then(|broker| broker.rack.clone());
            Some(NodeEndpoint { node_id: *id, host: endpoint.host.clone(), port: endpoint.port.into(), rack })
        };
        self.named.iter().filter_map(endpoint).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
