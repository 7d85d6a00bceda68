//! Keys and values as they were given, and where.

use std::collections::BTreeMap;

use highwater_metadata::config::broker_key;

use super::ConfigError;

/// Prefix of environment variables that set properties: `HIGHWATER_LOG_DIRS` sets `log.dirs`.
const ENVIRONMENT_PREFIX: &str = "HIGHWATER_";
/// Variables with that prefix that are options of the command line rather than properties.
const NOT_PROPERTIES: &[&str] = &["HIGHWATER_BOOTSTRAP", "HIGHWATER_CONFIG", "HIGHWATER_LOG", "HIGHWATER_LOG_FORMAT"];
/// Prefix of our own keys, which an environment variable may leave out.
const OWN_PREFIX: &str = "highwater.";

/// Properties by key. A later source replaces what an earlier one set: file, then environment, then command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    values: BTreeMap<String, String>,
}

impl Properties {
    /// Adds the properties of a file in Java's format.
    ///
    /// # Errors
    /// When the text is not in that format (a broken `\u` escape).
    pub fn add_file(&mut self, content: &[u8]) -> Result<(), ConfigError> {
        let values = &mut self.values;
        java_properties::PropertiesIter::new(content)
            .read_into(|key, value| {
                values.insert(key, value.trim().to_owned());
            })
            .map_err(|error| ConfigError::one(format!("the file is not in Java's properties format: {error}")))
    }

    /// Adds the properties that `variables` of the environment set.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in variables {
            if let Some(key) = property_of_variable(&variable) {
                self.values.insert(key, value.trim().to_owned());
            }
        }
    }

    /// Adds properties given as `key=value`.
    ///
    /// # Errors
    /// When one has no `=` or no key.
    pub fn add_assignments(&mut self, assignments: &[String]) -> Result<(), ConfigError> {
        for assignment in assignments {
            match assignment.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => self.set(key.trim(), value.trim()),
                _ => return Err(ConfigError::one(format!("--set {assignment}: expected key=value"))),
            }
        }
        Ok(())
    }

    /// Sets one property.
    pub fn set(&mut self, key: &str, value: &str) {
        self.values.insert(key.to_owned(), value.to_owned());
    }

    /// The value of `key`, if it was set and is not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether `key` was set, be it to nothing.
    pub fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// All keys with their values, in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Everything that was set.
    pub fn into_values(self) -> BTreeMap<String, String> {
        self.values
    }
}

/// `HIGHWATER_LOG_DIRS` is `log.dirs`; `HIGHWATER_DURABILITY` is `highwater.durability`, as is `HIGHWATER_HIGHWATER_DURABILITY`.
fn property_of_variable(variable: &str) -> Option<String> {
    if NOT_PROPERTIES.contains(&variable) {
        return None;
    }
    let key = variable.strip_prefix(ENVIRONMENT_PREFIX)?.to_ascii_lowercase().replace('_', ".");
    let own = format!("{OWN_PREFIX}{key}");
    Some(if broker_key(&key).is_none() && broker_key(&own).is_some() { own } else { key })
}
