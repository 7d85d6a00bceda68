//! Replicas that a client chose, and the state of new partitions.

use highwater_metadata::{MetadataImage, MetadataRecord, PartitionImage};
use highwater_types::{BrokerId, DirectoryId, ErrorCode, PartitionIndex, TopicId};

use crate::CommandError;

/// Checks replicas that a client chose for one partition. `replication_factor` is what the others of the topic have.
pub(crate) fn check_manual(
    image: &MetadataImage,
    replicas: &[BrokerId],
    replication_factor: Option<usize>,
) -> Result<(), CommandError> {
    let refuse = |message: String| Err(CommandError::new(ErrorCode::InvalidReplicaAssignment, message));
    if replicas.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".to_owned());
    }
    for (index, &id) in replicas.iter().enumerate() {
        if image.broker(id).is_none() {
            return refuse(format!(
                "The manual partition assignment includes broker {id}, but no such broker is registered."
            ));
        }
        if replicas[..index].contains(&id) {
            return refuse(format!("The manual partition assignment includes the broker {id} more than once."));
        }
    }
    match replication_factor {
        Some(expected) if expected != replicas.len() => refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with previous \
             partitions, which have {expected} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

/// The record of a new partition: all available replicas are in sync, as there is nothing to sync yet, and the first of them
/// leads. An error when none is available.
pub(crate) fn new_partition(
    image: &MetadataImage,
    topic_id: TopicId,
    partition: PartitionIndex,
    replicas: Vec<BrokerId>,
) -> Result<MetadataRecord, CommandError> {
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(|&id| image.is_active(id)).collect();
    let Some(&leader) = isr.first() else {
        let message = format!(
            "All brokers specified in the manual partition assignment for partition {partition} are fenced or in controlled shutdown."
        );
        return Err(CommandError::new(ErrorCode::InvalidReplicaAssignment, message));
    };
    let directories = replicas.iter().map(|&id| directory_of(image, id)).collect();
    Ok(MetadataRecord::Partition {
        topic_id,
        partition,
        state: PartitionImage::new(replicas, directories, isr, leader),
    })
}

/// The directory of a replica, when its broker has no choice; otherwise the zero id, until the broker tells (KIP-858).
pub(crate) fn directory_of(image: &MetadataImage, id: BrokerId) -> DirectoryId {
    match image.broker(id).map(|broker| broker.log_dirs.as_slice()) {
        Some([only]) => *only,
        _ => DirectoryId::ZERO,
    }
}
