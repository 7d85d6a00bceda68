//! What AlterConfigs and IncrementalAlterConfigs share: each resource is decided by itself, and answered by itself.

use std::collections::BTreeSet;

use highwater_controller::{Command, CommandError, CommandResponse, IncrementalAlterConfigs, ResourceConfigOperations};
use highwater_protocol::StrBytes;
use highwater_types::ErrorCode;

use crate::config_resource;
use crate::state::GatewayState;
use crate::wire::string;

/// Type and name of a resource as a request has them.
pub(crate) type WireResource = (i8, String);

/// What came of one resource.
pub(crate) type Outcome = (WireResource, Result<(), CommandError>);

/// The changes that are asked for, one resource after the other.
#[derive(Debug, Default)]
pub(crate) struct ConfigChanges {
    /// To ask the controller for.
    pub(crate) resources: Vec<ResourceConfigOperations>,
    /// Refused before.
    pub(crate) refused: Vec<Outcome>,
}

impl ConfigChanges {
    /// Parses resources one by one; those that are named twice are refused.
    pub(crate) fn parse<R>(
        resources: &[R],
        key: impl Fn(&R) -> (i8, &StrBytes),
        parse: impl Fn(&R) -> Result<ResourceConfigOperations, CommandError>,
    ) -> Self {
        let key = |resource: &R| {
            let (kind, name) = key(resource);
            (kind, string(name))
        };
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<_> = resources.iter().map(key).filter(|key| !seen.insert(key.clone())).collect();
        let mut changes = Self::default();
        for name in &twice {
            let message = "Each resource must appear at most once.";
            changes.refused.push((name.clone(), Err(CommandError::new(ErrorCode::InvalidRequest, message))));
        }
        for resource in resources.iter().filter(|resource| !twice.contains(&key(resource))) {
            match parse(resource) {
                Ok(operations) => changes.resources.push(operations),
                Err(error) => changes.refused.push((key(resource), Err(error))),
            }
        }
        changes
    }

    /// Has the changes made, or only checked. Every resource has its outcome.
    pub(crate) async fn submit(self, state: &GatewayState, validate_only: bool) -> Vec<Outcome> {
        let Self { resources, refused: mut outcomes } = self;
        if resources.is_empty() {
            return outcomes;
        }
        let names: Vec<_> = resources.iter().map(|resource| config_resource::wire_name(&resource.resource)).collect();
        let command = Command::IncrementalAlterConfigs(IncrementalAlterConfigs { resources, validate_only });
        match state.services.controller.submit(command).await {
            Ok(CommandResponse::IncrementalAlterConfigs(results)) => outcomes
                .extend(results.into_iter().map(|(resource, result)| (config_resource::wire_name(&resource), result))),
            Ok(other) => unreachable!("a change of configuration was answered with {other:?}"),
            Err(error) => outcomes.extend(names.into_iter().map(|name| (name, Err(error.clone())))),
        }
        outcomes
    }
}

/// The refusal of a value that is missing.
pub(crate) fn null_value(name: &str) -> CommandError {
    CommandError::new(ErrorCode::InvalidRequest, format!("Null value not supported for : {name}"))
}

/// The refusal of a key that is named twice.
pub(crate) fn duplicate_key(name: &str) -> CommandError {
    CommandError::new(ErrorCode::InvalidRequest, format!("Error due to duplicate config keys: {name}"))
}
