//! Configuration as DescribeConfigs shows it (KIP-133, KIP-226, KIP-569).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::broker_keys::BROKER_KEYS;
use super::definition::{ConfigDef, ConfigType};
use super::resolve::{Candidate, Layers};
use super::source::ConfigSource;
use super::topic_keys::TOPIC_KEYS;

/// One of the values that were looked at, the one in force first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key it was found under.
    pub name: String,
    /// The value; `None` when it has none or is sensitive.
    pub value: Option<String>,
    /// Where it was found.
    pub source: ConfigSource,
}

/// One key of a resource with the value in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Key.
    pub name: String,
    /// Value; `None` when it has none or is sensitive.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Never show the value.
    pub sensitive: bool,
    /// Cannot be changed at run time.
    pub read_only: bool,
    /// Type of the value.
    pub config_type: ConfigType,
    /// What the key does.
    pub documentation: Cow<'static, str>,
    /// All values that were looked at, the one in force first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// Every topic key, in order of name.
pub(crate) fn describe_topic(layers: &Layers<'_>) -> Vec<ConfigEntry> {
    let keys = TOPIC_KEYS.iter().filter(|key| !key.internal);
    keys.map(|key| entry(key, layers.topic_value(key), false, &layers.topic_candidates(key))).collect()
}

/// Every broker key, in order of name, each with its own value, never one of another unit.
pub(crate) fn describe_broker(layers: &Layers<'_>) -> Vec<ConfigEntry> {
    let keys = BROKER_KEYS.iter().filter(|key| !key.internal);
    keys.map(|key| entry(key, layers.broker_value(key), !key.dynamic, &layers.broker_candidates(key))).collect()
}

/// The broker keys among the dynamic values of all brokers, in order of name.
pub(crate) fn describe_default_broker(values: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
    let source = ConfigSource::DynamicDefaultBroker;
    let keys = BROKER_KEYS.iter().filter_map(|key| Some((key, values.get(key.name)?)));
    keys.map(|(key, value)| {
        let found = Candidate { name: key.name, value, source, factor: 1 };
        entry(key, Some(Cow::Borrowed(value)), !key.dynamic, &[found])
    })
    .collect()
}

/// `candidates`: values that were found for the key and its synonyms, the one in force first.
fn entry(key: &ConfigDef, value: Option<Cow<'_, str>>, read_only: bool, candidates: &[Candidate<'_>]) -> ConfigEntry {
    let shown = |value: &str| (!key.is_sensitive()).then(|| value.to_owned());
    ConfigEntry {
        name: key.name.to_owned(),
        value: value.and_then(|value| shown(&value)),
        source: candidates.first().map_or(ConfigSource::Default, |first| first.source),
        sensitive: key.is_sensitive(),
        read_only,
        config_type: key.config_type,
        documentation: key.documentation(),
        synonyms: candidates
            .iter()
            .map(|found| ConfigSynonym { name: found.name.to_owned(), value: shown(found.value), source: found.source })
            .collect(),
    }
}
