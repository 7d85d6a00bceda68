//! DescribeConfigs (key 32): every key of a topic or broker with value, source, synonyms and documentation.

use highwater_metadata::MetadataImage;
use highwater_metadata::config::ConfigEntry;
use highwater_protocol::messages::describe_configs_request::DescribeConfigsResource;
use highwater_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use highwater_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use highwater_types::{ErrorCode, TopicName};

use crate::config_resource::{BROKER, TOPIC, not_served};
use crate::duplicates::each_once;
use crate::state::{GatewayState, RequestContext};
use crate::wire::text;

/// First version with types and documentation (KIP-569).
const DOCUMENTATION_VERSION: i16 = 3;

pub(crate) fn handle(
    state: &GatewayState,
    context: &RequestContext,
    body: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let image = state.image();
    let result = |resource: &DescribeConfigsResource| {
        let response = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match entries(state, &image, resource) {
            Err((error, message)) => response.with_error_code(error.code()).with_error_message(Some(message.into())),
            Ok(entries) => {
                let wanted = |entry: &ConfigEntry| match &resource.configuration_keys {
                    Some(keys) if !keys.is_empty() => keys.iter().any(|key| key.as_str() == entry.name),
                    _ => true,
                };
                let shown = entries.into_iter().filter(wanted).map(|entry| encode(entry, context.version, &body));
                response.with_configs(shown.collect())
            }
        }
    };
    let resources = each_once(&body.resources, |resource| (resource.resource_type, resource.resource_name.as_str()));
    DescribeConfigsResponse::default().with_results(resources.map(result).collect())
}

fn entries(
    state: &GatewayState,
    image: &MetadataImage,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, (ErrorCode, String)> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            TopicName::new(name).map_err(|error| (ErrorCode::InvalidTopicException, error.0))?;
            match image.topic_by_name(name) {
                Some(_) => Ok(image.describe_topic_config(name, &state.config.static_config)),
                None => Err((ErrorCode::UnknownTopicOrPartition, format!("Topic {name} does not exist."))),
            }
        }
        BROKER if name.is_empty() => Ok(image.describe_default_broker_config()),
        // Only a broker itself knows its server.properties: clients send the request there.
        BROKER if name == state.config.node_id.to_string() => {
            Ok(image.describe_broker_config(&state.config.static_config))
        }
        BROKER => {
            let this = state.config.node_id;
            let message = format!("Unexpected broker id, expected {this} or empty string, but received {name}");
            Err((ErrorCode::InvalidRequest, message))
        }
        other => Err(not_served(other)),
    }
}

fn encode(entry: ConfigEntry, version: i16, body: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let mut response = DescribeConfigsResourceResult::default()
        .with_name(entry.name.into())
        .with_value(entry.value.map(Into::into))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.code())
        .with_is_sensitive(entry.sensitive);
    if body.include_synonyms {
        let synonym = |synonym: highwater_metadata::config::ConfigSynonym| {
            DescribeConfigsSynonym::default()
                .with_name(synonym.name.into())
                .with_value(synonym.value.map(Into::into))
                .with_source(synonym.source.code())
        };
        response.synonyms = entry.synonyms.into_iter().map(synonym).collect();
    }
    if version >= DOCUMENTATION_VERSION {
        response.config_type = entry.config_type.code();
        response.documentation = body.include_documentation.then(|| text(&entry.documentation));
    }
    response
}
