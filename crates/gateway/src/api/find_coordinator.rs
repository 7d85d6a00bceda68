//! FindCoordinator (key 10): which broker coordinates a group; makes `__consumer_offsets` on first use.
//!
//! Transactional ids and share groups have no coordinator here yet: their requests get UNSUPPORTED_VERSION with a message
//! that says so. It is not retriable, so a transactional producer fails at once instead of trying until it times out.

use std::sync::Arc;

use highwater_coordinator_runtime::partition_for;
use highwater_metadata::MetadataImage;
use highwater_protocol::messages::find_coordinator_response::Coordinator;
use highwater_protocol::messages::{self, FindCoordinatorRequest, FindCoordinatorResponse};
use highwater_types::{BrokerId, ErrorCode};

use crate::endpoints::alive_endpoint;
use crate::state::{GatewayState, RequestContext};
use crate::topic_creation::{OFFSETS_TOPIC, first_use_entry};
use crate::wire::text;

/// First version that asks for several keys.
const BATCH_VERSION: i16 = 4;

const KEY_TYPE_GROUP: i8 = 0;
const KEY_TYPE_TRANSACTION: i8 = 1;
const KEY_TYPE_SHARE: i8 = 2;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if body.key_type == KEY_TYPE_GROUP && state.image().topic_by_name(OFFSETS_TOPIC).is_none() {
        let services = &state.services;
        let entry = first_use_entry(&state.config, OFFSETS_TOPIC);
        // Refusals are logged there; the answer below then says that there is no coordinator.
        let _ = state.topic_creation.create(&*services.metadata, &*services.controller, vec![entry]).await;
    }
    let image = state.image();
    let find = |key: &str| find(&image, context.listener(), body.key_type, key);
    if context.version >= BATCH_VERSION {
        let coordinators = body.coordinator_keys.iter().map(|key| find(key).into_batched(key)).collect();
        FindCoordinatorResponse::default().with_coordinators(coordinators)
    } else {
        find(&body.key).into_single()
    }
}

/// What is known of one key's coordinator.
struct Found {
    error: ErrorCode,
    message: Option<String>,
    node: BrokerId,
    host: String,
    port: i32,
}

fn find(image: &MetadataImage, listener: &str, key_type: i8, key: &str) -> Found {
    match key_type {
        KEY_TYPE_GROUP => find_group(image, listener, key),
        KEY_TYPE_TRANSACTION => Found::refused(
            ErrorCode::UnsupportedVersion,
            "Transactions are not served by this version of Highwater; use an idempotent producer.".to_owned(),
        ),
        KEY_TYPE_SHARE => Found::refused(
            ErrorCode::UnsupportedVersion,
            "Share groups are not served by this version of Highwater.".to_owned(),
        ),
        other => Found::refused(ErrorCode::InvalidRequest, format!("Unknown coordinator key type {other}.")),
    }
}

fn find_group(image: &MetadataImage, listener: &str, group_id: &str) -> Found {
    let leader = image.topic_by_name(OFFSETS_TOPIC).and_then(|topic| {
        let partition = topic.partition(partition_for(group_id, topic.partition_count()))?;
        alive_endpoint(image, partition.leader, listener).map(|endpoint| (partition.leader, endpoint))
    });
    match leader {
        Some((node, endpoint)) => Found {
            error: ErrorCode::None,
            message: None,
            node,
            host: endpoint.host.clone(),
            port: endpoint.port.into(),
        },
        None => Found::refused(ErrorCode::CoordinatorNotAvailable, "The coordinator is not available.".to_owned()),
    }
}

impl Found {
    fn refused(error: ErrorCode, message: String) -> Self {
        Self { error, message: Some(message), node: BrokerId::NONE, host: String::new(), port: -1 }
    }

    fn into_batched(self, key: &str) -> Coordinator {
        Coordinator::default()
            .with_key(text(key))
            .with_node_id(messages::BrokerId(self.node.get()))
            .with_host(self.host.into())
            .with_port(self.port)
            .with_error_code(self.error.code())
            .with_error_message(Some(self.message.unwrap_or_default().into()))
    }

    fn into_single(self) -> FindCoordinatorResponse {
        FindCoordinatorResponse::default()
            .with_error_code(self.error.code())
            // Kafka gives the name of the code when there is no error; clients log it.
            .with_error_message(Some(self.message.unwrap_or_else(|| "NONE".to_owned()).into()))
            .with_node_id(messages::BrokerId(self.node.get()))
            .with_host(self.host.into())
            .with_port(self.port)
    }
}
