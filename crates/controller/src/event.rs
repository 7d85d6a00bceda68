//! Which event of the metadata log a command is.

use highwater_metadata::{EVENTS_LEVEL, EventKind, METADATA_VERSION, MetadataEvent, MetadataImage, SupportedFeature};
use highwater_types::{BrokerId, Timestamp};

use crate::{Command, ElectionType};

/// The event that precedes the records of `command`; `None` for commands that change no partition and no broker, and while the
/// cluster's nodes do not all know this kind of record.
pub(crate) fn event_of(image: &MetadataImage, now: Timestamp, command: &Command) -> Option<MetadataEvent> {
    let level = SupportedFeature::find(METADATA_VERSION)?.level(image);
    if level < EVENTS_LEVEL {
        return None;
    }
    let (kind, broker, detail) = described(command)?;
    Some(MetadataEvent { at: now, kind, broker, detail })
}

fn described(command: &Command) -> Option<(EventKind, Option<BrokerId>, String)> {
    let nothing_more = String::new();
    Some(match command {
        Command::RegisterBroker(request) => {
            let stop = if request.clean_shutdown { "after a clean stop" } else { "not after a clean stop" };
            (EventKind::BrokerRegistered, Some(request.id), stop.to_owned())
        }
        Command::UnfenceBroker(request) => (EventKind::BrokerUnfenced, Some(request.session.id), nothing_more),
        Command::FenceBroker(request) => (EventKind::BrokerFenced, Some(request.session.id), request.reason.clone()),
        Command::ControlledShutdown(session) => (EventKind::BrokerStopping, Some(session.id), nothing_more),
        Command::UnregisterBroker(request) => (EventKind::BrokerUnregistered, Some(request.id), nothing_more),
        Command::OfflineLogDirs(request) => (EventKind::LogDirsFailed, Some(request.session.id), nothing_more),
        Command::AssignReplicasToDirs(request) => (EventKind::ReplicasPlaced, Some(request.session.id), nothing_more),
        Command::CreateTopics(_) => (EventKind::TopicsCreated, None, nothing_more),
        Command::CreatePartitions(_) => (EventKind::PartitionsAdded, None, nothing_more),
        Command::AlterPartition(request) => (EventKind::IsrProposed, Some(request.session.id), nothing_more),
        Command::ElectLeaders(request) => match request.election {
            ElectionType::Preferred => (EventKind::PreferredElection, None, nothing_more),
            ElectionType::Unclean => (EventKind::UncleanElection, None, nothing_more),
        },
        Command::AlterPartitionReassignments(_) => (EventKind::Reassigned, None, nothing_more),
        Command::IncrementalAlterConfigs(_) => (EventKind::Configured, None, nothing_more),
        Command::Bootstrap(_)
        | Command::RegisterController(_)
        | Command::UnregisterController(_)
        | Command::DeleteTopics(_)
        | Command::AllocateProducerIds(_)
        | Command::UpdateFeatures(_) => return None,
    })
}
