//! IncrementalAlterConfigs (key 44): changes single keys of topics and brokers (KIP-339).

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater_controller::{CommandError, ConfigOperation, ConfigOperationKind, ResourceConfigOperations};
use highwater_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use highwater_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use highwater_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use highwater_types::ErrorCode;

use crate::config_changes::{ConfigChanges, duplicate_key, null_value};
use crate::config_resource;
use crate::state::GatewayState;
use crate::wire::{optional_string, string, text};

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    body: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let outcomes = parse_all(&body.resources).submit(&state, body.validate_only).await;
    let responses = outcomes.into_iter().map(|((resource_type, name), result)| {
        let response =
            AlterConfigsResourceResponse::default().with_resource_type(resource_type).with_resource_name(text(&name));
        match result {
            // The schema's default is the empty text; Kafka answers null.
            Ok(()) => response.with_error_message(None),
            Err(error) => response.with_error_code(error.code.code()).with_error_message(Some(error.message.into())),
        }
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn parse_all(resources: &[AlterConfigsResource]) -> ConfigChanges {
    ConfigChanges::parse(resources, |resource| (resource.resource_type, &resource.resource_name), parse)
}

fn parse(resource: &AlterConfigsResource) -> Result<ResourceConfigOperations, CommandError> {
    let parsed = config_resource::parse(resource.resource_type, &resource.resource_name)
        .map_err(|(code, message)| CommandError::new(code, message))?;
    let mut seen = BTreeSet::new();
    let mut operations = Vec::with_capacity(resource.configs.len());
    for config in &resource.configs {
        let name = string(&config.name);
        if !seen.insert(name.clone()) {
            return Err(duplicate_key(&name));
        }
        let Some(kind) = ConfigOperationKind::from_code(config.config_operation) else {
            let message = format!("Unknown operation type {} for config key {name}", config.config_operation);
            return Err(CommandError::new(ErrorCode::InvalidRequest, message));
        };
        let value = optional_string(config.value.as_ref());
        if value.is_none() && kind != ConfigOperationKind::Delete {
            return Err(null_value(&name));
        }
        operations.push(ConfigOperation { name, kind, value });
    }
    Ok(ResourceConfigOperations { resource: parsed, operations, replaces: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_metadata::ConfigResource;
    use highwater_protocol::messages::incremental_alter_configs_request::AlterableConfig;
    use highwater_types::BrokerId;

    fn resource(kind: i8, name: &'static str, configs: Vec<AlterableConfig>) -> AlterConfigsResource {
        AlterConfigsResource::default().with_resource_type(kind).with_resource_name(name.into()).with_configs(configs)
    }

    fn set(name: &'static str, operation: i8, value: Option<&'static str>) -> AlterableConfig {
        AlterableConfig::default()
            .with_name(name.into())
            .with_config_operation(operation)
            .with_value(value.map(Into::into))
    }

    #[test]
    fn good_resources_pass_and_bad_ones_are_refused_one_by_one() {
        let ConfigChanges { resources: parsed, refused } = parse_all(&[
            resource(2, "topic", vec![set("retention.ms", 0, Some("1")), set("cleanup.policy", 1, None)]),
            resource(4, "", vec![]),
            resource(4, "1", vec![]),
            resource(4, "x", vec![]),
            resource(2, "a b", vec![]),
            resource(8, "1", vec![]),
            resource(2, "null", vec![set("retention.ms", 0, None)]),
            resource(2, "again", vec![set("k", 0, Some("1")), set("k", 0, Some("2"))]),
            resource(2, "op", vec![set("k", 9, Some("1"))]),
            resource(2, "twice", vec![]),
            resource(2, "twice", vec![]),
        ]);
        let resources: Vec<_> = parsed.into_iter().map(|operations| operations.resource.to_string()).collect();
        let expected = [ConfigResource::DefaultBroker, ConfigResource::Broker(BrokerId(1))].map(|r| r.to_string());
        assert_eq!(resources[0], "topic topic");
        assert_eq!(resources[1..], expected);
        let names: Vec<_> = refused.iter().map(|((_, name), _)| name.as_str()).collect();
        assert_eq!(names, ["twice", "x", "a b", "1", "null", "again", "op"]);
        assert!(refused.iter().all(|(_, result)| result.is_err()));
    }
}
