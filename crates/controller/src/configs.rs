//! IncrementalAlterConfigs (KIP-339), and AlterConfigs in its terms.

use std::collections::{BTreeMap, BTreeSet};

use highwater_metadata::config::{
    ConfigDef, ConfigType, REASSIGNMENT_THROTTLE, broker_key, split_list, topic_key, validate_broker_value,
    validate_topic_values,
};
use highwater_metadata::{ConfigResource, MetadataImage, MetadataRecord};
use highwater_types::ErrorCode;

use crate::election::{MIN_ISR, UNCLEAN_ELECTION, apply_new_configuration};
use crate::scratch::Scratch;
use crate::throttles;
use crate::{
    CommandError, CommandResponse, ConfigOperation, ConfigOperationKind, ControllerConfig, Decision,
    IncrementalAlterConfigs, ResourceConfigOperations,
};

pub(crate) fn decide(mut scratch: Scratch, config: &ControllerConfig, request: &IncrementalAlterConfigs) -> Decision {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<_> =
        request.resources.iter().map(|entry| &entry.resource).filter(|resource| !seen.insert(*resource)).collect();
    let mut results = Vec::new();
    for entry in &request.resources {
        let result = if twice.contains(&entry.resource) {
            Err(CommandError::new(ErrorCode::InvalidRequest, "Each resource must appear at most once."))
        } else {
            alter(&mut scratch, entry)
        };
        results.push((entry.resource.clone(), result));
    }
    let response = CommandResponse::IncrementalAlterConfigs(results);
    if request.validate_only {
        return Scratch::only_validate(response);
    }
    let concerns_elections =
        |operation: &ConfigOperation| [UNCLEAN_ELECTION, MIN_ISR].contains(&operation.name.as_str());
    let touches = |entry: &ResourceConfigOperations| entry.replaces || entry.operations.iter().any(concerns_elections);
    if request.resources.iter().any(touches) {
        apply_new_configuration(&mut scratch, config);
        throttles::maybe_release(&mut scratch);
    }
    scratch.accept(response)
}

/// Adds the records of one resource, or none.
fn alter(scratch: &mut Scratch, entry: &ResourceConfigOperations) -> Result<(), CommandError> {
    let image = scratch.image();
    check_resource(image, &entry.resource)?;
    let empty = BTreeMap::new();
    let before = image.configs(&entry.resource).unwrap_or(&empty);
    let mut after = if entry.replaces { BTreeMap::new() } else { before.clone() };
    let mut keys = BTreeSet::new();
    for operation in &entry.operations {
        if !keys.insert(operation.name.as_str()) {
            return Err(CommandError::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys"));
        }
        apply(&entry.resource, &mut after, operation)?;
    }
    check_values(&entry.resource, &after)?;
    check_rate(image, before, &after)?;
    let records = difference(&entry.resource, before, &after);
    scratch.extend(records);
    Ok(())
}

fn check_resource(image: &MetadataImage, resource: &ConfigResource) -> Result<(), CommandError> {
    match resource {
        ConfigResource::Topic(name) if image.topic_by_name(name.as_str()).is_none() => {
            let message = format!("The topic '{name}' does not exist.");
            Err(CommandError::new(ErrorCode::UnknownTopicOrPartition, message))
        }
        ConfigResource::Broker(id) if image.broker(*id).is_none() => {
            Err(CommandError::new(ErrorCode::BrokerIdNotRegistered, format!("No broker with id {id} found.")))
        }
        _ => Ok(()),
    }
}

/// Applies one operation to the values of a resource; the result is not checked yet.
fn apply(
    resource: &ConfigResource,
    values: &mut BTreeMap<String, String>,
    operation: &ConfigOperation,
) -> Result<(), CommandError> {
    let name = &operation.name;
    if operation.kind == ConfigOperationKind::Delete {
        // Whatever is there may be removed, even a key that a later version dropped.
        values.remove(name);
        return Ok(());
    }
    let key = definition(resource, name)?;
    let Some(value) = &operation.value else {
        return Err(CommandError::new(ErrorCode::InvalidRequest, format!("Null value not supported for : {name}")));
    };
    let is_list_operation = operation.kind != ConfigOperationKind::Set;
    if is_list_operation && key.config_type != ConfigType::List {
        let kind = if operation.kind == ConfigOperationKind::Append { "APPEND" } else { "SUBTRACT" };
        let message = format!("Can't {kind} to key {name} because its type is not LIST.");
        return Err(CommandError::new(ErrorCode::InvalidConfig, message));
    }
    let present = || values.get(name).map(String::as_str).or(key.default).unwrap_or("").to_owned();
    let new = match operation.kind {
        ConfigOperationKind::Append => append(&present(), value),
        ConfigOperationKind::Subtract => subtract(&present(), value),
        _ => value.clone(),
    };
    values.insert(name.clone(), new);
    Ok(())
}

fn definition(resource: &ConfigResource, name: &str) -> Result<&'static ConfigDef, CommandError> {
    match resource {
        ConfigResource::Topic(_) => topic_key(name)
            .filter(|key| !key.internal)
            .ok_or_else(|| CommandError::new(ErrorCode::InvalidConfig, format!("Unknown topic config name: {name}"))),
        ConfigResource::Broker(_) | ConfigResource::DefaultBroker => match broker_key(name) {
            Some(key) if key.dynamic => Ok(key),
            Some(_) => {
                let message =
                    format!("Cannot update these configs dynamically: [{name}]. Change server.properties and restart.");
                Err(CommandError::new(ErrorCode::InvalidRequest, message))
            }
            None => Err(CommandError::new(ErrorCode::InvalidConfig, format!("Unknown broker config name: {name}"))),
        },
    }
}

fn append(present: &str, value: &str) -> String {
    let mut elements = split_list(present);
    for element in split_list(value) {
        if !elements.contains(&element) {
            elements.push(element);
        }
    }
    elements.join(",")
}

fn subtract(present: &str, value: &str) -> String {
    let gone = split_list(value);
    let elements: Vec<&str> = split_list(present).into_iter().filter(|element| !gone.contains(element)).collect();
    elements.join(",")
}

fn check_values(resource: &ConfigResource, values: &BTreeMap<String, String>) -> Result<(), CommandError> {
    match resource {
        ConfigResource::Topic(_) => {
            validate_topic_values(values).map_err(|message| CommandError::new(ErrorCode::InvalidConfig, message))
        }
        ConfigResource::Broker(_) | ConfigResource::DefaultBroker => {
            let check = |(name, value): (&String, &String)| validate_broker_value(name, value);
            // Kafka answers broker values with this code, topic values with the other.
            values.iter().try_for_each(check).map_err(|message| CommandError::new(ErrorCode::InvalidRequest, message))
        }
    }
}

/// A rate of reassignments that waited for the next one could be one that nobody remembers.
fn check_rate(
    image: &MetadataImage,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Result<(), CommandError> {
    let rate = after.get(REASSIGNMENT_THROTTLE).filter(|rate| before.get(REASSIGNMENT_THROTTLE) != Some(*rate));
    if rate.is_none() || throttles::has_reassignments(image) {
        return Ok(());
    }
    let message =
        format!("Nothing is reassigned: {REASSIGNMENT_THROTTLE} is given with a reassignment and ends with it.");
    Err(CommandError::new(ErrorCode::InvalidRequest, message))
}

fn difference(
    resource: &ConfigResource,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<MetadataRecord> {
    let record = |name: &String, value: Option<String>| MetadataRecord::Config {
        resource: resource.clone(),
        name: name.clone(),
        value,
    };
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| record(name, None));
    let set = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    gone.chain(set.map(|(name, value)| record(name, Some(value.clone())))).collect()
}
