//! Binds all sockets of a node before anything else starts, and puts real ports where 0 was asked for.

use std::net::SocketAddr;

use highwater_env::{Env, Listener};
use highwater_gateway::{BoundGateway, Gateway, GatewayConfig, ListenerConfig};

use crate::StartError;
use crate::config::BrokerConfig;

/// The `replica.selector.class` that sends consumers to followers in their rack; the other one, like none, keeps them with
/// leaders.
const RACK_AWARE_SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

/// The bound sockets of one node.
pub(crate) struct Sockets {
    pub(crate) gateway: Option<BoundGateway>,
    pub(crate) internal: Listener,
    pub(crate) http: Option<Listener>,
}

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Client listeners by name, in the order of the configuration.
    pub clients: Vec<(String, SocketAddr)>,
    /// gRPC for other nodes.
    pub internal: SocketAddr,
    /// Metrics and health.
    pub http: Option<SocketAddr>,
}

impl Sockets {
    /// Binds what `config` names.
    pub(crate) async fn bind(env: &Env, config: &BrokerConfig) -> Result<Self, StartError> {
        let gateway = match config.roles.broker {
            true => Some(Gateway::bind(env, gateway_config(config)).await?),
            false => None,
        };
        let internal = env.net.bind(&config.internal_bind.to_string()).await.map_err(StartError::Bind)?;
        let http = match &config.http {
            Some(address) => Some(env.net.bind(&address.to_string()).await.map_err(StartError::Bind)?),
            None => None,
        };
        Ok(Self { gateway, internal, http })
    }

    /// What was bound.
    pub(crate) fn addresses(&self) -> Result<Addresses, StartError> {
        Ok(Addresses {
            clients: self.gateway.as_ref().map_or(Ok(Vec::new()), BoundGateway::addresses).map_err(StartError::Bind)?,
            internal: self.internal.local_addr().map_err(StartError::Bind)?,
            http: self.http.as_ref().map(Listener::local_addr).transpose().map_err(StartError::Bind)?,
        })
    }
}

impl Addresses {
    /// Replaces port 0 in what others are told by the port that was bound.
    pub(crate) fn complete(&self, config: &mut BrokerConfig) {
        for (endpoint, (_, bound)) in config.advertised.iter_mut().zip(&self.clients) {
            if endpoint.port == 0 {
                endpoint.port = bound.port();
            }
        }
        let node_id = config.node_id;
        let own = config.voters.iter_mut().find(|voter| voter.id == node_id).map(|voter| &mut voter.endpoint);
        for endpoint in own.into_iter().chain([&mut config.internal_advertised]) {
            if endpoint.port == 0 {
                endpoint.port = self.internal.port();
            }
        }
    }
}

fn gateway_config(config: &BrokerConfig) -> GatewayConfig {
    let listener = |listener: &crate::config::ListenerAddress| ListenerConfig {
        name: listener.name.clone(),
        bind: listener.address.to_string(),
    };
    let listeners = config.listeners.iter().map(listener).collect();
    let defaults = GatewayConfig::new(config.node_id, listeners, config.static_config.clone());
    GatewayConfig {
        max_request_bytes: as_usize(config.number("socket.request.max.bytes")),
        max_connections: as_usize(config.number("max.connections")),
        max_connections_per_ip: as_usize(config.number("max.connections.per.ip")),
        max_idle: config.milliseconds("connections.max.idle.ms"),
        fetch_max_bytes: as_usize(config.number("fetch.max.bytes")),
        fetch_session_cache_slots: as_usize(config.number("max.incremental.fetch.session.cache.slots")),
        rack: config.rack.clone(),
        rack_aware_reads: config.value("replica.selector.class") == Some(RACK_AWARE_SELECTOR),
        auto_create_topics: config.flag("auto.create.topics.enable"),
        num_partitions: as_i32(config.number("num.partitions")),
        default_replication_factor: as_i16(config.number("default.replication.factor")),
        offsets_topic_num_partitions: as_i32(config.number("offsets.topic.num.partitions")),
        offsets_topic_replication_factor: as_i16(config.number("offsets.topic.replication.factor")),
        offsets_topic_segment_bytes: as_i32(config.number("offsets.topic.segment.bytes")),
        max_request_partition_size_limit: as_i32(config.number("max.request.partition.size.limit")),
        ..defaults
    }
}

pub(crate) fn as_usize(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

pub(crate) fn as_i32(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(crate) fn as_i16(number: i64) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}
