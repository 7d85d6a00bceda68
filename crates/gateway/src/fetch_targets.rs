//! Which partitions a fetch reads: those that the request names or, within a session, those that its session knows. Resolved
//! in the metadata; knows neither reading nor answering.

use highwater_metadata::MetadataImage;
use highwater_protocol::StrBytes;
use highwater_protocol::messages::FetchRequest;
use highwater_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use highwater_replication::{FetchRead, Isolation};
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicIdPartition};

use crate::fetch_plan::FetchEntry;
use crate::fetch_session::{AskedPartition, FetchSession, SessionEpoch};
use crate::wire::text;

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;

/// First version whose clients may be answered by followers (KIP-392).
const FOLLOWER_VERSION: i16 = 11;

/// The topics and partitions of one fetch.
pub(crate) struct FetchTargets<'a> {
    image: &'a MetadataImage,
    /// Whether topics are named by id.
    pub(crate) by_id: bool,
    isolation: Isolation,
    from_follower: bool,
    /// Topics as the answer is to name them; an id of zero where the name is unknown.
    pub(crate) topics: Vec<(StrBytes, TopicId)>,
    /// Partitions, those of a topic one after the other.
    pub(crate) entries: Vec<FetchEntry>,
}

impl<'a> FetchTargets<'a> {
    /// No targets yet of that request.
    pub(crate) fn new(image: &'a MetadataImage, version: i16, request: &FetchRequest) -> Self {
        let isolation = match request.isolation_level {
            1 => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        };
        Self {
            image,
            by_id: version >= TOPIC_ID_VERSION,
            isolation,
            from_follower: version >= FOLLOWER_VERSION,
            topics: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// All that the request names.
    pub(crate) fn add_named(&mut self, request: &FetchRequest) {
        self.topics.reserve_exact(request.topics.len());
        self.entries.reserve_exact(request.topics.iter().map(|topic| topic.partitions.len()).sum());
        for topic in &request.topics {
            let resolved = self.resolve(&topic.topic, TopicId(topic.topic_id));
            self.add_topic(topic, resolved);
            topic.partitions.iter().for_each(|asked| {
                self.add_partition(resolved, PartitionIndex(asked.partition), asked.into());
            });
        }
    }

    /// All that the session knows once it has taken over what the request changes; and behind that what the request names and
    /// does not exist, which no session takes over.
    ///
    /// # Errors
    /// Those of [`FetchSession::begin`].
    pub(crate) fn add_session(
        &mut self,
        request: &FetchRequest,
        epoch: SessionEpoch,
        session: &mut FetchSession,
    ) -> Result<(), ErrorCode> {
        session.begin(epoch, self.by_id)?;
        let all_exist = self.change(request, session);
        self.entries.reserve_exact(session.size());
        for (key, asked) in session.partitions() {
            if self.topics.last().is_none_or(|&(_, id)| id != key.topic_id) {
                self.topics.push((self.name(key.topic_id), key.topic_id));
            }
            self.add_partition(Ok(key.topic_id), key.partition, *asked);
        }
        if !all_exist {
            self.add_strangers(request);
        }
        Ok(())
    }

    /// Takes the request over into the session; returns whether all that it names exists.
    fn change(&self, request: &FetchRequest, session: &mut FetchSession) -> bool {
        let mut all_exist = true;
        for topic in &request.topics {
            let resolved = self.resolve(&topic.topic, TopicId(topic.topic_id));
            for asked in &topic.partitions {
                match self.existing(resolved, PartitionIndex(asked.partition)) {
                    Ok(key) => session.ask(key, asked.into()),
                    Err(_) => all_exist = false,
                }
            }
        }
        session.forget(request.forgotten_topics_data.iter().flat_map(|topic| {
            // A topic that is gone may be forgotten by its id.
            let id = if self.by_id { Some(TopicId(topic.topic_id)) } else { self.image.topic_id(&topic.topic) };
            let key = move |&index| id.map(|topic_id| TopicIdPartition { topic_id, partition: PartitionIndex(index) });
            topic.partitions.iter().filter_map(key)
        }));
        all_exist
    }

    fn add_strangers(&mut self, request: &FetchRequest) {
        for topic in &request.topics {
            let resolved = self.resolve(&topic.topic, TopicId(topic.topic_id));
            let exists = |asked: &&FetchPartition| self.existing(resolved, PartitionIndex(asked.partition)).is_ok();
            let mut strangers = topic.partitions.iter().filter(|asked| !exists(asked)).peekable();
            if strangers.peek().is_none() {
                continue;
            }
            let strangers: Vec<_> = strangers.collect();
            self.add_topic(topic, resolved);
            for asked in strangers {
                self.add_partition(resolved, PartitionIndex(asked.partition), asked.into());
            }
        }
    }

    fn add_topic(&mut self, topic: &FetchTopic, resolved: Result<TopicId, ErrorCode>) {
        let id = if self.by_id { TopicId(topic.topic_id) } else { resolved.unwrap_or(TopicId::ZERO) };
        self.topics.push((text(&topic.topic), id));
    }

    /// Of the topic added last.
    fn add_partition(&mut self, topic: Result<TopicId, ErrorCode>, partition: PartitionIndex, asked: AskedPartition) {
        let target = self.existing(topic, partition).map(|key| FetchRead {
            partition: key,
            offset: asked.offset,
            current_leader_epoch: asked.current_leader_epoch,
            last_fetched_epoch: asked.last_fetched_epoch,
            max_bytes: 0,
            min_one_batch: false,
            isolation: self.isolation,
            from_follower: self.from_follower,
        });
        self.entries.push(FetchEntry { topic: self.topics.len() - 1, partition, asked, target, outcome: None });
    }

    fn resolve(&self, name: &str, id: TopicId) -> Result<TopicId, ErrorCode> {
        if self.by_id {
            self.image.topic(id).map(|_| id).ok_or(ErrorCode::UnknownTopicId)
        } else {
            self.image.topic_id(name).ok_or(ErrorCode::UnknownTopicOrPartition)
        }
    }

    fn existing(
        &self,
        topic: Result<TopicId, ErrorCode>,
        partition: PartitionIndex,
    ) -> Result<TopicIdPartition, ErrorCode> {
        let key = TopicIdPartition { topic_id: topic?, partition };
        match self.image.topic_partition(key) {
            Some(_) => Ok(key),
            None if self.by_id && self.image.topic(key.topic_id).is_none() => Err(ErrorCode::UnknownTopicId),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// The topic's name where answers say names.
    fn name(&self, id: TopicId) -> StrBytes {
        match self.image.topic(id) {
            Some(topic) if !self.by_id => text(topic.name.as_str()),
            _ => StrBytes::default(),
        }
    }
}

impl From<&FetchPartition> for AskedPartition {
    fn from(asked: &FetchPartition) -> Self {
        Self {
            offset: Offset(asked.fetch_offset),
            current_leader_epoch: LeaderEpoch(asked.current_leader_epoch),
            last_fetched_epoch: LeaderEpoch(asked.last_fetched_epoch),
            max_bytes: asked.partition_max_bytes,
        }
    }
}
