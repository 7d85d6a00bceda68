//! Fetch (key 1): reads as leader or in-sync follower, with one waiter on all partitions while there is too little to answer.
//!
//! A client in another rack than this leader is sent to an in-sync follower in its own, if there is one (KIP-392).
//! A fetch within a session (KIP-227) names what changed since the one before, and its answer holds what is news to the
//! client. A session ends, with session id 0 in the answer, when one of its partitions does not exist (any more).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use highwater_metadata::MetadataImage;
use highwater_protocol::messages::{ApiKey, FetchRequest};
use highwater_protocol::{
    AbortedTransaction, EpochEndOffset, FetchPartitionResponse, FetchResponseBody, FetchTopicResponse, ResponseBody,
    StrBytes,
};
use highwater_replication::{FetchError, FetchRead, FetchResult, FetchWaiter};
use highwater_types::{ErrorCode, PartitionIndex, TopicId, TopicIdPartition};

use crate::answer::Answer;
use crate::connection::ConnectionInfo;
use crate::endpoints::{LeaderHints, followers_in_rack};
use crate::fetch_plan::{FetchEntry, FetchPlan};
use crate::fetch_session::FetchSession;
use crate::fetch_sessions::{ContinuedSession, SessionUse};
use crate::fetch_targets::FetchTargets;
use crate::known_errors::known_to;
use crate::state::{GatewayState, RequestContext};
use crate::wire::text;

/// First version with an error, and a session, of the whole request.
const SESSION_VERSION: i16 = 7;
/// First version with the replica's id in a tagged field (KIP-903).
const REPLICA_STATE_VERSION: i16 = 15;

/// Most record bytes of an answer, whatever is asked for but a first batch that is larger: an answer is in memory until its client
/// has taken it. Linux has at most 6 MiB (`net.ipv4.tcp_rmem`) of it under way unless it is told otherwise.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;

pub(crate) fn handle(state: Arc<GatewayState>, context: RequestContext, body: FetchRequest) -> Answer {
    context.connection.fetches();
    let max_wait = Duration::from_millis(u64::try_from(body.max_wait_ms).unwrap_or(0));
    let mut fetch = match Fetch::new(state, Arc::clone(&context.connection), context.version, &body) {
        Ok(fetch) => fetch,
        Err(error) => return Answer::Now(refuse(context.version, &body, error).into()),
    };
    fetch.read_all();
    if max_wait.is_zero() || fetch.plan.is_satisfied() {
        return Answer::Now(fetch.into_response());
    }
    Answer::Exclusive(Box::pin(async move {
        fetch.wait(max_wait).await;
        fetch.into_response()
    }))
}

/// The error on top level, and for versions that have no such field on every partition.
fn refuse(version: i16, body: &FetchRequest, error: ErrorCode) -> FetchResponseBody {
    let topics = if version >= SESSION_VERSION { &[][..] } else { &body.topics };
    let topics = topics.iter().map(|topic| FetchTopicResponse {
        name: text(&topic.topic),
        topic_id: TopicId(topic.topic_id),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| FetchPartitionResponse::failed(PartitionIndex(partition.partition), error))
            .collect(),
    });
    FetchResponseBody { error, topics: topics.collect(), ..FetchResponseBody::default() }
}

/// One fetch between request and answer.
struct Fetch {
    state: Arc<GatewayState>,
    connection: Arc<ConnectionInfo>,
    version: i16,
    session: SessionUse,
    /// The client's rack, if it is to read from a follower there.
    rack: Option<StrBytes>,
    /// Whether topics are named by id.
    by_id: bool,
    /// Topics as the answer is to name them; an id of zero where the name is unknown.
    topics: Vec<(StrBytes, TopicId)>,
    plan: FetchPlan,
}

impl Fetch {
    /// # Errors
    /// The request as a whole is refused: CLUSTER_AUTHORIZATION_FAILED, or an error of its session.
    fn new(
        state: Arc<GatewayState>,
        connection: Arc<ConnectionInfo>,
        version: i16,
        body: &FetchRequest,
    ) -> Result<Self, ErrorCode> {
        let replica = if version >= REPLICA_STATE_VERSION { body.replica_state.replica_id } else { body.replica_id };
        if replica.0 >= 0 {
            // Brokers replicate over gRPC with an identity of their own; nobody else may claim to be a replica.
            return Err(ErrorCode::ClusterAuthorizationFailed);
        }
        let image = state.image();
        let mut targets = FetchTargets::new(&image, version, body);
        let session = state.fetch_sessions.find(body)?;
        if let SessionUse::Continue(ContinuedSession { epoch, session, .. }) = &session {
            targets.add_session(body, *epoch, &mut session.lock())?;
        } else {
            targets.add_named(body);
        }
        let FetchTargets { by_id, topics, entries, .. } = targets;
        let session = keep(&state, session, &entries);
        count_requests(&state, &image, &topics);
        let max_bytes =
            usize::try_from(body.max_bytes).unwrap_or(0).min(state.config.fetch_max_bytes).min(ANSWER_BYTES);
        // Whole batches seldom fill an answer; half of it is reached, whatever their sizes are.
        let min_bytes = usize::try_from(body.min_bytes).unwrap_or(0).min(ANSWER_BYTES / 2);
        let plan = FetchPlan::new(entries, max_bytes, min_bytes);
        let rack = state.config.sends_to_rack(&body.rack_id).then(|| body.rack_id.clone());
        Ok(Self { state, connection, version, session, rack, by_id, topics, plan })
    }

    fn read_all(&mut self) {
        let source = Source { state: &self.state, connection: &self.connection, rack: self.rack.as_deref() };
        self.plan.read_all(|read| source.read(read));
    }

    /// Waits until there is enough to answer, at most for `max_wait`.
    async fn wait(&mut self, max_wait: Duration) {
        let mut deadline = pin!(tokio::time::sleep(max_wait));
        let waiter = FetchWaiter::new();
        let state = Arc::clone(&self.state);
        let _registration = state.services.replicas.register_waiter(&self.plan.readable(), Arc::clone(&waiter));
        // What changed between the first read and the registration.
        self.read_all();
        while !self.plan.is_satisfied() {
            let changed = tokio::select! {
                biased;
                changed = waiter.ready() => changed,
                () = &mut deadline => return,
            };
            let source = Source { state: &state, connection: &self.connection, rack: self.rack.as_deref() };
            for position in changed {
                self.plan.read_again(position, |read| source.read(read));
            }
        }
    }

    fn into_response(self) -> ResponseBody {
        let Self { state, connection, version, session, by_id, topics, plan: FetchPlan { entries, .. }, .. } = self;
        let image = state.image();
        let mut answers = Answers::new(&image, &connection, version, topics);
        let session = match session {
            SessionUse::None => None,
            SessionUse::Create => create_session(&state, by_id, &entries),
            SessionUse::Continue(session) => Some(session),
        };
        let Some(ContinuedSession { id, epoch, session }) = session else {
            entries.into_iter().for_each(|entry| answers.add(entry, |_| true));
            return answers.finish(&state, 0);
        };
        let mut session = session.lock();
        match session.answer(epoch) {
            Ok(mut told) => {
                for (position, entry) in entries.into_iter().enumerate() {
                    answers.add(entry, |answer| told.is_news(position, answer));
                }
                answers.finish(&state, id.0)
            }
            Err(error) => FetchResponseBody { error, session_id: id.0, ..FetchResponseBody::default() }.into(),
        }
    }
}

/// Where one fetch reads.
struct Source<'a> {
    state: &'a GatewayState,
    connection: &'a ConnectionInfo,
    rack: Option<&'a str>,
}

impl Source<'_> {
    fn read(&self, read: &FetchRead) -> Result<FetchResult, FetchError> {
        let replicas = &self.state.services.replicas;
        if let Some(rack) = self.rack {
            let image = self.state.image();
            let candidates = followers_in_rack(&image, read.partition, rack, &self.connection.listener);
            // Who does not lead knows no followers, and serves what it may.
            if !candidates.is_empty()
                && let Ok(Some(elsewhere)) = replicas.redirect(read, &candidates)
            {
                self.state.metrics.fetch_redirects.inc();
                return Ok(elsewhere);
            }
        }
        replicas.read(read)
    }
}

/// Whether there is to be a session still, now that it is known what is read: not if a partition does not exist.
fn keep(state: &GatewayState, session: SessionUse, entries: &[FetchEntry]) -> SessionUse {
    let exist = !entries.is_empty() && entries.iter().all(|entry| entry.target.is_ok());
    match &session {
        SessionUse::Continue(continued) if exist => state.fetch_sessions.touch(continued.id, entries.len()),
        SessionUse::Continue(continued) => state.fetch_sessions.remove(continued.id),
        SessionUse::Create | SessionUse::None => {}
    }
    if exist { session } else { SessionUse::None }
}

/// A session for all these partitions. `None` if there is no room, or if the request named one of them twice.
fn create_session(state: &GatewayState, by_id: bool, entries: &[FetchEntry]) -> Option<ContinuedSession> {
    let partitions = entries.iter().filter_map(|entry| Some((entry.target.as_ref().ok()?.partition, entry.asked)));
    let created = state.fetch_sessions.create(entries.len(), || FetchSession::new(by_id, partitions))?;
    let size = created.session.lock().size();
    if size == entries.len() {
        return Some(created);
    }
    state.fetch_sessions.remove(created.id);
    None
}

/// What goes into the answer.
struct Answers<'a> {
    image: &'a MetadataImage,
    version: i16,
    hints: LeaderHints<'a>,
    named: Vec<(StrBytes, TopicId)>,
    topics: Vec<FetchTopicResponse>,
    /// Position in `named` of the last one in `topics`.
    last: Option<usize>,
}

impl<'a> Answers<'a> {
    fn new(
        image: &'a MetadataImage,
        connection: &'a ConnectionInfo,
        version: i16,
        named: Vec<(StrBytes, TopicId)>,
    ) -> Self {
        let hints = LeaderHints::new(image, &connection.listener);
        Self { image, version, hints, named, topics: Vec::new(), last: None }
    }

    /// Adds what was found of a partition, if it is news.
    fn add(&mut self, entry: FetchEntry, is_news: impl FnOnce(&FetchPartitionResponse) -> bool) {
        let (topic, partition) = (entry.topic, entry.partition);
        let mut response = answer(entry);
        if !is_news(&response) {
            return;
        }
        let (name, topic_id) = &mut self.named[topic];
        if matches!(response.error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
            response.current_leader = self.hints.leader(TopicIdPartition { topic_id: *topic_id, partition });
        }
        response.error = known_to(ApiKey::Fetch, self.version, response.error);
        if self.last != Some(topic) {
            self.last = Some(topic);
            let (name, topic_id) = (std::mem::take(name), *topic_id);
            self.topics.push(FetchTopicResponse { name, topic_id, partitions: Vec::new() });
        }
        self.topics.last_mut().expect("just added").partitions.push(response);
    }

    fn finish(self, state: &GatewayState, session_id: i32) -> ResponseBody {
        count_answers(state, self.image, &self.topics);
        let node_endpoints = self.hints.into_endpoints();
        FetchResponseBody { session_id, topics: self.topics, node_endpoints, ..FetchResponseBody::default() }.into()
    }
}

fn answer(entry: FetchEntry) -> FetchPartitionResponse {
    let failed = |error| FetchPartitionResponse::failed(entry.partition, error);
    let result: FetchResult = match (entry.target, entry.outcome) {
        (Err(error), _) => return failed(error),
        (Ok(_), Some(Err(error))) => return failed(error.code),
        (Ok(_), Some(Ok(result))) => result,
        (Ok(_), None) => unreachable!("every readable partition is read before the answer"),
    };
    FetchPartitionResponse {
        high_watermark: result.high_watermark,
        last_stable_offset: result.last_stable_offset,
        log_start_offset: result.log_start,
        aborted_transactions: result.aborted.map(wire_aborted),
        preferred_read_replica: result.preferred_read_replica,
        diverging_epoch: result
            .diverging
            .map(|diverging| EpochEndOffset { epoch: diverging.epoch, end_offset: diverging.end_offset }),
        records: result.records,
        ..failed(ErrorCode::None)
    }
}

fn wire_aborted(aborted: Vec<highwater_replication::AbortedTransaction>) -> Vec<AbortedTransaction> {
    let wire = aborted.into_iter().map(|transaction| AbortedTransaction {
        producer_id: transaction.producer_id,
        first_offset: transaction.first_offset,
    });
    wire.collect()
}

fn count_requests(state: &GatewayState, image: &MetadataImage, topics: &[(StrBytes, TopicId)]) {
    for (_, id) in topics {
        if let Some(known) = image.topic(*id) {
            state.metrics.topic(&known.name).fetch_requests.inc();
        }
    }
}

fn count_answers(state: &GatewayState, image: &MetadataImage, topics: &[FetchTopicResponse]) {
    for topic in topics {
        let bytes: usize =
            topic.partitions.iter().flat_map(|partition| &partition.records).map(bytes::Bytes::len).sum();
        let failed = topic.partitions.iter().filter(|partition| partition.error.is_error()).count();
        if bytes == 0 && failed == 0 {
            continue;
        }
        if let Some(known) = image.topic(topic.topic_id) {
            let metrics = state.metrics.topic(&known.name);
            metrics.bytes_out.inc_by(bytes as u64);
            metrics.failed_fetch_requests.inc_by(failed as u64);
        }
    }
}
