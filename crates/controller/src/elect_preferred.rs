//! Leaderships back to the preferred leaders (KIP-183).

use highwater_metadata::{MetadataImage, MetadataRecord, PartitionImage};
use highwater_types::{ErrorCode, TopicIdPartition};

use crate::election::{MAX_PARTITION_CHANGES, change_between, find};
use crate::scratch::Scratch;
use crate::{CommandError, CommandResponse, ElectPreferredLeaders, ElectionResult};

pub(crate) fn elect(scratch: &mut Scratch, request: &ElectPreferredLeaders) -> CommandResponse {
    let targets = match &request.partitions {
        Some(targets) => targets.clone(),
        None => improvable(scratch.image()),
    };
    let results = targets.into_iter().map(|target| ElectionResult { target, result: elect_one(scratch, target) });
    CommandResponse::ElectPreferredLeaders(results.collect())
}

/// Partitions that another broker leads although the preferred leader could, bounded.
fn improvable(image: &MetadataImage) -> Vec<TopicIdPartition> {
    let partitions = image.topics().flat_map(|topic| {
        topic.iter().map(|(partition, state)| (TopicIdPartition { topic_id: topic.id, partition }, state))
    });
    let improvable = partitions.filter(|(_, state)| state.leader != state.preferred_leader() && can_lead(image, state));
    improvable.map(|(key, _)| key).take(MAX_PARTITION_CHANGES).collect()
}

fn can_lead(image: &MetadataImage, partition: &PartitionImage) -> bool {
    let preferred = partition.preferred_leader();
    partition.isr.contains(&preferred) && image.is_active(preferred)
}

fn elect_one(scratch: &mut Scratch, target: TopicIdPartition) -> Result<(), CommandError> {
    let Some((_, partition)) = find(scratch.image(), target) else {
        let message = format!("No partition {} of a topic with id {}.", target.partition, target.topic_id);
        return Err(CommandError::new(ErrorCode::UnknownTopicOrPartition, message));
    };
    let preferred = partition.preferred_leader();
    if partition.leader == preferred {
        return Err(CommandError::new(ErrorCode::ElectionNotNeeded, format!("Broker {preferred} leads already.")));
    }
    if !can_lead(scratch.image(), partition) {
        let message = format!("The preferred leader {preferred} is not in sync or not available.");
        return Err(CommandError::new(ErrorCode::PreferredLeaderNotAvailable, message));
    }
    let next = PartitionImage { leader: preferred, ..partition.clone() };
    if let Some(change) = change_between(target.topic_id, target.partition, partition, &next) {
        scratch.push(MetadataRecord::PartitionChange(change));
    }
    Ok(())
}
