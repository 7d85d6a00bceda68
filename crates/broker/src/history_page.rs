//! `/partitions/TOPIC/INDEX/history` over HTTP: a partition's state, and what the metadata log says of how it came to be.
//! `highwater explain` reads it; its form is for that command of the same version, and for people.

use std::sync::Arc;

use highwater_metadata::{BrokerRegistration, HistoryEntry, MetadataImage, MetadataRecord, PartitionImage};
use highwater_quorum::{BrokerLink, ControllerClient, ControllerNode, KnownHistory};
use highwater_types::{BrokerId, PartitionIndex, TopicIdPartition};
use serde::{Deserialize, Serialize};

/// The page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryPage {
    pub(crate) topic: String,
    pub(crate) topic_id: String,
    pub(crate) partition: i32,
    /// Where the metadata log ended, as far as the answering node knew.
    pub(crate) metadata_offset: i64,
    pub(crate) state: State,
    /// Those that hold a replica, in the order of the replicas.
    pub(crate) brokers: Vec<Broker>,
    /// From this offset of the metadata log on nothing is missing.
    pub(crate) complete_from: i64,
    /// Whether that includes the partition's creation.
    pub(crate) whole: bool,
    /// Oldest first.
    pub(crate) entries: Vec<Entry>,
}

/// The partition now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// `None`: nobody leads.
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) partition_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) elr: Vec<i32>,
    pub(crate) last_known_elr: Vec<i32>,
    pub(crate) adding: Vec<i32>,
    pub(crate) removing: Vec<i32>,
    /// Leader epoch of the last unclean election.
    pub(crate) unclean_epoch: Option<i32>,
}

/// A broker that holds a replica, now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Broker {
    pub(crate) id: i32,
    pub(crate) registered: bool,
    pub(crate) fenced: bool,
    pub(crate) stopping: bool,
    /// Whether the log directory of the replica is in service.
    pub(crate) directory_online: bool,
}

/// One record of the metadata log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) offset: i64,
    /// `None` where the log does not say why.
    pub(crate) event: Option<Event>,
    pub(crate) change: Change,
}

/// Why the record was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// Milliseconds since 1970, by the clock of the active controller.
    pub(crate) at: i64,
    pub(crate) kind: String,
    pub(crate) broker: Option<i32>,
    pub(crate) detail: String,
}

/// What the record changed. What is absent stayed as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Change {
    Partition(PartitionChange),
    Broker { broker: i32, what: BrokerEvent },
}

/// See [`Change::Partition`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct PartitionChange {
    pub(crate) created: bool,
    /// -1: nobody leads from then on.
    pub(crate) leader: Option<i32>,
    pub(crate) isr: Option<Vec<i32>>,
    pub(crate) elr: Option<Vec<i32>>,
    pub(crate) replicas: Option<Vec<i32>>,
    /// Whether the leader was elected from outside ISR and ELR, or has recovered from that.
    pub(crate) recovering: Option<bool>,
    pub(crate) leader_epoch: i32,
    pub(crate) partition_epoch: i32,
}

/// See [`Change::Broker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BrokerEvent {
    Registered,
    Unfenced,
    Fenced,
    Stopping,
    LogDirsFailed,
    Unregistered,
    /// Nothing that a partition depends on.
    Other,
}

/// Makes pages.
#[derive(Clone)]
pub(crate) struct Historian {
    pub(crate) client: ControllerClient,
    pub(crate) link: Option<BrokerLink>,
    pub(crate) controller: Option<ControllerNode>,
}

impl Historian {
    fn image(&self) -> Option<Arc<MetadataImage>> {
        match (&self.link, &self.controller) {
            (Some(link), _) => Some(link.metadata().load()),
            (None, Some(controller)) => Some(controller.image()),
            (None, None) => None,
        }
    }

    /// The page of a partition. `Ok(None)`: there is none of that name. `Err`: no controller answers.
    pub(crate) async fn page(&self, topic: &str, partition: i32) -> Result<Option<HistoryPage>, String> {
        let Some(image) = self.image() else { return Ok(None) };
        let Some(topic) = image.topic_by_name(topic) else { return Ok(None) };
        let target = TopicIdPartition { topic_id: topic.id, partition: PartitionIndex(partition) };
        let Some(state) = image.topic_partition(target) else { return Ok(None) };
        let history = self.client.history(target).await.ok_or("no controller answers")?;
        Ok(Some(HistoryPage {
            topic: topic.name.as_str().to_owned(),
            topic_id: topic.id.to_string(),
            partition,
            metadata_offset: image.offset().0,
            state: state_of(state),
            brokers: state.replicas.iter().map(|&id| broker_of(&image, state, id)).collect(),
            complete_from: history.complete_from.0,
            whole: history.is_whole(),
            entries: entries_of(&history),
        }))
    }
}

fn numbers(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.get()).collect()
}

fn state_of(partition: &PartitionImage) -> State {
    State {
        leader: partition.has_leader().then_some(partition.leader.get()),
        leader_epoch: partition.leader_epoch.get(),
        partition_epoch: partition.partition_epoch.get(),
        replicas: numbers(&partition.replicas),
        isr: numbers(&partition.isr),
        elr: numbers(&partition.elr),
        last_known_elr: numbers(&partition.last_known_elr),
        adding: numbers(&partition.adding),
        removing: numbers(&partition.removing),
        unclean_epoch: Some(partition.unclean_epoch.get()).filter(|epoch| *epoch >= 0),
    }
}

fn broker_of(image: &MetadataImage, partition: &PartitionImage, id: BrokerId) -> Broker {
    let registration: Option<&BrokerRegistration> = image.broker(id).map(|broker| &**broker);
    Broker {
        id: id.get(),
        registered: registration.is_some(),
        fenced: registration.is_none_or(|broker| broker.fenced),
        stopping: registration.is_some_and(|broker| broker.in_controlled_shutdown),
        directory_online: image.has_online_directory(partition, id),
    }
}

fn entries_of(history: &KnownHistory) -> Vec<Entry> {
    history.entries.iter().filter_map(entry_of).collect()
}

fn entry_of(entry: &HistoryEntry) -> Option<Entry> {
    let event = entry.event.as_ref().map(|event| Event {
        at: event.at.0,
        kind: event.kind.name().to_owned(),
        broker: event.broker.map(BrokerId::get),
        detail: event.detail.clone(),
    });
    Some(Entry { offset: entry.offset.0, event, change: change_of(&entry.record)? })
}

fn change_of(record: &MetadataRecord) -> Option<Change> {
    let of_broker = |broker: BrokerId, what| Some(Change::Broker { broker: broker.get(), what });
    match record {
        MetadataRecord::Partition { state, .. } => Some(Change::Partition(PartitionChange {
            created: true,
            leader: Some(state.leader.get()),
            isr: Some(numbers(&state.isr)),
            elr: Some(numbers(&state.elr)),
            replicas: Some(numbers(&state.replicas)),
            recovering: None,
            leader_epoch: state.leader_epoch.get(),
            partition_epoch: state.partition_epoch.get(),
        })),
        MetadataRecord::PartitionChange(change) => Some(Change::Partition(PartitionChange {
            created: false,
            leader: change.leader.map(BrokerId::get),
            isr: change.isr.as_deref().map(numbers),
            elr: change.elr.as_deref().map(numbers),
            replicas: change.replicas.as_deref().map(numbers),
            recovering: change.leader_recovery.map(|state| state.code() != 0),
            leader_epoch: change.leader_epoch.get(),
            partition_epoch: change.partition_epoch.get(),
        })),
        MetadataRecord::RegisterBroker(registration) => of_broker(registration.id, BrokerEvent::Registered),
        MetadataRecord::UnregisterBroker { id, .. } => of_broker(*id, BrokerEvent::Unregistered),
        MetadataRecord::BrokerChange(change) => of_broker(
            change.id,
            match (change.fenced, change.in_controlled_shutdown, &change.log_dirs) {
                (Some(true), _, _) => BrokerEvent::Fenced,
                (Some(false), _, _) => BrokerEvent::Unfenced,
                (None, Some(true), _) => BrokerEvent::Stopping,
                (None, _, Some(_)) => BrokerEvent::LogDirsFailed,
                (None, _, None) => BrokerEvent::Other,
            },
        ),
        _ => None,
    }
}
