//! Why records were written: an event precedes what follows from it, in the same entry of the metadata log.

use highwater_types::{BrokerId, Timestamp};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A broker's process registered.
    BrokerRegistered,
    /// A broker had caught up with the metadata and began to serve.
    BrokerUnfenced,
    /// A broker's session ended.
    BrokerFenced,
    /// A broker was told to stop, and gives its leaderships away.
    BrokerStopping,
    /// A broker was taken out of the cluster.
    BrokerUnregistered,
    /// Log directories of a broker failed.
    LogDirsFailed,
    /// A broker told in which log directories its replicas are.
    ReplicasPlaced,
    /// Topics were created.
    TopicsCreated,
    /// Partitions were added to topics.
    PartitionsAdded,
    /// A leader proposed another ISR.
    IsrProposed,
    /// Preferred leaders were elected, by request or by the automatic balance.
    PreferredElection,
    /// A leader was wanted even if it lacks records.
    UncleanElection,
    /// Partitions were given other replicas, or that was cancelled.
    Reassigned,
    /// Configuration changed.
    Configured,
}

impl EventKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::BrokerRegistered,
        Self::BrokerUnfenced,
        Self::BrokerFenced,
        Self::BrokerStopping,
        Self::BrokerUnregistered,
        Self::LogDirsFailed,
        Self::ReplicasPlaced,
        Self::TopicsCreated,
        Self::PartitionsAdded,
        Self::IsrProposed,
        Self::PreferredElection,
        Self::UncleanElection,
        Self::Reassigned,
        Self::Configured,
    ];

    /// Its number in stored records, from 1 on. Never changes its meaning.
    pub fn code(self) -> i32 {
        Self::ALL.iter().position(|&kind| kind == self).map_or(0, |position| position as i32 + 1)
    }

    /// The kind of that number.
    pub fn from_code(code: i32) -> Option<Self> {
        usize::try_from(code.checked_sub(1)?).ok().and_then(|position| Self::ALL.get(position).copied())
    }

    /// Its name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BrokerRegistered => "broker_registered",
            Self::BrokerUnfenced => "broker_unfenced",
            Self::BrokerFenced => "broker_fenced",
            Self::BrokerStopping => "broker_stopping",
            Self::BrokerUnregistered => "broker_unregistered",
            Self::LogDirsFailed => "log_dirs_failed",
            Self::ReplicasPlaced => "replicas_placed",
            Self::TopicsCreated => "topics_created",
            Self::PartitionsAdded => "partitions_added",
            Self::IsrProposed => "isr_proposed",
            Self::PreferredElection => "preferred_election",
            Self::UncleanElection => "unclean_election",
            Self::Reassigned => "reassigned",
            Self::Configured => "configured",
        }
    }
}

/// The reason for the records that follow it, up to the next event or the end of the entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MetadataEvent {
    /// When the active controller decided, by its clock.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// The broker that it happened to, or that asked.
    pub broker: Option<BrokerId>,
    /// More for people, such as how a session ended; may be empty.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_number_and_a_name_of_its_own() {
        for (position, &kind) in EventKind::ALL.iter().enumerate() {
            assert_eq!(kind.code(), position as i32 + 1);
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
            assert!(EventKind::ALL[..position].iter().all(|other| other.name() != kind.name()));
        }
        for unknown in [i32::MIN, -1, 0, EventKind::ALL.len() as i32 + 1, i32::MAX] {
            assert_eq!(EventKind::from_code(unknown), None);
        }
    }
}
