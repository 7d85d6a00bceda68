//! CreatePartitions (KIP-195).

use std::collections::BTreeMap;

use highwater_metadata::{MetadataImage, TopicImage};
use highwater_types::limits::MAX_PARTITIONS_PER_REQUEST;
use highwater_types::{BrokerId, ErrorCode, PartitionIndex};
use rand_core::RngCore;

use crate::assignment::{check_manual, new_partition};
use crate::placement::Placer;
use crate::scratch::Scratch;
use crate::{CommandError, CommandResponse, CreatePartitions, CreatePartitionsTopic, Decision};

pub(crate) fn decide(mut scratch: Scratch, rng: &mut dyn RngCore, request: &CreatePartitions) -> Decision {
    let mut names = BTreeMap::new();
    for topic in &request.topics {
        *names.entry(topic.name.as_str()).or_insert(0u32) += 1;
    }
    let mut budget = MAX_PARTITIONS_PER_REQUEST;
    let mut results = Vec::new();
    for topic in &request.topics {
        let result = match names.insert(&topic.name, 0) {
            Some(0) => continue,
            Some(1) => create(&mut scratch, rng, &mut budget, topic),
            _ => Err(CommandError::new(ErrorCode::InvalidRequest, "Duplicate topic name.")),
        };
        results.push((topic.name.clone(), result));
    }
    let response = CommandResponse::CreatePartitions(results);
    if request.validate_only { Scratch::only_validate(response) } else { scratch.accept(response) }
}

/// Adds the records of one topic, or none. `budget`: partitions that this request may still create.
fn create(
    scratch: &mut Scratch,
    rng: &mut dyn RngCore,
    budget: &mut usize,
    request: &CreatePartitionsTopic,
) -> Result<(), CommandError> {
    let image = scratch.image();
    let Some(topic) = image.topic_by_name(&request.name) else {
        let message = "This server does not host this topic-partition.";
        return Err(CommandError::new(ErrorCode::UnknownTopicOrPartition, message));
    };
    let additional = additional_partitions(topic, request.count, *budget)?;
    let assignments = match &request.assignments {
        Some(assignments) => manual(image, topic, additional, assignments)?,
        None => {
            let replication_factor = i16::try_from(topic.partitions[0].replicas.len()).expect("it was an i16 once");
            let mut placer = Placer::new(image, rng);
            (0..additional).map(|_| placer.place(replication_factor)).collect::<Result<_, _>>()?
        }
    };
    let indexes = (topic.partition_count()..).map(PartitionIndex);
    let new = indexes.zip(assignments).map(|(index, replicas)| new_partition(image, topic.id, index, replicas));
    let records = new.collect::<Result<_, _>>()?;
    *budget -= additional;
    scratch.extend(records);
    Ok(())
}

fn additional_partitions(topic: &TopicImage, count: i32, budget: usize) -> Result<usize, CommandError> {
    let present = topic.partition_count();
    let refuse = |message| Err(CommandError::new(ErrorCode::InvalidPartitions, message));
    if count == present {
        return refuse(format!("Topic already has {present} partition(s)."));
    }
    if count < present {
        return refuse(format!(
            "The topic {} currently has {present} partition(s); {count} would not be an increase.",
            topic.name
        ));
    }
    let additional = usize::try_from(count - present).expect("it is positive");
    if additional > budget {
        return refuse(format!(
            "{additional} more partitions are too many: at most {MAX_PARTITIONS_PER_REQUEST} are created at once."
        ));
    }
    Ok(additional)
}

fn manual(
    image: &MetadataImage,
    topic: &TopicImage,
    additional: usize,
    assignments: &[Vec<BrokerId>],
) -> Result<Vec<Vec<BrokerId>>, CommandError> {
    if assignments.len() != additional {
        let message = format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
            assignments.len()
        );
        return Err(CommandError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    for replicas in assignments {
        check_manual(image, replicas, Some(topic.partitions[0].replicas.len()))?;
    }
    Ok(assignments.to_vec())
}
