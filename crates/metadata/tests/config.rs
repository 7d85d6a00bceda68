//! Which configuration value is in force, how it is described, and which values are legal.

use std::collections::BTreeMap;

use highwater_metadata::config::{
    BROKER_KEYS, CleanupPolicy, CompressionType, ConfigDef, ConfigEntry, ConfigSource, ConfigType, Durability,
    TOPIC_KEYS, TimestampType, topic_key, validate_broker_value, validate_topic_value,
};
use highwater_metadata::{ConfigResource, MetadataImage, MetadataRecord, StaticBrokerConfig, TopicConfig};
use highwater_types::{BrokerId, MetadataOffset, TopicId, TopicName};

fn image(values: &[(ConfigResource, &str, &str)]) -> MetadataImage {
    let name = TopicName::new("t").unwrap();
    let mut records = vec![MetadataRecord::Topic { name, id: TopicId::from_random(1) }];
    records.extend(values.iter().map(|(resource, name, value)| MetadataRecord::Config {
        resource: resource.clone(),
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
    }));
    MetadataImage::empty().apply(&records, MetadataOffset(records.len() as i64)).0
}

fn topic() -> ConfigResource {
    ConfigResource::Topic(TopicName::new("t").unwrap())
}

fn node(properties: &[(&str, &str)]) -> StaticBrokerConfig {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    StaticBrokerConfig::new(BrokerId(1), properties).unwrap()
}

fn synonyms(entry: &ConfigEntry) -> Vec<(&str, &str, ConfigSource)> {
    entry
        .synonyms
        .iter()
        .map(|found| (found.name.as_str(), found.value.as_deref().unwrap_or("null"), found.source))
        .collect()
}

fn find<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
    entries.iter().find(|entry| entry.name == name).unwrap()
}

#[test]
fn the_tables_are_sorted_and_their_defaults_legal() {
    for table in [BROKER_KEYS, TOPIC_KEYS] {
        assert!(table.is_sorted_by(|a, b| a.name < b.name));
    }
    let legal = |key: &ConfigDef, validate: fn(&str, &str) -> Result<(), String>| {
        if let Some(default) = key.default {
            validate(key.name, default).unwrap();
        }
        assert!(!key.honoured || !key.doc.is_empty(), "{} is honoured and says nothing", key.name);
    };
    BROKER_KEYS.iter().for_each(|key| legal(key, validate_broker_value));
    TOPIC_KEYS.iter().for_each(|key| legal(key, validate_topic_value));
    for synonym in TOPIC_KEYS.iter().flat_map(|key| key.synonyms) {
        assert!(BROKER_KEYS.iter().any(|key| key.name == synonym.name), "{} is no broker key", synonym.name);
    }
}

#[test]
fn a_topic_without_settings_has_kafkas_defaults() {
    let config = image(&[]).topic_config("t", &node(&[]));
    assert_eq!(config, TopicConfig::default());
    assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: false });
    assert_eq!(config.compression_type, CompressionType::Producer);
    assert_eq!(config.message_timestamp_type, TimestampType::CreateTime);
    assert_eq!(config.durability, Durability::Strict);
    assert_eq!((config.retention_ms, config.retention_bytes), (604_800_000, -1));
    assert_eq!((config.segment_ms, config.segment_bytes), (604_800_000, 1 << 30));
    assert_eq!((config.max_message_bytes, config.min_insync_replicas), (1_048_588, 1));
    assert_eq!(config.message_timestamp_before_max_ms, i64::MAX);
    assert_eq!(config.message_timestamp_after_max_ms, 3_600_000);
    assert!(!config.unclean_leader_election_enable && !config.preallocate);
}

#[test]
fn the_nearest_setting_wins() {
    let mine = ConfigResource::Broker(BrokerId(1));
    let steps = [
        (image(&[]), node(&[("log.retention.hours", "2")]), 7_200_000),
        (image(&[]), node(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]), 180_000),
        (image(&[]), node(&[("log.retention.minutes", "-1")]), -1),
        (image(&[(ConfigResource::DefaultBroker, "log.retention.ms", "4")]), node(&[("log.retention.ms", "5")]), 4),
        (
            image(&[(ConfigResource::DefaultBroker, "log.retention.ms", "4"), (mine.clone(), "log.retention.ms", "6")]),
            node(&[]),
            6,
        ),
        (image(&[(ConfigResource::Broker(BrokerId(2)), "log.retention.ms", "6")]), node(&[]), 604_800_000),
        (image(&[(mine, "log.retention.ms", "6"), (topic(), "retention.ms", " 7 ")]), node(&[]), 7),
    ];
    for (image, node, expected) in steps {
        assert_eq!(image.topic_config("t", &node).retention_ms, expected);
        assert_eq!(image.topic_value("t", "retention.ms", &node).unwrap().trim(), expected.to_string());
        assert_eq!(image.topic_config("unknown", &node).retention_ms == expected, expected != 7);
    }
}

/// A setting in hours gives way to one in minutes, that to one in milliseconds; and the topic's own to none.
#[test]
fn finer_units_win() {
    type Setting = fn(&TopicConfig) -> i64;
    type Row<'a> = (&'a str, Setting, &'a [(&'a str, &'a str)], i64);
    let (retention, roll, jitter): (Setting, Setting, Setting) =
        (|config| config.retention_ms, |config| config.segment_ms, |config| config.segment_jitter_ms);
    let delay: Setting = |config| config.file_delete_delay_ms;
    let hour = 3_600_000;
    let table: [Row<'_>; 12] = [
        ("retention.ms", retention, &[], 168 * hour),
        ("retention.ms", retention, &[("log.retention.hours", "-1")], -1),
        ("retention.ms", retention, &[("log.retention.minutes", "3"), ("log.retention.hours", "2")], 180_000),
        ("retention.ms", retention, &[("log.retention.ms", "5"), ("log.retention.minutes", "3")], 5),
        ("retention.ms", retention, &[("log.retention.ms", "-1"), ("log.retention.hours", "2")], -1),
        ("segment.ms", roll, &[], 168 * hour),
        ("segment.ms", roll, &[("log.roll.hours", "2")], 2 * hour),
        ("segment.ms", roll, &[("log.roll.ms", "7000"), ("log.roll.hours", "2")], 7_000),
        ("segment.jitter.ms", jitter, &[("log.roll.jitter.hours", "1")], hour),
        ("segment.jitter.ms", jitter, &[("log.roll.jitter.ms", "9"), ("log.roll.jitter.hours", "1")], 9),
        ("file.delete.delay.ms", delay, &[], 60_000),
        ("file.delete.delay.ms", delay, &[("log.segment.delete.delay.ms", "8")], 8),
    ];
    for (key, setting, properties, expected) in table {
        let node = node(properties);
        assert_eq!(setting(&image(&[]).topic_config("t", &node)), expected, "{properties:?}");
        assert_eq!(image(&[]).topic_value("t", key, &node).unwrap(), expected.to_string(), "{properties:?}");
        let own = image(&[(topic(), key, "11")]);
        assert_eq!(setting(&own.topic_config("t", &node)), 11, "{key} of the topic");
    }
}

#[test]
fn topic_entries_say_where_their_values_come_from() {
    let image = image(&[(topic(), "retention.ms", "7"), (ConfigResource::DefaultBroker, "log.retention.ms", "4")]);
    let node = node(&[("log.retention.hours", "2"), ("min.insync.replicas", "2")]);
    let entries = image.describe_topic_config("t", &node);
    assert_eq!(entries.len(), TOPIC_KEYS.len() - 1, "all keys but the internal one");

    let retention = find(&entries, "retention.ms");
    assert_eq!((retention.value.as_deref(), retention.source), (Some("7"), ConfigSource::Topic));
    assert_eq!(
        synonyms(retention),
        [
            ("retention.ms", "7", ConfigSource::Topic),
            ("log.retention.ms", "4", ConfigSource::DynamicDefaultBroker),
            ("log.retention.hours", "2", ConfigSource::StaticBroker),
            ("log.retention.hours", "168", ConfigSource::Default),
        ]
    );
    let min_isr = find(&entries, "min.insync.replicas");
    assert_eq!((min_isr.value.as_deref(), min_isr.source), (Some("2"), ConfigSource::StaticBroker));
    assert_eq!(
        (min_isr.config_type.code(), min_isr.read_only, min_isr.sensitive),
        (ConfigType::Int.code(), false, false)
    );

    let policy = find(&entries, "cleanup.policy");
    assert_eq!((policy.value.as_deref(), policy.source), (Some("delete"), ConfigSource::Default));
    // A key without synonyms has its own default, and no synonyms.
    let remote = find(&entries, "remote.storage.enable");
    assert_eq!(
        (remote.value.as_deref(), remote.source, remote.synonyms.len()),
        (Some("false"), ConfigSource::Default, 0)
    );

    let overrides = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let new = image.describe_new_topic_config(&overrides, &node);
    assert_eq!(find(&new, "cleanup.policy").value.as_deref(), Some("compact"));
    assert_eq!(find(&new, "retention.ms").value.as_deref(), Some("4"));
}

#[test]
fn broker_entries_show_their_own_values() {
    let image = image(&[
        (ConfigResource::DefaultBroker, "log.retention.ms", "4"),
        (ConfigResource::Broker(BrokerId(1)), "message.max.bytes", "2000"),
    ]);
    let node = node(&[("node.id", "1"), ("ssl.key.password", "secret"), ("message.max.bytes", "3000")]);
    let entries = image.describe_broker_config(&node);
    let id = find(&entries, "node.id");
    assert_eq!((id.value.as_deref(), id.source, id.read_only), (Some("1"), ConfigSource::StaticBroker, true));
    let password = find(&entries, "ssl.key.password");
    assert_eq!((password.value.as_deref(), password.sensitive), (None, true));
    assert_eq!(synonyms(password), [("ssl.key.password", "null", ConfigSource::StaticBroker)]);
    let largest = find(&entries, "message.max.bytes");
    assert_eq!(
        (largest.value.as_deref(), largest.source, largest.read_only),
        (Some("2000"), ConfigSource::DynamicBroker, false)
    );
    assert_eq!(image.broker_value("message.max.bytes", &node).as_deref(), Some("2000"));
    // The hours are what they are, although the milliseconds are in force.
    let hours = find(&entries, "log.retention.hours");
    assert_eq!((hours.value.as_deref(), hours.source), (Some("168"), ConfigSource::Default));
    let minutes = find(&entries, "log.retention.minutes");
    assert_eq!((minutes.value.as_deref(), minutes.synonyms.len()), (None, 0));
    let retention = find(&entries, "log.retention.ms");
    assert_eq!(
        synonyms(retention),
        [
            ("log.retention.ms", "4", ConfigSource::DynamicDefaultBroker),
            ("log.retention.hours", "168", ConfigSource::Default),
        ]
    );
    assert_eq!(find(&entries, "broker.rack").value, None);

    let defaults = image.describe_default_broker_config();
    assert_eq!(defaults.len(), 1);
    assert_eq!((defaults[0].name.as_str(), defaults[0].value.as_deref()), ("log.retention.ms", Some("4")));
    assert_eq!(synonyms(&defaults[0]), [("log.retention.ms", "4", ConfigSource::DynamicDefaultBroker)]);
}

#[test]
fn illegal_values_are_named() {
    let cases = [
        ("retention.ms", "1.5", "Not a number of type LONG"),
        ("segment.bytes", "99999999999", "Not a number of type INT"),
        ("segment.bytes", "1", "Value must be at least 1048576"),
        ("compression.lz4.level", "18", "Value must be no more than 17"),
        ("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1"),
        ("min.cleanable.dirty.ratio", "-0.1", "Value must be at least 0"),
        ("min.cleanable.dirty.ratio", "NaN", "Not a number of type DOUBLE"),
        ("cleanup.policy", "delete,x", "String must be one of: compact, delete"),
        ("cleanup.policy", "delete,", "Values of a list must not be empty"),
        ("message.timestamp.type", "createtime", "String must be one of: CreateTime, LogAppendTime"),
    ];
    for (name, value, reason) in cases {
        let message = validate_topic_value(name, value).unwrap_err();
        assert_eq!(message, format!("Invalid value {value} for configuration {name}: {reason}"));
    }
    for (name, value) in [
        ("cleanup.policy", ""),
        ("cleanup.policy", "delete,delete"),
        ("cleanup.policy", "delete, compact"),
        ("preallocate", " TRUE "),
    ] {
        validate_topic_value(name, value).unwrap();
    }
    assert!(topic_key("log.retention.ms").is_none());

    let properties = BTreeMap::from([
        ("num.partitions".to_owned(), "0".to_owned()),
        ("node.id".to_owned(), "one".to_owned()),
        ("my.own".to_owned(), "whatever".to_owned()),
    ]);
    let message = StaticBrokerConfig::new(BrokerId(1), properties).unwrap_err();
    assert_eq!(message.lines().count(), 2, "{message}");
    // A secret is not repeated in a message.
    assert!(validate_broker_value("sasl.login.refresh.buffer.seconds", "70000").unwrap_err().contains("SHORT"));
}

#[test]
fn every_key_says_what_it_does_and_whether_it_has_an_effect() {
    for key in BROKER_KEYS.iter().chain(TOPIC_KEYS) {
        assert!(key.doc.ends_with('.'), "{} has no text", key.name);
        assert_eq!(key.documentation().contains("has no effect"), !key.honoured, "{}", key.name);
    }
}

/// Dynamic broker keys that are no default of a topic key: who reads them from the newest image, each time it needs them.
const READ_BY_THEIR_NAME: &[&str] = &[
    // replication/src/throttles.rs
    "follower.replication.throttled.rate",
    "highwater.reassignment.throttled.rate",
    "leader.replication.throttled.rate",
    // replication/src/cleaner.rs
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.io.buffer.load.factor",
    "log.cleaner.io.max.bytes.per.second",
    "log.cleaner.threads",
    // replication/src/metadata.rs
    "producer.id.expiration.ms",
    // replication/src/relocation.rs
    "replica.alter.log.dirs.io.max.bytes.per.second",
];

#[test]
fn every_honoured_dynamic_broker_key_changes_what_is_in_force_without_a_restart() {
    let node = node(&[]);
    let mut by_name = Vec::new();
    for key in BROKER_KEYS.iter().filter(|key| key.honoured && key.dynamic) {
        let value = another_legal_value(key);
        for resource in [ConfigResource::DefaultBroker, ConfigResource::Broker(BrokerId(1))] {
            let image = image(&[(resource, key.name, &value)]);
            assert_eq!(image.broker_value(key.name, &node).as_deref(), Some(value.as_str()), "{}", key.name);
            let is_default_of_a_topic_key = image.topic_config("t", &node) != TopicConfig::default();
            assert!(
                is_default_of_a_topic_key || READ_BY_THEIR_NAME.contains(&key.name),
                "nobody looks at {}",
                key.name
            );
            if !is_default_of_a_topic_key && !by_name.contains(&key.name) {
                by_name.push(key.name);
            }
        }
    }
    assert_eq!(by_name, READ_BY_THEIR_NAME);
}

#[test]
fn every_honoured_topic_key_changes_what_is_in_force_without_a_restart() {
    for key in TOPIC_KEYS.iter().filter(|key| key.honoured) {
        let value = another_legal_value(key);
        let config = image(&[(topic(), key.name, &value)]).topic_config("t", &node(&[]));
        assert_ne!(config, TopicConfig::default(), "nobody looks at {}={value}", key.name);
    }
}

/// A value that is legal and not the default.
fn another_legal_value(key: &ConfigDef) -> String {
    let candidates =
        ["77777", "7", "0.7", "true", "false", "compact", "lz4", "LogAppendTime", "relaxed", "1048577", "0:1,7:2"];
    let is_topic_key = topic_key(key.name) == Some(key);
    let validate = if is_topic_key { validate_topic_value } else { validate_broker_value };
    let other = candidates.iter().find(|value| Some(**value) != key.default && validate(key.name, value).is_ok());
    (*other.unwrap_or_else(|| panic!("no value for {}", key.name))).to_owned()
}
