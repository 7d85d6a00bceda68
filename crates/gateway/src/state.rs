//! What every API handler may use.

use std::sync::Arc;

use highwater_coordinator_runtime::GroupCoordinator;
use highwater_metadata::MetadataImage;
use highwater_protocol::{RequestHeader, StrBytes};
use highwater_replication::Replicas;

use crate::config::GatewayConfig;
use crate::connection::ConnectionInfo;
use crate::controller::{Controller, Metadata};
use crate::departures::Departures;
use crate::fetch_sessions::FetchSessions;
use crate::metrics::GatewayMetrics;
use crate::producer_ids::ProducerIds;
use crate::topic_configs::TopicConfigs;
use crate::topic_creation::TopicCreation;

/// The layers below, as the broker wired them.
#[derive(Clone)]
pub struct Services {
    /// This node's view of the cluster.
    pub metadata: Arc<dyn Metadata>,
    /// The replicas on this node.
    pub replicas: Arc<Replicas>,
    /// The groups this node coordinates.
    pub groups: Arc<GroupCoordinator>,
    /// The way to change the cluster's metadata.
    pub controller: Arc<dyn Controller>,
}

/// The gateway's state: the services, and what it keeps itself.
pub(crate) struct GatewayState {
    /// Fixed settings.
    pub(crate) config: GatewayConfig,
    /// The layers below.
    pub(crate) services: Services,
    /// Figures.
    pub(crate) metrics: GatewayMetrics,
    /// Typed topic configuration, resolved once per change of the metadata.
    pub(crate) topic_configs: TopicConfigs,
    /// What clients that fetch again and again need not repeat.
    pub(crate) fetch_sessions: FetchSessions,
    /// Producer ids this node may hand out.
    pub(crate) producer_ids: ProducerIds,
    /// Topics being created on first use.
    pub(crate) topic_creation: TopicCreation,
    /// Brokers that have just died.
    pub(crate) departures: Departures,
}

impl GatewayState {
    /// The newest metadata. Without a lease this broker takes itself for fenced, as the controllers do or soon will: it serves
    /// nobody (M9), and a client that asks it for a leader or a coordinator is not to be sent back to it.
    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        let (image, this) = (self.services.metadata.image(), self.config.node_id);
        if self.services.replicas.has_lease() || !image.is_unfenced(this) {
            return image;
        }
        Arc::new(image.with_fenced(this))
    }

    /// The text of a refusal, for a client that means another cluster than this.
    pub(crate) fn of_another_cluster(&self, meant: Option<&str>) -> Option<String> {
        let image = self.image();
        let (ours, meant) = (image.cluster_id()?, meant?);
        (ours != meant).then(|| format!("Expected cluster ID {ours}, but got cluster ID {meant}"))
    }
}

/// What a handler knows of a request besides its body.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    /// Version of the request and of its answer.
    pub(crate) version: i16,
    /// The client's name for itself. Shares the frame's memory: do not keep.
    pub(crate) client_id: Option<StrBytes>,
    /// Where the request came in.
    pub(crate) connection: Arc<ConnectionInfo>,
}

impl RequestContext {
    /// The context of a request with that header.
    pub(crate) fn new(header: &RequestHeader, connection: &Arc<ConnectionInfo>) -> Self {
        Self { version: header.version, client_id: header.client_id.clone(), connection: Arc::clone(connection) }
    }

    /// Name of the listener the client came in on.
    pub(crate) fn listener(&self) -> &str {
        &self.connection.listener
    }
}
