//! Starting and stopping the gateway.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_env::{Env, Listener, clock};
use highwater_metadata::{MetadataDelta, MetadataImage};
use prometheus::Registry;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::GatewayConfig;
use crate::connection::Stage;
use crate::departures::Departures;
use crate::dispatch::Dispatcher;
use crate::fetch_sessions::FetchSessions;
use crate::listener::{Acceptor, ConnectionLimits};
use crate::metrics::GatewayMetrics;
use crate::producer_ids::ProducerIds;
use crate::state::{GatewayState, Services};
use crate::topic_configs::TopicConfigs;
use crate::topic_creation::TopicCreation;

/// A gateway whose sockets are bound but not served yet: the broker registers their ports first.
pub struct BoundGateway {
    config: GatewayConfig,
    listeners: Vec<(Arc<str>, Listener)>,
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be bound.
    #[error("listener {name}: {source}")]
    Bind {
        /// Listener name.
        name: String,
        /// Address asked for.
        bind: String,
        /// What the system said.
        source: io::Error,
    },
    /// The metrics registry serves another gateway already.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A gateway at work. Dropping it stops it without waiting.
pub struct Gateway {
    state: Arc<GatewayState>,
    stage: watch::Sender<Stage>,
    acceptors: Mutex<JoinSet<()>>,
}

impl Gateway {
    /// Binds all listeners of `config`.
    ///
    /// # Errors
    /// [`StartError::Bind`] for the first that cannot be bound; the others are closed again.
    pub async fn bind(env: &Env, config: GatewayConfig) -> Result<BoundGateway, StartError> {
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            let bound = env.net.bind(&listener.bind).await.map_err(|source| StartError::Bind {
                name: listener.name.clone(),
                bind: listener.bind.clone(),
                source,
            })?;
            listeners.push((Arc::from(listener.name.as_str()), bound));
        }
        Ok(BoundGateway { config, listeners })
    }

    /// Follows the metadata: remembers who has just died, forgets figures of deleted topics. Called after the image was published.
    pub fn apply_metadata(&self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        self.state.departures.follow(image, clock::mono_ms());
        for topic in delta.deleted_topics.values() {
            self.state.metrics.forget_topic(&topic.name);
        }
    }

    /// Lets clients go, after the leaderships have moved: stops accepting, goes on answering who is connected, where to go
    /// mostly, and closes each connection that is quiet. Returns when none is left, at the latest after `within`.
    pub async fn leave(&self, within: Duration) {
        self.stage.send_replace(Stage::Leaving);
        let mut acceptors = std::mem::take(&mut *self.acceptors.lock());
        let all = async { while acceptors.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(within, all).await;
        *self.acceptors.lock() = acceptors;
    }

    /// Stops accepting, closes all connections, and returns when every task has ended.
    pub async fn shutdown(&self) {
        self.stage.send_replace(Stage::Stopped);
        let mut acceptors = std::mem::take(&mut *self.acceptors.lock());
        while acceptors.join_next().await.is_some() {}
    }
}

impl BoundGateway {
    /// Listener names with the addresses they are bound to, in the order of the configuration.
    ///
    /// # Errors
    /// Those of the system.
    pub fn addresses(&self) -> io::Result<Vec<(String, SocketAddr)>> {
        self.listeners.iter().map(|(name, listener)| Ok((name.to_string(), listener.local_addr()?))).collect()
    }

    /// Serves clients on all listeners until [`Gateway::shutdown`].
    ///
    /// # Errors
    /// [`StartError::Metrics`].
    pub fn serve(self, services: Services, registry: &Registry) -> Result<Gateway, StartError> {
        let Self { config, listeners } = self;
        let metrics = GatewayMetrics::new(registry)?;
        let limits = ConnectionLimits::new(config.max_connections, config.max_connections_per_ip);
        let (metadata, controller) = (Arc::clone(&services.metadata), Arc::clone(&services.controller));
        let state = Arc::new(GatewayState {
            topic_configs: TopicConfigs::new(config.static_config.clone()),
            fetch_sessions: FetchSessions::new(config.fetch_session_cache_slots, metrics.fetch_sessions.clone()),
            producer_ids: ProducerIds::new(config.node_id, metadata, controller),
            topic_creation: TopicCreation::default(),
            departures: Departures::default(),
            services,
            metrics,
            config,
        });
        let handler = Arc::new(Dispatcher::new(Arc::clone(&state)));
        let (stage, stages) = watch::channel(Stage::Serving);
        let mut acceptors = JoinSet::new();
        for (name, listener) in listeners {
            let acceptor = Acceptor {
                metrics: state.metrics.listener(&name),
                name,
                listener,
                handler: Arc::clone(&handler),
                limits: Arc::clone(&limits),
                max_request_bytes: state.config.max_request_bytes,
                max_idle: state.config.max_idle,
                stage: stages.clone(),
            };
            acceptors.spawn(acceptor.run());
        }
        Ok(Gateway { state, stage, acceptors: Mutex::new(acceptors) })
    }
}
