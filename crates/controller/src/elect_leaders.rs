//! ElectLeaders: leaderships back to the preferred leaders (KIP-183), and leaders that may lack records where an operator
//! wants them (KIP-460).

use highwater_metadata::{MetadataImage, MetadataRecord, PartitionImage};
use highwater_types::{ErrorCode, TopicIdPartition};

use crate::election::{Election, MAX_PARTITION_CHANGES, Rules, change_between, find, settle};
use crate::scratch::Scratch;
use crate::{CommandError, CommandResponse, ControllerConfig, ElectLeaders, ElectionResult, ElectionType};

pub(crate) fn elect(scratch: &mut Scratch, config: &ControllerConfig, request: &ElectLeaders) -> CommandResponse {
    let kind = request.election;
    let targets = match &request.partitions {
        Some(targets) => targets.clone(),
        None => not_elected(scratch.image(), kind),
    };
    let results =
        targets.into_iter().map(|target| ElectionResult { target, result: elect_one(scratch, config, kind, target) });
    CommandResponse::ElectLeaders(results.collect())
}

/// Partitions that an election of that kind is about, bounded.
fn not_elected(image: &MetadataImage, kind: ElectionType) -> Vec<TopicIdPartition> {
    let partitions = image.topics().flat_map(|topic| {
        topic.iter().map(|(partition, state)| (TopicIdPartition { topic_id: topic.id, partition }, state))
    });
    let wanted = partitions.filter(|(_, state)| !is_elected(state, kind));
    wanted.map(|(key, _)| key).take(MAX_PARTITION_CHANGES).collect()
}

fn is_elected(partition: &PartitionImage, kind: ElectionType) -> bool {
    match kind {
        ElectionType::Preferred => partition.leader == partition.preferred_leader(),
        ElectionType::Unclean => partition.has_leader(),
    }
}

fn elect_one(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    kind: ElectionType,
    target: TopicIdPartition,
) -> Result<(), CommandError> {
    let image = scratch.image();
    let Some((topic, partition)) = find(image, target) else {
        let message = format!("No partition {} of a topic with id {}.", target.partition, target.topic_id);
        return Err(CommandError::new(ErrorCode::UnknownTopicOrPartition, message));
    };
    if is_elected(partition, kind) {
        let message = format!("Leader election not needed for topic partition: broker {} leads.", partition.leader);
        return Err(CommandError::new(ErrorCode::ElectionNotNeeded, message));
    }
    let election = match kind {
        ElectionType::Preferred => Election::Preferred,
        ElectionType::Unclean => Election::Unclean,
    };
    let next = settle(&Rules::of(image, config, topic), partition, partition.clone(), None, election);
    if !is_elected(&next, kind) {
        return Err(unavailable(partition, kind));
    }
    if let Some(change) = change_between(target.topic_id, target.partition, partition, &next) {
        scratch.push(MetadataRecord::PartitionChange(change));
    }
    Ok(())
}

fn unavailable(partition: &PartitionImage, kind: ElectionType) -> CommandError {
    match kind {
        ElectionType::Preferred => {
            let message =
                format!("The preferred leader {} is not in sync or not available.", partition.preferred_leader());
            CommandError::new(ErrorCode::PreferredLeaderNotAvailable, message)
        }
        ElectionType::Unclean => {
            let message = format!("None of the replicas {:?} is available.", partition.replicas);
            CommandError::new(ErrorCode::EligibleLeadersNotAvailable, message)
        }
    }
}
