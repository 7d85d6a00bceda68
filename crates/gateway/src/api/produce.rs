//! Produce (key 0): appends batches as leader.
//!
//! Appends happen here and now, in request order; only waiting for acks=all happens later, and meanwhile the connection
//! goes on with the next request. Record bytes are slices of the request's frame all the way to the log; what the response
//! needs is copied out, so that a waiting response does not keep the frame alive.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use highwater_env::clock;
use highwater_metadata::config::{CompressionType, TimestampType as TopicTimestampType};
use highwater_metadata::{MetadataImage, TopicConfig, TopicImage};
use highwater_protocol::messages::ProduceRequest;
use highwater_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use highwater_protocol::{
    BatchIndexAndErrorMessage, ProducePartitionResponse, ProduceResponseBody, ProduceTopicResponse, ResponseBody,
};
use highwater_records::{
    AppendOrigin, Compression, ProduceRejection, TimestampType, ValidationLimits, validate_produce,
};
use highwater_replication::{Acks, HighWatermarkWait};
use highwater_types::{ErrorCode, PartitionIndex, Timestamp, TopicId, TopicIdPartition, TopicPartition};

use crate::answer::Answer;
use crate::connection::ConnectionInfo;
use crate::endpoints::LeaderHints;
use crate::state::{GatewayState, RequestContext};
use crate::topic_metrics::TopicMetrics;
use crate::wire::text;

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;

/// What `compression.lz4.level` says by default, in which case Kafka compresses without a level (KIP-390).
const LZ4_FAST_LEVEL: i32 = 9;

pub(crate) fn handle(state: &Arc<GatewayState>, context: &RequestContext, body: ProduceRequest) -> Answer {
    let image = state.image();
    let mut append = Append {
        state,
        image: &image,
        version: context.version,
        acks: Acks::from_code(body.acks),
        now: clock::wall_ms(),
        waiting: Vec::new(),
    };
    let topics = body.topic_data.into_iter().enumerate().map(|(index, topic)| append.topic(index, topic)).collect();
    let waiting = append.waiting;
    let mut response = ProduceResponseBody { topics, ..ProduceResponseBody::default() };
    if body.acks == 0 {
        return answer_unacknowledged(&response);
    }
    if waiting.is_empty() {
        add_leader_hints(&image, context.listener(), &mut response);
        return Answer::Now(response.into());
    }
    let timeout = Duration::from_millis(u64::try_from(body.timeout_ms).unwrap_or(0));
    let committed = await_commits(Arc::clone(state), Arc::clone(&context.connection), response, waiting, timeout);
    Answer::Parked(Box::pin(committed))
}

/// A client that wants no answer learns of an error only by losing its connection, and then refreshes its metadata.
fn answer_unacknowledged(response: &ProduceResponseBody) -> Answer {
    let partitions = response.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |p| (topic, p)));
    match partitions.into_iter().find(|(_, partition)| partition.error.is_error()) {
        None => Answer::Silent,
        Some((topic, partition)) => Answer::Close(format!(
            "a produce request with acks=0 failed for partition {} of topic {}{}: {}",
            partition.index,
            &*topic.name,
            if topic.name.is_empty() { topic.topic_id.to_string() } else { String::new() },
            partition.error
        )),
    }
}

/// An append that is done on this broker and waits for the others.
struct Waiting {
    /// Position of the topic in the response.
    topic: usize,
    /// Position of the partition in its topic.
    partition: usize,
    wait: HighWatermarkWait,
}

/// Waits for all appends, until the request's time-out; then fills in the response.
async fn await_commits(
    state: Arc<GatewayState>,
    connection: Arc<ConnectionInfo>,
    mut response: ProduceResponseBody,
    waiting: Vec<Waiting>,
    timeout: Duration,
) -> ResponseBody {
    let mut deadline = pin!(tokio::time::sleep(timeout));
    for Waiting { topic, partition, wait } in waiting {
        let outcome = tokio::select! {
            biased;
            outcome = wait => outcome,
            () = &mut deadline => Err(ErrorCode::RequestTimedOut),
        };
        if let Err(error) = outcome {
            response.topics[topic].partitions[partition].error = error;
        }
    }
    add_leader_hints(&state.image(), &connection.listener, &mut response);
    response.into()
}

/// KIP-951: who leads the partitions that this broker does not lead.
fn add_leader_hints(image: &MetadataImage, listener: &str, response: &mut ProduceResponseBody) {
    let mut hints = LeaderHints::new(image, listener);
    for topic in &mut response.topics {
        for partition in &mut topic.partitions {
            if partition.error == ErrorCode::NotLeaderOrFollower {
                partition.current_leader =
                    hints.leader(TopicIdPartition { topic_id: topic.topic_id, partition: partition.index });
            }
        }
    }
    response.node_endpoints = hints.into_endpoints();
}

/// The appends of one request.
struct Append<'a> {
    state: &'a GatewayState,
    image: &'a MetadataImage,
    version: i16,
    /// `None` when the request asks for acks that do not exist.
    acks: Option<Acks>,
    now: Timestamp,
    waiting: Vec<Waiting>,
}

/// What the partitions of one topic share.
struct Target<'a> {
    topic: &'a TopicImage,
    limits: ValidationLimits,
    metrics: Arc<TopicMetrics>,
}

impl Append<'_> {
    fn topic(&mut self, position: usize, data: TopicProduceData) -> ProduceTopicResponse {
        let id = TopicId(data.topic_id);
        let found = if self.version >= TOPIC_ID_VERSION {
            self.image.topic(id).ok_or(ErrorCode::UnknownTopicId)
        } else {
            self.image.topic_by_name(&data.name).ok_or(ErrorCode::UnknownTopicOrPartition)
        };
        let mut response = ProduceTopicResponse { name: text(&data.name), topic_id: id, partitions: Vec::new() };
        let partitions = data.partition_data.into_iter();
        let topic = match found {
            Ok(topic) => topic,
            Err(error) => {
                response.partitions = partitions.map(|data| refused(data.index, error, None)).collect();
                return response;
            }
        };
        response.topic_id = topic.id;
        let config = self.state.topic_configs.get(self.image, topic);
        let metrics = self.state.metrics.topic(&topic.name);
        metrics.produce_requests.inc();
        let target = Target { topic, limits: limits(&config, self.version, self.now), metrics };
        let answer = |(index, data)| self.partition(&target, (position, index), data);
        response.partitions = partitions.enumerate().map(answer).collect();
        response
    }

    fn partition(
        &mut self,
        target: &Target<'_>,
        position: (usize, usize),
        data: PartitionProduceData,
    ) -> ProducePartitionResponse {
        let response = self.append(target, position, data);
        if response.error.is_error() {
            target.metrics.failed_produce_requests.inc();
        }
        response
    }

    fn append(
        &mut self,
        target: &Target<'_>,
        position: (usize, usize),
        data: PartitionProduceData,
    ) -> ProducePartitionResponse {
        let index = data.index;
        let Some(acks) = self.acks else { return refused(index, ErrorCode::InvalidRequiredAcks, None) };
        if target.topic.name.is_internal() {
            let message = format!("Cannot append to internal topic {}", target.topic.name);
            return refused(index, ErrorCode::InvalidTopicException, Some(message));
        }
        match target.topic.partition(PartitionIndex(index)) {
            None => return refused(index, ErrorCode::UnknownTopicOrPartition, None),
            // Before the work of validation.
            Some(partition) if partition.leader != self.state.config.node_id => {
                return refused(index, ErrorCode::NotLeaderOrFollower, None);
            }
            Some(_) => {}
        }
        let name = TopicPartition { topic: target.topic.name.clone(), partition: PartitionIndex(index) };
        let batch = match validate_produce(data.records.unwrap_or_default(), &name, &target.limits) {
            Ok(batch) => batch,
            Err(rejection) => return rejected(index, rejection),
        };
        if batch.header().attributes.is_transactional() {
            let message = "Transactional batches are not served by this version of Highwater".to_owned();
            return refused(index, ErrorCode::InvalidTxnState, Some(message));
        }
        let key = TopicIdPartition { topic_id: target.topic.id, partition: PartitionIndex(index) };
        match self.state.services.replicas.append(key, &batch, acks) {
            Err(error) => refused(index, error.code, Some(error.message)),
            Ok(outcome) => {
                if !outcome.duplicate {
                    target.metrics.bytes_in.inc_by(batch.size_in_bytes() as u64);
                    target.metrics.messages_in.inc_by(u64::try_from(batch.header().record_count).unwrap_or(0));
                }
                if let Some(wait) = outcome.wait {
                    self.waiting.push(Waiting { topic: position.0, partition: position.1, wait });
                }
                let index = PartitionIndex(index);
                ProducePartitionResponse::appended(index, outcome.base_offset, outcome.append_time, outcome.log_start)
            }
        }
    }
}

fn refused(index: i32, error: ErrorCode, message: Option<String>) -> ProducePartitionResponse {
    ProducePartitionResponse::refused(PartitionIndex(index), error, message)
}

fn rejected(index: i32, rejection: ProduceRejection) -> ProducePartitionResponse {
    let record_errors = rejection
        .record_errors
        .into_iter()
        .map(|error| BatchIndexAndErrorMessage { batch_index: error.batch_index, message: Some(error.message) });
    ProducePartitionResponse {
        record_errors: record_errors.collect(),
        ..refused(index, rejection.code, Some(rejection.message))
    }
}

/// What the topic's level asks of its codec.
fn compression_level(config: &TopicConfig) -> Option<i32> {
    match config.compression_type {
        CompressionType::Gzip => Some(config.compression_gzip_level).filter(|&level| level != -1),
        CompressionType::Lz4 => Some(config.compression_lz4_level).filter(|&level| level != LZ4_FAST_LEVEL),
        CompressionType::Zstd => Some(config.compression_zstd_level),
        CompressionType::Producer | CompressionType::Uncompressed | CompressionType::Snappy => None,
    }
}

/// The topic's rules for batches of clients.
fn limits(config: &TopicConfig, version: i16, now: Timestamp) -> ValidationLimits {
    ValidationLimits {
        origin: AppendOrigin::Client { produce_version: version },
        max_message_bytes: usize::try_from(config.max_message_bytes).unwrap_or(0),
        compacted: config.cleanup_policy.compact,
        timestamp_type: match config.message_timestamp_type {
            TopicTimestampType::CreateTime => TimestampType::CreateTime,
            TopicTimestampType::LogAppendTime => TimestampType::LogAppendTime,
        },
        before_max_ms: config.message_timestamp_before_max_ms,
        after_max_ms: config.message_timestamp_after_max_ms,
        compression: match config.compression_type {
            CompressionType::Producer => None,
            CompressionType::Uncompressed => Some(Compression::None),
            CompressionType::Gzip => Some(Compression::Gzip),
            CompressionType::Snappy => Some(Compression::Snappy),
            CompressionType::Lz4 => Some(Compression::Lz4),
            CompressionType::Zstd => Some(Compression::Zstd),
        },
        compression_level: compression_level(config),
        now,
    }
}
