//! Fetch (key 1): reads as leader, with one waiter on all partitions while there is too little to answer.
//!
//! Full fetches only: every answer has session id 0, which clients take as "no session" (KIP-227).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use highwater_metadata::MetadataImage;
use highwater_protocol::messages::FetchRequest;
use highwater_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use highwater_protocol::{
    AbortedTransaction, EpochEndOffset, FetchPartitionResponse, FetchResponseBody, FetchTopicResponse, ResponseBody,
    StrBytes,
};
use highwater_replication::{FetchRead, FetchResult, FetchWaiter, Isolation};
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicIdPartition};

use crate::connection::ConnectionInfo;
use crate::dispatch::Answer;
use crate::endpoints::LeaderHints;
use crate::fetch_plan::{FetchEntry, FetchPlan};
use crate::state::{GatewayState, RequestContext};
use crate::wire::text;

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;
/// First version with the replica's id in a tagged field (KIP-903).
const REPLICA_STATE_VERSION: i16 = 15;

/// Session epoch of a request that wants a new session.
const INITIAL_EPOCH: i32 = 0;
/// Session epoch of a request that wants none.
const FINAL_EPOCH: i32 = -1;

pub(crate) fn handle(state: Arc<GatewayState>, context: RequestContext, body: FetchRequest) -> Answer {
    if let Some(error) = refusal(context.version, &body) {
        return Answer::Now(refuse(context.version, &body, error).into());
    }
    let image = state.image();
    let max_wait = Duration::from_millis(u64::try_from(body.max_wait_ms).unwrap_or(0));
    let mut fetch = Fetch::new(state, Arc::clone(&context.connection), &image, context.version, body);
    fetch.read_all();
    if max_wait.is_zero() || fetch.plan.is_satisfied() {
        return Answer::Now(fetch.into_response());
    }
    Answer::Exclusive(Box::pin(async move {
        fetch.wait(max_wait).await;
        fetch.into_response()
    }))
}

/// Why the request as a whole is refused.
fn refusal(version: i16, body: &FetchRequest) -> Option<ErrorCode> {
    let replica = if version >= REPLICA_STATE_VERSION { body.replica_state.replica_id } else { body.replica_id };
    if replica.0 >= 0 {
        // Brokers replicate over gRPC with an identity of their own; nobody else may claim to be a replica.
        return Some(ErrorCode::ClusterAuthorizationFailed);
    }
    // This broker never hands out a session, so a request within one belongs to a broker that is gone.
    let full = body.session_epoch == INITIAL_EPOCH || body.session_epoch == FINAL_EPOCH;
    (!full).then_some(ErrorCode::FetchSessionIdNotFound)
}

/// The error on top level, and for versions that have no such field on every partition.
fn refuse(version: i16, body: &FetchRequest, error: ErrorCode) -> FetchResponseBody {
    let topics = if version >= 7 { &[][..] } else { &body.topics };
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
    /// Topics as the request names them, in its order; an id of zero where the name is unknown.
    topics: Vec<(StrBytes, TopicId)>,
    plan: FetchPlan,
}

impl Fetch {
    fn new(
        state: Arc<GatewayState>,
        connection: Arc<ConnectionInfo>,
        image: &MetadataImage,
        version: i16,
        body: FetchRequest,
    ) -> Self {
        let isolation = if body.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
        let mut topics = Vec::with_capacity(body.topics.len());
        let mut entries = Vec::new();
        for topic in body.topics {
            let resolved = resolve(image, version, &topic);
            let position = topics.len();
            entries.extend(topic.partitions.iter().map(|asked| entry(image, position, resolved, asked, isolation)));
            let id =
                if version >= TOPIC_ID_VERSION { TopicId(topic.topic_id) } else { resolved.unwrap_or(TopicId::ZERO) };
            if let Some(known) = image.topic(id) {
                state.metrics.topic(&known.name).fetch_requests.inc();
            }
            topics.push((text(&topic.topic), id));
        }
        let max_bytes = usize::try_from(body.max_bytes).unwrap_or(0).min(state.config.fetch_max_bytes);
        let plan = FetchPlan::new(entries, max_bytes, usize::try_from(body.min_bytes).unwrap_or(0));
        Self { state, connection, topics, plan }
    }

    fn read_all(&mut self) {
        let replicas = &self.state.services.replicas;
        self.plan.read_all(|read| replicas.read(read));
    }

    /// Waits until there is enough to answer, at most for `max_wait`.
    async fn wait(&mut self, max_wait: Duration) {
        let mut deadline = pin!(tokio::time::sleep(max_wait));
        let waiter = FetchWaiter::new();
        let state = Arc::clone(&self.state);
        let replicas = &state.services.replicas;
        let _registration = replicas.register_waiter(&self.plan.readable(), Arc::clone(&waiter));
        // What changed between the first read and the registration.
        self.read_all();
        while !self.plan.is_satisfied() {
            let changed = tokio::select! {
                biased;
                changed = waiter.ready() => changed,
                () = &mut deadline => return,
            };
            for position in changed {
                self.plan.read_again(position, |read| replicas.read(read));
            }
        }
    }

    fn into_response(self) -> ResponseBody {
        let image = self.state.image();
        let mut hints = LeaderHints::new(&image, &self.connection.listener);
        let mut topics: Vec<_> = self
            .topics
            .into_iter()
            .map(|(name, topic_id)| FetchTopicResponse { name, topic_id, partitions: Vec::new() })
            .collect();
        for entry in self.plan.entries {
            let topic = &mut topics[entry.topic];
            let key = TopicIdPartition { topic_id: topic.topic_id, partition: entry.partition };
            let mut response = answer(entry);
            if matches!(response.error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
                response.current_leader = hints.leader(key);
            }
            topic.partitions.push(response);
        }
        count(&self.state, &image, &topics);
        FetchResponseBody { topics, node_endpoints: hints.into_endpoints(), ..FetchResponseBody::default() }.into()
    }
}

fn resolve(image: &MetadataImage, version: i16, topic: &FetchTopic) -> Result<TopicId, ErrorCode> {
    if version >= TOPIC_ID_VERSION {
        let id = TopicId(topic.topic_id);
        image.topic(id).map(|_| id).ok_or(ErrorCode::UnknownTopicId)
    } else {
        image.topic_id(&topic.topic).ok_or(ErrorCode::UnknownTopicOrPartition)
    }
}

fn entry(
    image: &MetadataImage,
    topic: usize,
    topic_id: Result<TopicId, ErrorCode>,
    asked: &FetchPartition,
    isolation: Isolation,
) -> FetchEntry {
    let partition = PartitionIndex(asked.partition);
    let target = topic_id.and_then(|topic_id| {
        let key = TopicIdPartition { topic_id, partition };
        image.topic_partition(key).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok(FetchRead {
            partition: key,
            offset: Offset(asked.fetch_offset),
            current_leader_epoch: LeaderEpoch(asked.current_leader_epoch),
            last_fetched_epoch: LeaderEpoch(asked.last_fetched_epoch),
            max_bytes: 0,
            min_one_batch: false,
            isolation,
        })
    });
    let partition_max_bytes = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
    FetchEntry { topic, partition, partition_max_bytes, target, outcome: None }
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

fn count(state: &GatewayState, image: &MetadataImage, topics: &[FetchTopicResponse]) {
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
