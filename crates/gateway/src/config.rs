//! What the gateway is told once, at start.

use std::time::Duration;

use highwater_metadata::StaticBrokerConfig;
use highwater_types::BrokerId;
use highwater_types::limits::DEFAULT_MAX_REQUEST_BYTES;

/// One socket clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Listener name as in `listeners`, upper case. Clients that come in here are told the advertised listeners of this
    /// name of all brokers.
    pub name: String,
    /// `host:port` to bind; port 0 takes a free one.
    pub bind: String,
}

/// Settings of the gateway. Topic and dynamic broker configuration is not here: it is read from the metadata.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// Client listeners, not empty.
    pub listeners: Vec<ListenerConfig>,
    /// The broker's own properties: defaults under the dynamic configuration in the metadata.
    pub static_config: StaticBrokerConfig,
    /// `socket.request.max.bytes`.
    pub max_request_bytes: usize,
    /// `max.connections`, over all listeners: further connections wait to be accepted.
    pub max_connections: usize,
    /// `max.connections.per.ip`: further connections are closed at once.
    pub max_connections_per_ip: usize,
    /// `connections.max.idle.ms`; zero is never.
    pub max_idle: Duration,
    /// `fetch.max.bytes`: most record bytes in one fetch response, whatever the client asks for.
    pub fetch_max_bytes: usize,
    /// `max.incremental.fetch.session.cache.slots`: most fetch sessions of clients that are kept (KIP-227).
    pub fetch_session_cache_slots: usize,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Whether `replica.selector.class` is Kafka's RackAwareReplicaSelector: a client in another rack is sent to a follower in
    /// its own (KIP-392).
    pub rack_aware_reads: bool,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `num.partitions`: partitions of automatically created topics.
    pub num_partitions: i32,
    /// `default.replication.factor`: replicas of automatically created topics.
    pub default_replication_factor: i16,
    /// `offsets.topic.num.partitions`.
    pub offsets_topic_num_partitions: i32,
    /// `offsets.topic.replication.factor`.
    pub offsets_topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub offsets_topic_segment_bytes: i32,
    /// `max.request.partition.size.limit`: most partitions in one answer of DescribeTopicPartitions.
    pub max_request_partition_size_limit: i32,
}

impl GatewayConfig {
    /// Kafka's defaults.
    pub fn new(node_id: BrokerId, listeners: Vec<ListenerConfig>, static_config: StaticBrokerConfig) -> Self {
        Self {
            node_id,
            listeners,
            static_config,
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            max_connections: i32::MAX as usize,
            max_connections_per_ip: i32::MAX as usize,
            max_idle: Duration::from_secs(600),
            fetch_max_bytes: 55 * 1024 * 1024,
            fetch_session_cache_slots: 1000,
            rack: None,
            rack_aware_reads: false,
            auto_create_topics: true,
            num_partitions: 1,
            default_replication_factor: 1,
            offsets_topic_num_partitions: 50,
            offsets_topic_replication_factor: 3,
            offsets_topic_segment_bytes: 100 * 1024 * 1024,
            max_request_partition_size_limit: 2000,
        }
    }

    /// Whether a client in that rack, empty for none, should rather read from a follower in its own.
    pub(crate) fn sends_to_rack(&self, rack: &str) -> bool {
        self.rack_aware_reads && !rack.is_empty() && self.rack.as_deref() != Some(rack)
    }
}
