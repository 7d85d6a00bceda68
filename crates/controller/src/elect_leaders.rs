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

/// Partitions that an election of that kind is about, bounded. Those that cannot have the wanted leader now come last: there may
/// be many for long, and must not keep the others from their turn.
fn not_elected(image: &MetadataImage, kind: ElectionType) -> Vec<TopicIdPartition> {
    let partitions = image.topics().flat_map(|topic| {
        topic.iter().map(|(partition, state)| (TopicIdPartition { topic_id: topic.id, partition }, state))
    });
    let wanted = partitions.filter(|(_, state)| !is_elected(state, kind));
    let (now, later): (Vec<_>, Vec<_>) = wanted.partition(|(_, state)| has_candidate(image, state, kind));
    now.into_iter().chain(later).map(|(key, _)| key).take(MAX_PARTITION_CHANGES).collect()
}

fn has_candidate(image: &MetadataImage, partition: &PartitionImage, kind: ElectionType) -> bool {
    match kind {
        ElectionType::Preferred => partition.isr.contains(&partition.preferred_leader()),
        ElectionType::Unclean => partition.replicas.iter().any(|&id| image.is_replica_active(partition, id)),
    }
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

#[cfg(test)]
mod tests {
    use highwater_types::{BrokerId, DirectoryId, MetadataOffset, PartitionIndex, TopicId, TopicName};

    use super::*;

    fn topic(id: u128, partitions: usize, replicas: [i32; 2], isr: &[i32]) -> Vec<MetadataRecord> {
        let (name, id) = (TopicName::new(&format!("t{id}")).unwrap(), TopicId::from_bytes(id.to_be_bytes()));
        let isr: Vec<BrokerId> = isr.iter().copied().map(BrokerId).collect();
        let (replicas, directories) = (replicas.map(BrokerId).to_vec(), vec![DirectoryId::UNASSIGNED; 2]);
        let state = PartitionImage::new(replicas, directories, isr, BrokerId(2));
        let partition = |partition| MetadataRecord::Partition { topic_id: id, partition, state: state.clone() };
        let partitions = (0i32..).map(PartitionIndex).take(partitions).map(partition);
        [MetadataRecord::Topic { name, id }].into_iter().chain(partitions).collect()
    }

    #[test]
    fn partitions_whose_preferred_leader_is_gone_do_not_keep_others_waiting() {
        // Broker 1 is gone for long; broker 3 is back.
        let gone = topic(1, MAX_PARTITION_CHANGES, [1, 2], &[2]);
        let records: Vec<_> = gone.into_iter().chain(topic(2, 1, [3, 2], &[3, 2])).collect();
        let image = MetadataImage::empty().apply(&records, MetadataOffset(records.len() as i64)).0;
        let targets = not_elected(&image, ElectionType::Preferred);
        assert_eq!(targets.len(), MAX_PARTITION_CHANGES);
        assert_eq!(targets[0].topic_id, TopicId::from_bytes(2u128.to_be_bytes()));
    }
}
