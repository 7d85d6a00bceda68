//! DescribeCluster (key 60): brokers, cluster id, controller (KIP-700, KIP-919, KIP-1073).

use highwater_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use highwater_protocol::messages::{self, DescribeClusterRequest, DescribeClusterResponse};
use highwater_types::ErrorCode;

use crate::authorized_operations;
use crate::endpoints::controller_for_clients;
use crate::state::{GatewayState, RequestContext};
use crate::wire::text;

const ENDPOINT_TYPE_BROKER: i8 = 1;
const ENDPOINT_TYPE_CONTROLLER: i8 = 2;
/// First version whose answer tells fenced brokers from others.
const FENCED_VERSION: i16 = 2;

pub(crate) fn handle(
    state: &GatewayState,
    context: &RequestContext,
    body: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    match body.endpoint_type {
        ENDPOINT_TYPE_BROKER => {}
        ENDPOINT_TYPE_CONTROLLER => {
            return refused(
                ErrorCode::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
            );
        }
        _ => return refused(ErrorCode::UnsupportedEndpointType, "Unsupported endpoint type"),
    }
    let image = state.image();
    let listener = context.listener();
    let shown = image.brokers().filter(|broker| !broker.fenced || body.include_fenced_brokers);
    let brokers = shown.filter_map(|broker| {
        let endpoint = broker.listener(listener)?;
        let shown = DescribeClusterBroker::default()
            .with_broker_id(messages::BrokerId(broker.id.get()))
            .with_host(text(&endpoint.host))
            .with_port(endpoint.port.into())
            .with_rack(broker.rack.as_deref().map(text))
            .with_is_fenced(broker.fenced && context.version >= FENCED_VERSION);
        Some(shown)
    });
    DescribeClusterResponse::default()
        .with_cluster_id(text(image.cluster_id().unwrap_or_default()))
        .with_controller_id(messages::BrokerId(controller_for_clients(&image, state.config.node_id, listener).get()))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(authorized_operations::cluster(body.include_cluster_authorized_operations))
}

fn refused(error: ErrorCode, message: &'static str) -> DescribeClusterResponse {
    DescribeClusterResponse::default().with_error_code(error.code()).with_error_message(Some(message.into()))
}
