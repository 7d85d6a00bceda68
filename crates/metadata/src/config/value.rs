//! Which values are legal. Messages are as close to Kafka's as their use asks for: tools show them to people.

use std::collections::BTreeMap;

use super::broker_keys::broker_key;
use super::definition::{ConfigDef, ConfigType, ValidValues};
use super::topic_keys::topic_key;

/// Checks a value of a topic key. The error says which key, which value and why.
pub fn validate_topic_value(name: &str, value: &str) -> Result<(), String> {
    let Some(key) = topic_key(name) else { return Err(format!("Unknown topic config name: {name}")) };
    validate(key, value)?;
    if name == "remote.storage.enable" && value.trim().eq_ignore_ascii_case("true") {
        return Err(
            "Invalid value true for configuration remote.storage.enable: tiered storage is not available".to_owned()
        );
    }
    Ok(())
}

/// Checks all overrides of a topic, each by itself and against each other.
pub fn validate_topic_values(values: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in values {
        validate_topic_value(name, value)?;
    }
    let lag = |name: &str| values.get(name).and_then(|value| value.trim().parse::<i64>().ok());
    match (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms")) {
        (Some(min), Some(max)) if min > max => {
            Err(format!("min.compaction.lag.ms ({min}) must not be larger than max.compaction.lag.ms ({max})"))
        }
        _ => Ok(()),
    }
}

/// Checks a value of a broker key. A key that is not known is not an error here: nobody reads it.
pub fn validate_broker_value(name: &str, value: &str) -> Result<(), String> {
    broker_key(name).map_or(Ok(()), |key| validate(key, value))
}

fn validate(key: &ConfigDef, value: &str) -> Result<(), String> {
    let text = value.trim();
    let problem = match key.config_type {
        ConfigType::Boolean => boolean_problem(text),
        ConfigType::Int => number_problem(key, text, i64::from(i32::MIN), i64::from(i32::MAX), "INT"),
        ConfigType::Short => number_problem(key, text, i64::from(i16::MIN), i64::from(i16::MAX), "SHORT"),
        ConfigType::Long => number_problem(key, text, i64::MIN, i64::MAX, "LONG"),
        ConfigType::Double => fraction_problem(key, text),
        ConfigType::List => list_problem(key, text),
        ConfigType::String => word_problem(key, text),
        ConfigType::Class | ConfigType::Password => None,
    };
    let shown = if key.is_sensitive() { "[hidden]" } else { value };
    problem.map_or(Ok(()), |problem| Err(format!("Invalid value {shown} for configuration {}: {problem}", key.name)))
}

fn boolean_problem(text: &str) -> Option<String> {
    let legal = text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
    (!legal).then(|| "Expected value to be either true or false".to_owned())
}

fn number_problem(key: &ConfigDef, text: &str, min: i64, max: i64, type_name: &str) -> Option<String> {
    let Some(number) = text.parse::<i64>().ok().filter(|number| (min..=max).contains(number)) else {
        return Some(format!("Not a number of type {type_name}"));
    };
    if let ValidValues::MinusOneOrBetween(low, high) = key.valid {
        let legal = number == -1 || (low..=high).contains(&number);
        return (!legal).then(|| format!("Value must be between {low} and {high} or equal to -1"));
    }
    let (low, high) = match key.valid {
        ValidValues::AtLeast(low) => (low, max),
        ValidValues::Between(low, high) => (low, high),
        _ => (min, max),
    };
    if number < low {
        Some(format!("Value must be at least {low}"))
    } else if number > high {
        Some(format!("Value must be no more than {high}"))
    } else {
        None
    }
}

fn fraction_problem(key: &ConfigDef, text: &str) -> Option<String> {
    let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) else {
        return Some("Not a number of type DOUBLE".to_owned());
    };
    match key.valid {
        ValidValues::FractionUpTo(_) if number < 0.0 => Some("Value must be at least 0".to_owned()),
        ValidValues::FractionUpTo(high) if number > high => Some(format!("Value must be no more than {high}")),
        _ => None,
    }
}

fn word_problem(key: &ConfigDef, text: &str) -> Option<String> {
    match key.valid {
        ValidValues::OneOf(words) if !words.contains(&text) => {
            Some(format!("String must be one of: {}", words.join(", ")))
        }
        ValidValues::OneOfIgnoreCase(words) if !words.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
            Some(format!("String must be one of (case insensitive): {}", words.join(", ")))
        }
        _ => None,
    }
}

fn list_problem(key: &ConfigDef, text: &str) -> Option<String> {
    let elements = split_list(text);
    if let ValidValues::OneOf(_) = key.valid {
        let is_empty = elements.iter().any(|element| element.is_empty());
        return if is_empty {
            Some("Values of a list must not be empty".to_owned())
        } else {
            elements.iter().find_map(|element| word_problem(key, element))
        };
    }
    if key.valid == ValidValues::ThrottledReplicas && text != "*" && !elements.iter().all(|pair| is_replica_pair(pair))
    {
        return Some(
            "Must be the literal '*' or a list of replicas in the form [partitionId]:[brokerId],...".to_owned(),
        );
    }
    None
}

fn is_replica_pair(pair: &str) -> bool {
    pair.split_once(':')
        .is_some_and(|(partition, broker)| partition.parse::<u32>().is_ok() && broker.parse::<u32>().is_ok())
}

/// The elements of a list value: separated by commas, without surrounding blanks. An empty text is the empty list.
pub fn split_list(text: &str) -> Vec<&str> {
    if text.trim().is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() }
}
