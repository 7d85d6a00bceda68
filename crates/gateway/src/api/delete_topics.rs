//! DeleteTopics (key 20): by name, or from version 6 by id.

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater_controller::{Command, CommandError, CommandResponse, DeleteTopics, DeletedTopic, TopicSelector};
use highwater_protocol::messages::delete_topics_response::DeletableTopicResult;
use highwater_protocol::messages::{self, ApiKey, DeleteTopicsRequest, DeleteTopicsResponse};
use highwater_types::{ErrorCode, TopicId};

use crate::known_errors::known_to;
use crate::state::{GatewayState, RequestContext};
use crate::wire::string;

/// First version that names topics by name or id.
const SELECTOR_VERSION: i16 = 6;
/// First version whose answer has messages.
const MESSAGE_VERSION: i16 = 5;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let (topics, mut results) = select(context.version, &body);
    if !topics.is_empty() {
        let command = Command::DeleteTopics(DeleteTopics { topics: topics.clone() });
        match state.services.controller.submit(command).await {
            Ok(CommandResponse::DeleteTopics(deleted)) => results.extend(deleted),
            Ok(other) => unreachable!("DeleteTopics was answered with {other:?}"),
            Err(error) => results.extend(topics.into_iter().map(|topic| refused(topic, error.clone()))),
        }
    }
    DeleteTopicsResponse::default()
        .with_responses(results.into_iter().map(|topic| encode(context.version, topic)).collect())
}

/// What to ask the controller, and what is refused before.
fn select(version: i16, body: &DeleteTopicsRequest) -> (Vec<TopicSelector>, Vec<DeletedTopic>) {
    let mut asked = Vec::new();
    let mut results = Vec::new();
    let invalid = |message: &str| CommandError::new(ErrorCode::InvalidRequest, message);
    if version < SELECTOR_VERSION {
        asked.extend(body.topic_names.iter().map(|name| TopicSelector::Name(string(name))));
    }
    for topic in &body.topics {
        let id = TopicId(topic.topic_id);
        match &topic.name {
            Some(name) if id.is_zero() => asked.push(TopicSelector::Name(string(name))),
            None if !id.is_zero() => asked.push(TopicSelector::Id(id)),
            Some(name) => results.push(DeletedTopic {
                name: Some(string(name)),
                id,
                result: Err(invalid("You may not specify both topic name and topic id.")),
            }),
            None => results.push(DeletedTopic {
                name: None,
                id,
                result: Err(invalid("Neither topic name nor id were specified.")),
            }),
        }
    }
    let key = |topic: &TopicSelector| match topic {
        TopicSelector::Name(name) => (name.clone(), TopicId::ZERO),
        TopicSelector::Id(id) => (String::new(), *id),
    };
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<_> = asked.iter().map(key).filter(|key| !seen.insert(key.clone())).collect();
    let mut reported = BTreeSet::new();
    asked.retain(|topic| {
        let duplicate = twice.contains(&key(topic));
        if duplicate && reported.insert(key(topic)) {
            results.push(refused(topic.clone(), invalid("Duplicate topic name or id.")));
        }
        !duplicate
    });
    (asked, results)
}

fn refused(topic: TopicSelector, error: CommandError) -> DeletedTopic {
    match topic {
        TopicSelector::Name(name) => DeletedTopic { name: Some(name), id: TopicId::ZERO, result: Err(error) },
        TopicSelector::Id(id) => DeletedTopic { name: None, id, result: Err(error) },
    }
}

fn encode(version: i16, topic: DeletedTopic) -> DeletableTopicResult {
    let name = if version >= SELECTOR_VERSION { topic.name } else { Some(topic.name.unwrap_or_default()) };
    let mut response = DeletableTopicResult::default().with_name(name.map(|name| messages::TopicName(name.into())));
    if version >= SELECTOR_VERSION {
        response.topic_id = topic.id.0;
    }
    if let Err(error) = topic.result {
        response.error_code = known_to(ApiKey::DeleteTopics, version, error.code).code();
        if version >= MESSAGE_VERSION {
            response.error_message = Some(error.message.into());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_protocol::messages::delete_topics_request::DeleteTopicState;

    #[test]
    fn old_clients_learn_of_forbidden_deletions_by_a_code_that_they_know() {
        let told = |version| {
            let disabled = CommandError::new(ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled.");
            encode(version, refused(TopicSelector::Name("t".to_owned()), disabled)).error_code
        };
        assert_eq!(
            [2, 3].map(told),
            [ErrorCode::InvalidRequest, ErrorCode::TopicDeletionDisabled].map(ErrorCode::code)
        );
    }

    #[test]
    fn ambiguous_topics_are_refused_and_the_others_go_on() {
        let named = |name: &'static str| DeleteTopicState::default().with_name(Some(messages::TopicName(name.into())));
        let id = TopicId::from_bytes(7u128.to_be_bytes()).0;
        let body = DeleteTopicsRequest::default().with_topics(vec![
            named("a"),
            named("b"),
            named("a"),
            named("c").with_topic_id(id),
            DeleteTopicState::default().with_name(None).with_topic_id(id),
            DeleteTopicState::default().with_name(None),
        ]);
        let (asked, refused) = select(6, &body);
        assert_eq!(asked, [TopicSelector::Name("b".to_owned()), TopicSelector::Id(TopicId(id))]);
        let names: Vec<_> = refused.iter().map(|topic| topic.name.as_deref()).collect();
        assert_eq!(names, [Some("c"), None, Some("a")]);
        assert!(refused.iter().all(|topic| topic.result.as_ref().unwrap_err().code == ErrorCode::InvalidRequest));
    }
}
