//! Topics created because somebody asked for them: KIP-487's predecessor, `auto.create.topics.enable`, and internal topics on
//! first use.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{Command, CommandError, CommandResponse, CreateTopics, CreateTopicsEntry};
use highwater_env::lock::Mutex;
use highwater_types::ErrorCode;

use crate::config::GatewayConfig;
use crate::controller::{Controller, Metadata, wait_for};

/// Longest wait for a created topic to show up in this node's metadata with a leader: metadata travels in milliseconds;
/// after this time the client is told to come back.
pub(crate) const MAX_CREATION_WAIT: Duration = Duration::from_secs(2);

/// The topic that holds committed offsets and group metadata.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Creations in flight, so that a thousand clients asking for one topic make one command.
#[derive(Default)]
pub(crate) struct TopicCreation {
    in_flight: Arc<Mutex<BTreeSet<String>>>,
}

/// Removes the names again, also when the request is dropped half-way.
struct InFlight {
    all: Arc<Mutex<BTreeSet<String>>>,
    names: Vec<String>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        for name in &self.names {
            all.remove(name);
        }
    }
}

impl TopicCreation {
    /// Creates the topics that nobody is creating yet, then waits until all of them are in this node's metadata with a
    /// leader for each partition, or [`MAX_CREATION_WAIT`] has passed. Returns the errors of topics that were refused.
    pub(crate) async fn create(
        &self,
        metadata: &dyn Metadata,
        controller: &dyn Controller,
        entries: Vec<CreateTopicsEntry>,
    ) -> Vec<(String, CommandError)> {
        let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        let refused = self.submit(controller, entries).await;
        let wanted: Vec<&String> = names.iter().filter(|name| !refused.iter().any(|(bad, _)| bad == *name)).collect();
        let all_there = |image: &highwater_metadata::MetadataImage| {
            let led = |name: &&String| {
                image.topic_by_name(name).is_some_and(|topic| topic.iter().all(|(_, partition)| partition.has_leader()))
            };
            wanted.iter().all(led).then_some(())
        };
        wait_for(metadata, MAX_CREATION_WAIT, all_there).await;
        refused
    }

    async fn submit(
        &self,
        controller: &dyn Controller,
        entries: Vec<CreateTopicsEntry>,
    ) -> Vec<(String, CommandError)> {
        let (topics, guard) = self.claim(entries);
        if topics.is_empty() {
            return Vec::new();
        }
        let outcome = controller.submit(Command::CreateTopics(CreateTopics { topics, validate_only: false })).await;
        match outcome {
            Ok(CommandResponse::CreateTopics(results)) => results
                .into_iter()
                .filter_map(|(name, result)| result.err().map(|error| (name, error)))
                .filter(|(_, error)| error.code != ErrorCode::TopicAlreadyExists)
                .inspect(|(name, error)| tracing::warn!(topic = %name, %error, "cannot create the topic on first use"))
                .collect(),
            Ok(other) => unreachable!("CreateTopics was answered with {other:?}"),
            Err(error) => {
                tracing::warn!(%error, topics = ?guard.names, "cannot create topics on first use");
                guard.names.iter().map(|name| (name.clone(), error.clone())).collect()
            }
        }
    }

    /// Those of `entries` that nobody creates at this moment.
    fn claim(&self, entries: Vec<CreateTopicsEntry>) -> (Vec<CreateTopicsEntry>, InFlight) {
        let mut all = self.in_flight.lock();
        let topics: Vec<_> = entries.into_iter().filter(|entry| all.insert(entry.name.clone())).collect();
        let names = topics.iter().map(|entry| entry.name.clone()).collect();
        (topics, InFlight { all: Arc::clone(&self.in_flight), names })
    }
}

/// How a topic is created on first use: with the broker's defaults, or as the internal topic it is.
pub(crate) fn first_use_entry(config: &GatewayConfig, name: &str) -> CreateTopicsEntry {
    let (num_partitions, replication_factor, configs) = if name == OFFSETS_TOPIC {
        let set = |key: &str, value: String| (key.to_owned(), Some(value));
        let configs = vec![
            set("cleanup.policy", "compact".to_owned()),
            set("compression.type", "producer".to_owned()),
            set("segment.bytes", config.offsets_topic_segment_bytes.to_string()),
        ];
        (config.offsets_topic_num_partitions, config.offsets_topic_replication_factor, configs)
    } else {
        (config.num_partitions, config.default_replication_factor, Vec::new())
    };
    CreateTopicsEntry { name: name.to_owned(), num_partitions, replication_factor, assignments: Vec::new(), configs }
}
