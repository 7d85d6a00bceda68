//! CreateTopics.

use std::collections::{BTreeMap, BTreeSet};

use highwater_metadata::config::validate_topic_values;
use highwater_metadata::{ConfigResource, MetadataImage, MetadataRecord, TopicImage};
use highwater_types::limits::MAX_PARTITIONS_PER_REQUEST;
use highwater_types::{BrokerId, ErrorCode, PartitionIndex, TopicId, TopicName};
use rand_core::RngCore;

use crate::assignment::{check_manual, new_partition};
use crate::placement::Placer;
use crate::scratch::Scratch;
use crate::{
    CommandError, CommandResponse, ControllerConfig, CreateTopics, CreateTopicsEntry, CreatedTopic, CreatedTopicConfig,
    Decision,
};

/// Kafka's name for the log of its metadata: reserved, so that tools that know it are not misled.
const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

pub(crate) fn decide(
    mut scratch: Scratch,
    config: &ControllerConfig,
    rng: &mut dyn RngCore,
    request: &CreateTopics,
) -> Decision {
    let mut names = BTreeMap::new();
    for topic in &request.topics {
        *names.entry(topic.name.as_str()).or_insert(0u32) += 1;
    }
    let mut budget = MAX_PARTITIONS_PER_REQUEST;
    let mut results = Vec::new();
    for topic in &request.topics {
        let result = match names.insert(&topic.name, 0) {
            Some(0) => continue,
            Some(1) => create(&mut scratch, config, rng, &mut budget, topic),
            _ => Err(CommandError::new(ErrorCode::InvalidRequest, "Duplicate topic name.")),
        };
        results.push((topic.name.clone(), result));
    }
    if !request.validate_only {
        return scratch.accept(CommandResponse::CreateTopics(results));
    }
    for created in results.iter_mut().filter_map(|(_, result)| result.as_mut().ok()) {
        created.id = TopicId::ZERO;
    }
    Scratch::only_validate(CommandResponse::CreateTopics(results))
}

/// Adds the records of one topic, or none. `budget`: partitions that this request may still create.
fn create(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    rng: &mut dyn RngCore,
    budget: &mut usize,
    topic: &CreateTopicsEntry,
) -> Result<CreatedTopic, CommandError> {
    let image = scratch.image();
    check_budget(1, *budget)?;
    let name = check_name(image, &topic.name)?;
    let overrides = check_configs(&topic.configs)?;
    let id = new_topic_id(image, rng);
    let assignments = assign(image, config, rng, *budget, topic)?;

    let mut records = vec![MetadataRecord::Topic { name: name.clone(), id }];
    records.extend(overrides.iter().map(|(key, value)| MetadataRecord::Config {
        resource: ConfigResource::Topic(name.clone()),
        name: key.clone(),
        value: Some(value.clone()),
    }));
    let (num_partitions, replication_factor) = (assignments.len(), assignments[0].len());
    for (partition, replicas) in (0i32..).map(PartitionIndex).zip(assignments) {
        records.push(new_partition(image, id, partition, replicas)?);
    }
    let configs = describe(image, config, &overrides);
    *budget -= num_partitions;
    scratch.extend(records);
    Ok(CreatedTopic {
        id,
        num_partitions: i32::try_from(num_partitions).expect("bounded per request"),
        replication_factor: i16::try_from(replication_factor).expect("bounded by the number of brokers"),
        configs,
    })
}

fn check_name(image: &MetadataImage, name: &str) -> Result<TopicName, CommandError> {
    let legal = TopicName::new(name).map_err(|error| CommandError::new(ErrorCode::InvalidTopicException, error.0))?;
    if name == CLUSTER_METADATA_TOPIC {
        let message = format!("Creation of internal topic {name} is prohibited.");
        return Err(CommandError::new(ErrorCode::InvalidRequest, message));
    }
    if image.topic_by_name(name).is_some() {
        return Err(CommandError::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    if let Some(other) = colliding(image, name) {
        let message = format!("Topic '{name}' collides with existing topic: {}", other.name);
        return Err(CommandError::new(ErrorCode::InvalidTopicException, message));
    }
    Ok(legal)
}

/// A topic whose name collides: it begins as the name does before the first character that may differ.
fn colliding<'a>(image: &'a MetadataImage, name: &'a str) -> Option<&'a TopicImage> {
    let (beginning, _) = name.split_once(['.', '_'])?;
    let mut alike = image.topics_by_name_from(beginning).take_while(|other| other.name.as_str().starts_with(beginning));
    alike.find(|other| collides(other.name.as_str(), name)).map(|other| &**other)
}

/// Names that differ only in `.` and `_` would share metric names.
fn collides(a: &str, b: &str) -> bool {
    let folded = |byte: u8| if byte == b'.' { b'_' } else { byte };
    a.len() == b.len() && a.bytes().map(folded).eq(b.bytes().map(folded))
}

/// Of a key that is given twice the last value counts.
fn check_configs(configs: &[(String, Option<String>)]) -> Result<BTreeMap<String, String>, CommandError> {
    let invalid = |message| CommandError::new(ErrorCode::InvalidConfig, message);
    let mut overrides = BTreeMap::new();
    for (name, value) in configs {
        let Some(value) = value else {
            return Err(invalid(format!("Null value not supported for topic configs: {name}")));
        };
        overrides.insert(name.clone(), value.clone());
    }
    validate_topic_values(&overrides).map_err(invalid)?;
    Ok(overrides)
}

/// 122 random bits do not repeat ids of deleted topics (M8).
fn new_topic_id(image: &MetadataImage, rng: &mut dyn RngCore) -> TopicId {
    loop {
        let bits = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
        let id = TopicId::from_random(bits);
        if image.topic(id).is_none() {
            return id;
        }
    }
}

/// The replicas of each partition, in order; at least one partition.
fn assign(
    image: &MetadataImage,
    config: &ControllerConfig,
    rng: &mut dyn RngCore,
    budget: usize,
    topic: &CreateTopicsEntry,
) -> Result<Vec<Vec<BrokerId>>, CommandError> {
    if !topic.assignments.is_empty() {
        return manual(image, budget, topic);
    }
    let replication_factor = match topic.replication_factor {
        -1 => config.default_replication_factor,
        factor if factor <= 0 => {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(CommandError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        factor => factor,
    };
    let num_partitions = match topic.num_partitions {
        -1 => config.num_partitions,
        count => count,
    };
    let count = usize::try_from(num_partitions).ok().filter(|&count| count > 0).ok_or_else(|| {
        let message = "Number of partitions was set to an invalid non-positive value.";
        CommandError::new(ErrorCode::InvalidPartitions, message)
    })?;
    check_budget(count, budget)?;
    let mut placer = Placer::new(image, rng);
    (0..count).map(|_| placer.place(replication_factor)).collect()
}

fn manual(image: &MetadataImage, budget: usize, topic: &CreateTopicsEntry) -> Result<Vec<Vec<BrokerId>>, CommandError> {
    let refuse = |code, message: &str| Err(CommandError::new(code, message));
    if topic.replication_factor != -1 {
        let message = "A manual partition assignment was specified, but replication factor was not set to -1.";
        return refuse(ErrorCode::InvalidRequest, message);
    }
    if topic.num_partitions != -1 {
        let message = "A manual partition assignment was specified, but numPartitions was not set to -1.";
        return refuse(ErrorCode::InvalidRequest, message);
    }
    check_budget(topic.assignments.len(), budget)?;
    let indexes: BTreeSet<_> = topic.assignments.iter().map(|assignment| assignment.partition.get()).collect();
    let is_consecutive =
        indexes.len() == topic.assignments.len() && (0i32..).zip(&indexes).all(|(expected, &index)| expected == index);
    if !is_consecutive {
        let message = "Partitions of the manual assignment should be a consecutive 0-based integer sequence.";
        return refuse(ErrorCode::InvalidReplicaAssignment, message);
    }
    let mut assignments: Vec<_> = topic.assignments.iter().collect();
    assignments.sort_by_key(|assignment| assignment.partition);
    let first = assignments[0].replicas.len();
    for assignment in &assignments {
        check_manual(image, &assignment.replicas, Some(first))?;
    }
    Ok(assignments.into_iter().map(|assignment| assignment.replicas.clone()).collect())
}

fn check_budget(count: usize, budget: usize) -> Result<(), CommandError> {
    if count <= budget {
        return Ok(());
    }
    let message = format!(
        "Excessively large number of partitions per request: at most {MAX_PARTITIONS_PER_REQUEST} are created at once."
    );
    Err(CommandError::new(ErrorCode::PolicyViolation, message))
}

fn describe(
    image: &MetadataImage,
    config: &ControllerConfig,
    overrides: &BTreeMap<String, String>,
) -> Vec<CreatedTopicConfig> {
    let entries = image.describe_new_topic_config(overrides, &config.static_config).into_iter();
    entries
        .map(|entry| CreatedTopicConfig {
            name: entry.name,
            value: entry.value,
            read_only: entry.read_only,
            source: entry.source,
            sensitive: entry.sensitive,
        })
        .collect()
}
