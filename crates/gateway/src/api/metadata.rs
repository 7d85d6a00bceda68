//! Metadata (key 3): brokers, topics, partitions and their leaders; creates unknown topics where that is allowed. Where a leader
//! may just have died, the answer waits for what the controller makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::CommandError;
use highwater_env::clock;
use highwater_metadata::{MetadataImage, PartitionImage, TopicImage};
use highwater_protocol::StrBytes;
use highwater_protocol::messages::metadata_request::MetadataRequestTopic;
use highwater_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use highwater_protocol::messages::{self, MetadataRequest, MetadataResponse};
use highwater_types::{BrokerId, ErrorCode, PartitionIndex, TopicId, TopicName};

use crate::answer::Answer;
use crate::authorized_operations;
use crate::controller::wait_for;
use crate::departures::{Departure, GONE_FIRST};
use crate::duplicates::each_once;
use crate::endpoints::{alive_endpoint, controller_for_clients, listed_brokers, offline_replicas};
use crate::state::{GatewayState, RequestContext};
use crate::topic_creation::first_use_entry;
use crate::wire::{broker_ids, name_of, string};

/// First version in which topics can be asked for by id.
const TOPIC_ID_VERSION: i16 = 12;
/// Longest wait for what became of a leader that may have died.
const SUSPENSE: Duration = Duration::from_millis(500);
/// A client that asks for topics again on the same connection has mostly just lost its leader, and may know before this node
/// does: the system closes a dead process's connections one after the other.
const NOTICE: Duration = Duration::from_millis(5);
/// First version that tells a leader without this listener from no leader.
const LISTENER_ERROR_VERSION: i16 = 6;

pub(crate) fn handle(state: Arc<GatewayState>, context: RequestContext, body: MetadataRequest) -> Answer {
    let image = state.image();
    let missing = match &body.topics {
        Some(topics) if may_create(&state, &body) => names_to_create(&image, topics),
        _ => Vec::new(),
    };
    if missing.is_empty() {
        let again = body.topics.is_some() && context.connection.asks_metadata_again();
        if !again && let Some(image) = without_waiting(&state, &context, &body) {
            return Answer::Now(respond(&state, &image, &context, &body, &BTreeMap::new()).into());
        }
        // It would take the old leader for the answer, and wait.
        let answer = async move {
            if again {
                tokio::time::sleep(NOTICE).await;
            }
            let image = match without_waiting(&state, &context, &body) {
                Some(image) => image,
                None => {
                    let suspects = state.services.replicas.suspected_leaders().into_keys().collect::<Vec<_>>();
                    let decided = |image: &MetadataImage| (!is_led_by(image, &body, &suspects)).then_some(());
                    wait_for(&*state.services.metadata, SUSPENSE, decided).await;
                    state.image()
                }
            };
            respond(&state, &image, &context, &body, &BTreeMap::new()).into()
        };
        return Answer::Parked(Box::pin(answer));
    }
    let creation = async move {
        let entries = missing.iter().map(|name| first_use_entry(&state.config, name)).collect();
        let services = &state.services;
        let refused = state.topic_creation.create(&*services.metadata, &*services.controller, entries).await;
        let mut creating: BTreeMap<String, ErrorCode> =
            missing.into_iter().map(|name| (name, ErrorCode::LeaderNotAvailable)).collect();
        creating.extend(refused.into_iter().map(|(name, error)| (name, creation_error(&error))));
        respond(&state, &state.image(), &context, &body, &creating).into()
    };
    Answer::Exclusive(Box::pin(creation))
}

/// The metadata to answer from, unless it is to be waited for what becomes of a leader.
fn without_waiting(
    state: &GatewayState,
    context: &RequestContext,
    body: &MetadataRequest,
) -> Option<Arc<MetadataImage>> {
    let (image, suspects) = (state.image(), state.services.replicas.suspected_leaders());
    // Without a lease it is this node that is cut off, or hung until now.
    if context.connection.is_librdkafka_producer() && state.services.replicas.has_lease() {
        let now = clock::mono_ms();
        let departure = state.departures.latest(&state.services.metadata.image(), now);
        let new_suspects = suspects.iter().filter(|(_, broken)| **broken < GONE_FIRST).map(|(&broker, _)| broker);
        let gone: Vec<BrokerId> =
            new_suspects.filter(|&broker| state.departures.has_died_lately(broker, now)).collect();
        let between = before_its_successor(&image, body, &gone, departure.as_ref());
        if between.is_some() {
            return between;
        }
    }
    (!is_led_by(&image, body, &suspects.into_keys().collect::<Vec<_>>())).then_some(image)
}

/// The metadata without a leader that has only just died, and without its successor, if the answer would name either.
fn before_its_successor(
    image: &MetadataImage,
    body: &MetadataRequest,
    suspects: &[BrokerId],
    departure: Option<&Departure>,
) -> Option<Arc<MetadataImage>> {
    let without = |image: &MetadataImage, gone: &[BrokerId]| {
        let fenced = || gone.iter().fold(image.clone(), |image, &broker| image.with_fenced(broker));
        is_led_by(image, body, gone).then(|| Arc::new(fenced()))
    };
    let alive = image.brokers().filter(|broker| !broker.fenced).count();
    // Who has lost most of the others is itself the one that they have lost.
    let suspects = if suspects.len() * 2 > alive { &[] } else { suspects };
    without(image, suspects).or_else(|| departure.and_then(|latest| without(&latest.before, &latest.brokers)))
}

/// Whether the answer would name one of `suspects` as a leader.
fn is_led_by(image: &MetadataImage, body: &MetadataRequest, suspects: &[BrokerId]) -> bool {
    let suspects: Vec<BrokerId> = suspects.iter().copied().filter(|&id| image.is_unfenced(id)).collect();
    if suspects.is_empty() {
        return false;
    }
    let leads = |topic: &TopicImage| topic.iter().any(|(_, partition)| suspects.contains(&partition.leader));
    let Some(topics) = &body.topics else { return image.topics_by_name().any(|topic| leads(topic)) };
    topics.iter().any(|asked| {
        let topic = match &asked.name {
            Some(name) => image.topic_by_name(name),
            None => image.topic(TopicId(asked.topic_id)),
        };
        topic.is_some_and(|topic| leads(topic))
    })
}

/// `allow_auto_topic_creation` exists from version 4 on; older clients always allowed it, and so the decoder says.
fn may_create(state: &GatewayState, body: &MetadataRequest) -> bool {
    state.config.auto_create_topics && body.allow_auto_topic_creation
}

fn names_to_create(image: &MetadataImage, topics: &[MetadataRequestTopic]) -> Vec<String> {
    let names = topics.iter().filter(|topic| topic.topic_id.is_nil()).filter_map(|topic| topic.name.as_ref());
    let mut names: Vec<String> = names
        .filter(|name| TopicName::new(name).is_ok() && image.topic_by_name(name).is_none())
        .map(|name| string(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What a client is told of a topic that could not be created. Too few brokers is a state that passes while a cluster
/// starts, so the client is told to come back; the log of this broker names the reason.
fn creation_error(error: &CommandError) -> ErrorCode {
    match error.code {
        ErrorCode::InvalidTopicException | ErrorCode::PolicyViolation => error.code,
        _ => ErrorCode::LeaderNotAvailable,
    }
}

fn respond(
    state: &GatewayState,
    image: &MetadataImage,
    context: &RequestContext,
    body: &MetadataRequest,
    creating: &BTreeMap<String, ErrorCode>,
) -> MetadataResponse {
    let view = View { image, listener: context.listener(), version: context.version, body };
    let dead = match context.connection.is_librdkafka_producer() {
        true => state.departures.still_listed(&state.services.metadata.image(), clock::mono_ms()),
        false => Vec::new(),
    };
    MetadataResponse::default()
        .with_brokers(
            listed_brokers(image, view.listener, &dead)
                .map(|(broker, endpoint)| {
                    MetadataResponseBroker::default()
                        .with_node_id(messages::BrokerId(broker.id.get()))
                        .with_host(StrBytes::from_string(endpoint.host.clone()))
                        .with_port(endpoint.port.into())
                        .with_rack(broker.rack.clone().map(StrBytes::from_string))
                })
                .collect(),
        )
        .with_cluster_id(image.cluster_id().map(|id| StrBytes::from_string(id.to_owned())))
        .with_controller_id(messages::BrokerId(
            controller_for_clients(image, state.config.node_id, view.listener).get(),
        ))
        .with_topics(view.topics(creating))
        // Versions 8 to 10 carry the field; DescribeCluster took its place.
        .with_cluster_authorized_operations(authorized_operations::cluster(
            body.include_cluster_authorized_operations && (8..=10).contains(&context.version),
        ))
}

/// The metadata as one request sees it.
struct View<'a> {
    image: &'a MetadataImage,
    listener: &'a str,
    version: i16,
    body: &'a MetadataRequest,
}

impl View<'_> {
    fn topics(&self, creating: &BTreeMap<String, ErrorCode>) -> Vec<MetadataResponseTopic> {
        match &self.body.topics {
            None => self.all_topics(),
            // Version 0 cannot say "none", so an empty list is all.
            Some(topics) if topics.is_empty() && self.version == 0 => self.all_topics(),
            Some(topics) => {
                let once = each_once(topics, |topic| (topic.name.as_ref().map(|name| name.as_str()), topic.topic_id));
                once.map(|topic| self.requested_topic(topic, creating)).collect()
            }
        }
    }

    fn all_topics(&self) -> Vec<MetadataResponseTopic> {
        self.image.topics_by_name().map(|topic| self.topic(topic)).collect()
    }

    fn requested_topic(
        &self,
        asked: &MetadataRequestTopic,
        creating: &BTreeMap<String, ErrorCode>,
    ) -> MetadataResponseTopic {
        let id = TopicId(asked.topic_id);
        match &asked.name {
            _ if !id.is_zero() && self.version < TOPIC_ID_VERSION => self.unknown(asked, ErrorCode::InvalidRequest),
            None if self.version < TOPIC_ID_VERSION => self.unknown(asked, ErrorCode::InvalidRequest),
            Some(_) if !id.is_zero() => self.unknown(asked, ErrorCode::InvalidRequest),
            None => match self.image.topic(id) {
                Some(topic) => self.topic(topic),
                None => self.unknown(asked, ErrorCode::UnknownTopicId),
            },
            Some(name) => match self.image.topic_by_name(name) {
                Some(topic) => self.topic(topic),
                None if TopicName::new(name).is_err() => self.unknown(asked, ErrorCode::InvalidTopicException),
                None => {
                    let error = creating.get(name.as_str()).copied().unwrap_or(ErrorCode::UnknownTopicOrPartition);
                    self.unknown(asked, error)
                }
            },
        }
    }

    fn unknown(&self, asked: &MetadataRequestTopic, error: ErrorCode) -> MetadataResponseTopic {
        let name = match &asked.name {
            // Only these versions can carry null.
            None if self.version >= TOPIC_ID_VERSION => None,
            name => Some(name.clone().unwrap_or_default()),
        };
        MetadataResponseTopic::default().with_error_code(error.code()).with_name(name).with_topic_id(asked.topic_id)
    }

    fn topic(&self, topic: &TopicImage) -> MetadataResponseTopic {
        MetadataResponseTopic::default()
            .with_name(Some(name_of(&topic.name)))
            .with_topic_id(topic.id.0)
            .with_is_internal(topic.name.is_internal())
            .with_partitions(topic.iter().map(|(index, partition)| self.partition(index, partition)).collect())
            .with_topic_authorized_operations(authorized_operations::topic(
                self.body.include_topic_authorized_operations && self.version >= 8,
            ))
    }

    fn partition(&self, index: PartitionIndex, partition: &PartitionImage) -> MetadataResponsePartition {
        let (error, leader) = self.leader(partition);
        MetadataResponsePartition::default()
            .with_error_code(error.code())
            .with_partition_index(index.get())
            .with_leader_id(messages::BrokerId(leader.get()))
            .with_leader_epoch(partition.leader_epoch.get())
            .with_replica_nodes(broker_ids(&partition.replicas))
            .with_isr_nodes(broker_ids(&partition.isr))
            .with_offline_replicas(broker_ids(&offline_replicas(self.image, partition, self.listener)))
    }

    fn leader(&self, partition: &PartitionImage) -> (ErrorCode, BrokerId) {
        if alive_endpoint(self.image, partition.leader, self.listener).is_some() {
            (ErrorCode::None, partition.leader)
        } else if self.image.is_unfenced(partition.leader) && self.version >= LISTENER_ERROR_VERSION {
            (ErrorCode::ListenerNotFound, BrokerId::NONE)
        } else {
            (ErrorCode::LeaderNotAvailable, BrokerId::NONE)
        }
    }
}

#[cfg(test)]
mod tests {
    use highwater_types::MonoMs;

    use super::*;
    use crate::endpoints::tests::{TOPIC_ID, image};

    fn asking_for(topic: &str) -> MetadataRequest {
        let name = messages::TopicName(StrBytes::from_string(topic.to_owned()));
        MetadataRequest::default().with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(name))]))
    }

    #[test]
    fn a_topic_that_is_named_twice_is_answered_once() {
        let image = image(&[("t", TOPIC_ID, &[1, 2])]);
        let topic = |name: Option<&str>, id: TopicId| {
            let name = name.map(|name| messages::TopicName(StrBytes::from_string(name.to_owned())));
            MetadataRequestTopic::default().with_name(name).with_topic_id(id.0)
        };
        let (named, by_id, unknown) =
            (topic(Some("t"), TopicId::ZERO), topic(None, TOPIC_ID), topic(Some("u"), TopicId::ZERO));
        let asked = vec![named.clone(), unknown.clone(), by_id.clone(), unknown, named, by_id];
        let body = MetadataRequest::default().with_topics(Some(asked));
        let view = View { image: &image, listener: "EXTERNAL", version: 12, body: &body };
        let told = view.topics(&BTreeMap::new());
        let shown: Vec<_> = told.iter().map(|topic| (topic.error_code, topic.partitions.len())).collect();
        assert_eq!(shown, [(0, 2), (ErrorCode::UnknownTopicOrPartition.code(), 0), (0, 2)]);
    }

    #[test]
    fn a_leader_that_has_just_died_is_told_as_gone_before_its_successor_is_told() {
        let before = Arc::new(image(&[("t", TOPIC_ID, &[1, 2])]));
        let after = image(&[("t", TOPIC_ID, &[1, 1])]).with_fenced(BrokerId(2));
        let departure = Departure::new(MonoMs(0), Arc::clone(&before), vec![BrokerId(2)]);
        let told = |image: &MetadataImage, topic: &str, suspects: &[i32], departure| {
            let suspects: Vec<BrokerId> = suspects.iter().copied().map(BrokerId).collect();
            before_its_successor(image, &asking_for(topic), &suspects, departure)
        };
        let is_without = |image: Option<Arc<MetadataImage>>| {
            image.is_some_and(|image| {
                let view = View { image: &image, listener: "EXTERNAL", version: 12, body: &asking_for("t") };
                let topic = image.topic(TOPIC_ID).unwrap();
                let leaders: Vec<_> = topic.iter().map(|(_, partition)| view.leader(partition)).collect();
                let brokers: Vec<_> = listed_brokers(&image, "EXTERNAL", &[]).map(|(broker, _)| broker.id).collect();
                brokers == [BrokerId(1)]
                    && leaders == [(ErrorCode::None, BrokerId(1)), (ErrorCode::LeaderNotAvailable, BrokerId::NONE)]
            })
        };
        assert!(is_without(told(&before, "t", &[2], None)), "suspected");
        assert!(told(&before, "t", &[], None).is_none(), "not suspected");
        assert!(is_without(told(&after, "t", &[2], Some(&departure))), "fenced");
        assert!(told(&after, "t", &[2], None).is_none(), "fenced a while ago");
        assert!(told(&after, "other", &[2], Some(&departure)).is_none(), "it led nothing that is asked for");
        assert!(told(&before, "t", &[1, 2], None).is_none(), "who has lost most of the others is the one that is lost");
    }
}
