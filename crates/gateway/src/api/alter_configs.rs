//! AlterConfigs (key 33): replaces all values of topics and brokers. Older than IncrementalAlterConfigs, and easy to misuse:
//! what is not named is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater_controller::{CommandError, ConfigOperation, ConfigOperationKind, ResourceConfigOperations};
use highwater_protocol::messages::alter_configs_request::AlterConfigsResource;
use highwater_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use highwater_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use crate::config_changes::{ConfigChanges, duplicate_key, null_value};
use crate::config_resource;
use crate::state::GatewayState;
use crate::wire::{optional_string, string, text};

pub(crate) async fn handle(state: Arc<GatewayState>, body: AlterConfigsRequest) -> AlterConfigsResponse {
    let changes =
        ConfigChanges::parse(&body.resources, |resource| (resource.resource_type, &resource.resource_name), parse);
    let outcomes = changes.submit(&state, body.validate_only).await;
    let responses = outcomes.into_iter().map(|((resource_type, name), result)| {
        let response =
            AlterConfigsResourceResponse::default().with_resource_type(resource_type).with_resource_name(text(&name));
        match result {
            Ok(()) => response.with_error_message(None),
            Err(error) => response.with_error_code(error.code.code()).with_error_message(Some(error.message.into())),
        }
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
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
        let value = Some(optional_string(config.value.as_ref()).ok_or_else(|| null_value(&name))?);
        operations.push(ConfigOperation { name, kind: ConfigOperationKind::Set, value });
    }
    Ok(ResourceConfigOperations { resource: parsed, operations, replaces: true })
}
