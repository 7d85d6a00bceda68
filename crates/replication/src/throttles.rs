//! Which replicas catch up at a limited rate, and at which (KIP-73).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater_metadata::config::REASSIGNMENT_THROTTLE;
use highwater_metadata::{ConfigResource, MetadataImage, PartitionImage, StaticBrokerConfig};
use highwater_types::{BrokerId, PartitionIndex};

use crate::throttle::Throttle;
use crate::topic_settings::TopicSettings;

const LEADER_RATE: &str = "leader.replication.throttled.rate";
const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";

/// The rates of one broker. They hold for streams of throttled replicas only.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    /// Of what is sent to followers.
    pub leader: Arc<Throttle>,
    /// Of what is taken in from leaders.
    pub follower: Arc<Throttle>,
    /// Whether replicas that `follower.replication.throttled.replicas` lists have a rate here.
    listed: AtomicBool,
    /// Whether replicas that reassignments add have one.
    added: AtomicBool,
}

impl Throttles {
    /// Takes the rates over that are configured for the broker of `node`.
    pub fn update(&self, image: &MetadataImage, node: &StaticBrokerConfig) {
        let rate = |key| rate(image.broker_value(key, node).as_deref());
        let (leader, follower, added) = (rate(LEADER_RATE), rate(FOLLOWER_RATE), rate(REASSIGNMENT_THROTTLE));
        self.leader.set_rate(leader.min(added));
        self.follower.set_rate(follower.min(added));
        self.listed.store(follower < u64::MAX, Ordering::Relaxed);
        self.added.store(added < u64::MAX, Ordering::Relaxed);
    }

    /// Whether the replica of a partition on broker `here` is to catch up at a limited rate: because its topic lists it or its
    /// leader, and that broker has a rate, or because a reassignment adds it.
    pub fn is_throttled(
        &self,
        image: &MetadataImage,
        here: BrokerId,
        settings: &TopicSettings,
        (index, partition): (PartitionIndex, &PartitionImage),
    ) -> bool {
        let (leaders, followers) = &settings.throttled;
        (self.added.load(Ordering::Relaxed) && partition.adding.contains(&here))
            || (self.listed.load(Ordering::Relaxed) && followers.contains(index, here))
            || (leaders.contains(index, partition.leader) && has_leader_rate(image, partition.leader))
    }
}

/// Whether that broker has a dynamic `leader.replication.throttled.rate`. What is in its file, others do not know.
fn has_leader_rate(image: &MetadataImage, leader: BrokerId) -> bool {
    let layers = [ConfigResource::Broker(leader), ConfigResource::DefaultBroker];
    let value = layers.iter().find_map(|resource| image.configs(resource)?.get(LEADER_RATE));
    rate(value.map(String::as_str)) < u64::MAX
}

/// Bytes per second; `u64::MAX` for no limit.
fn rate(value: Option<&str>) -> u64 {
    let rate = value.and_then(|text| text.trim().parse::<i64>().ok()).filter(|rate| *rate < i64::MAX);
    rate.map_or(u64::MAX, |rate| u64::try_from(rate).unwrap_or(0))
}
