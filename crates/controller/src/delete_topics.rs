//! DeleteTopics.

use std::collections::{BTreeMap, BTreeSet};

use highwater_metadata::{MetadataImage, MetadataRecord};
use highwater_types::{ErrorCode, TopicId};

use crate::scratch::Scratch;
use crate::{CommandError, CommandResponse, ControllerConfig, DeleteTopics, DeletedTopic, TopicSelector};

pub(crate) fn delete(scratch: &mut Scratch, config: &ControllerConfig, request: &DeleteTopics) -> CommandResponse {
    // How often each existing topic is named, by name or by id.
    let mut named: BTreeMap<TopicId, u32> = BTreeMap::new();
    for id in request.topics.iter().filter_map(|selector| find(scratch.image(), selector)) {
        *named.entry(id).or_default() += 1;
    }
    // What is asked twice is answered once.
    let mut answered = BTreeSet::new();
    let once = request.topics.iter().filter(|selector| answered.insert(*selector));
    let results = once.map(|selector| delete_one(scratch, config, &named, selector)).collect();
    CommandResponse::DeleteTopics(results)
}

fn find(image: &MetadataImage, selector: &TopicSelector) -> Option<TopicId> {
    match selector {
        TopicSelector::Name(name) => image.topic_id(name),
        TopicSelector::Id(id) => image.topic(*id).map(|topic| topic.id),
    }
}

fn delete_one(
    scratch: &mut Scratch,
    config: &ControllerConfig,
    named: &BTreeMap<TopicId, u32>,
    selector: &TopicSelector,
) -> DeletedTopic {
    let (name, id) = match selector {
        TopicSelector::Name(name) => (Some(name.clone()), TopicId::ZERO),
        TopicSelector::Id(id) => (None, *id),
    };
    let refuse = |code, message: &str| DeletedTopic { name, id, result: Err(CommandError::new(code, message)) };
    if !config.delete_topic_enable {
        return refuse(ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled.");
    }
    let Some(found) = find(scratch.image(), selector).and_then(|id| scratch.image().topic(id)) else {
        return match selector {
            TopicSelector::Id(_) => refuse(ErrorCode::UnknownTopicId, "This server does not host this topic ID."),
            TopicSelector::Name(_) => {
                refuse(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition.")
            }
        };
    };
    if named.get(&found.id).is_some_and(|&count| count > 1) {
        return match selector {
            TopicSelector::Id(_) => refuse(ErrorCode::InvalidRequest, "Duplicate topic id."),
            TopicSelector::Name(_) => refuse(ErrorCode::InvalidRequest, "Duplicate topic name."),
        };
    }
    let (name, id) = (Some(found.name.as_str().to_owned()), found.id);
    scratch.push(MetadataRecord::RemoveTopic { id });
    DeletedTopic { name, id, result: Ok(()) }
}
