//! Which value is in force.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::broker_keys::broker_key;
use super::definition::{ConfigDef, Synonym};
use super::source::ConfigSource;

/// A value that was found for a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// The key it was found under.
    pub name: &'a str,
    /// As it was set.
    pub value: &'a str,
    /// Where it was found.
    pub source: ConfigSource,
    /// See [`Synonym::factor`].
    pub factor: i64,
}

impl<'a> Candidate<'a> {
    /// The value in the unit of the key that was asked for. Negative numbers mean "no limit" in every unit.
    pub(super) fn converted(&self) -> Cow<'a, str> {
        let number = if self.factor == 1 { None } else { self.value.trim().parse::<i64>().ok() };
        match number {
            None => Cow::Borrowed(self.value),
            Some(number) if number < 0 => Cow::Owned(number.to_string()),
            Some(number) => Cow::Owned(number.saturating_mul(self.factor).to_string()),
        }
    }
}

/// Keys and values that are set in one place.
pub(crate) type Values = BTreeMap<String, String>;

/// The places where values of one resource are looked up, as seen by one node.
pub(crate) struct Layers<'a> {
    /// Overrides of the topic; `None` of a broker, or of a topic without any.
    pub topic: Option<&'a Values>,
    /// Of this one broker.
    pub dynamic_broker: Option<&'a Values>,
    /// Of all brokers.
    pub dynamic_default: Option<&'a Values>,
    /// `server.properties`.
    pub static_broker: &'a Values,
}

impl<'a> Layers<'a> {
    /// What is found for a topic key, in order of precedence, defaults of broker keys included.
    pub(super) fn topic_candidates(&self, key: &'static ConfigDef) -> Vec<Candidate<'a>> {
        let value = self.topic.and_then(|values| values.get(key.name));
        let of_topic = value.map(|value| Candidate { name: key.name, value, source: ConfigSource::Topic, factor: 1 });
        of_topic.into_iter().chain(self.synonym_candidates(key.synonyms)).collect()
    }

    /// What is found for a broker key, and after it for its synonyms, in order of precedence, defaults included. A key that
    /// is only set in another unit has no value of its own, and nothing is found.
    pub(super) fn broker_candidates(&self, key: &'static ConfigDef) -> Vec<Candidate<'a>> {
        let itself = [Synonym { name: key.name, factor: 1 }];
        let found = self.synonym_candidates(if key.synonyms.is_empty() { &itself } else { key.synonyms });
        found.skip_while(|found| found.name != key.name).collect()
    }

    fn synonym_candidates(&self, synonyms: &[Synonym]) -> impl Iterator<Item = Candidate<'a>> {
        let layers = [
            (self.dynamic_broker, ConfigSource::DynamicBroker),
            (self.dynamic_default, ConfigSource::DynamicDefaultBroker),
            (Some(self.static_broker), ConfigSource::StaticBroker),
            (None, ConfigSource::Default),
        ];
        let mut found = Vec::new();
        for (values, source) in layers {
            for &Synonym { name, factor } in synonyms {
                let value = match values {
                    Some(values) => values.get(name).map(String::as_str),
                    None if source == ConfigSource::Default => broker_key(name).and_then(|key| key.default),
                    None => None,
                };
                found.extend(value.map(|value| Candidate { name, value, source, factor }));
            }
        }
        found.into_iter()
    }

    /// The value in force of a topic key.
    pub(crate) fn topic_value(&self, key: &'static ConfigDef) -> Option<Cow<'a, str>> {
        let found = self.topic_candidates(key);
        found.first().map(Candidate::converted).or(key.default.map(Cow::Borrowed))
    }

    /// The value in force of a broker key by its own name.
    pub(crate) fn broker_value(&self, key: &'static ConfigDef) -> Option<Cow<'a, str>> {
        let layers = [self.dynamic_broker, self.dynamic_default, Some(self.static_broker)];
        let set = layers.into_iter().flatten().find_map(|values| values.get(key.name));
        set.map(String::as_str).or(key.default).map(Cow::Borrowed)
    }
}
