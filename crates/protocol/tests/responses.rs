//! Answers: the hand-written encoders against `kafka-protocol`'s, and the header rules.

use bytes::{BufMut, Bytes, BytesMut};
use highwater_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId as WireBrokerId, FetchRequest, FetchResponse, HeartbeatResponse,
    MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse, ProducerId as WireProducerId, TopicName,
    fetch_response, produce_response,
};
use highwater_protocol::{
    AbortedTransaction, BatchIndexAndErrorMessage, EncodeError, EpochEndOffset, FetchPartitionResponse,
    FetchResponseBody, FetchTopicResponse, LeaderIdAndEpoch, NodeEndpoint, ProducePartitionResponse,
    ProduceResponseBody, ProduceTopicResponse, ResponseBody, ResponseHeader, Segment, StrBytes, decode_request,
    decode_response, encode_request, encode_response,
};
use highwater_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, ProducerId, Timestamp, TopicId};
use kafka_protocol::protocol::Encodable;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn header(api_key: i16, version: i16) -> ResponseHeader {
    ResponseHeader { api_key, version, correlation_id: 0x0102_0304 }
}

/// Length prefix, header and body as `kafka-protocol` writes them.
fn reference_frame<M: Encodable>(message: &M, version: i16, flexible_from: i16) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    frame.put_i32(0x0102_0304);
    if version >= flexible_from {
        frame.put_u8(0);
    }
    message.encode(&mut frame, version).unwrap();
    let length = frame.len() as i32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

fn str_bytes(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn error() -> impl Strategy<Value = ErrorCode> {
    proptest::sample::select(ErrorCode::ALL)
}

fn leader() -> impl Strategy<Value = Option<LeaderIdAndEpoch>> {
    option::of(
        (-1..9i32, -1..9i32)
            .prop_map(|(id, epoch)| LeaderIdAndEpoch { leader_id: BrokerId(id), leader_epoch: LeaderEpoch(epoch) }),
    )
}

fn endpoints() -> impl Strategy<Value = Vec<NodeEndpoint>> {
    let endpoint = (any::<i32>(), ".{0,20}", any::<i32>(), option::of(".{0,5}"))
        .prop_map(|(id, host, port, rack)| NodeEndpoint { node_id: BrokerId(id), host, port, rack });
    vec(endpoint, 0..3)
}

fn topic() -> impl Strategy<Value = (StrBytes, TopicId)> {
    (".{0,40}", any::<u128>()).prop_map(|(name, id)| (StrBytes::from_string(name), TopicId::from_random(id)))
}

fn produce_partition() -> impl Strategy<Value = ProducePartitionResponse> {
    let record_error = (any::<i32>(), option::of(".{0,20}"))
        .prop_map(|(batch_index, message)| BatchIndexAndErrorMessage { batch_index, message });
    let numbers = (any::<i32>(), any::<i64>(), any::<i64>(), any::<i64>());
    (numbers, error(), vec(record_error, 0..3), option::of(".{0,200}"), leader()).prop_map(
        |((index, base, time, start), error, record_errors, error_message, current_leader)| ProducePartitionResponse {
            index: PartitionIndex(index),
            error,
            base_offset: Offset(base),
            log_append_time: Timestamp(time),
            log_start_offset: Offset(start),
            record_errors,
            error_message,
            current_leader,
        },
    )
}

fn produce_body() -> impl Strategy<Value = ProduceResponseBody> {
    let topic = (topic(), vec(produce_partition(), 0..4))
        .prop_map(|((name, topic_id), partitions)| ProduceTopicResponse { name, topic_id, partitions });
    (vec(topic, 0..4), any::<i32>(), endpoints()).prop_map(|(topics, throttle_time_ms, node_endpoints)| {
        ProduceResponseBody { topics, throttle_time_ms, node_endpoints }
    })
}

fn fetch_partition() -> impl Strategy<Value = FetchPartitionResponse> {
    let aborted = (any::<i64>(), any::<i64>())
        .prop_map(|(id, first)| AbortedTransaction { producer_id: ProducerId(id), first_offset: Offset(first) });
    let diverging = (0..9i32, any::<i64>())
        .prop_map(|(epoch, end)| EpochEndOffset { epoch: LeaderEpoch(epoch), end_offset: Offset(end) });
    let records = vec(vec(any::<u8>(), 0..300).prop_map(Bytes::from), 0..4);
    let numbers = (any::<i32>(), any::<i64>(), any::<i64>(), any::<i64>(), any::<i32>());
    (numbers, error(), option::of(vec(aborted, 0..3)), option::of(diverging), leader(), records).prop_map(
        |(
            (index, hw, lso, start, preferred),
            error,
            aborted_transactions,
            diverging_epoch,
            current_leader,
            records,
        )| {
            FetchPartitionResponse {
                index: PartitionIndex(index),
                error,
                high_watermark: Offset(hw),
                last_stable_offset: Offset(lso),
                log_start_offset: Offset(start),
                aborted_transactions,
                preferred_read_replica: BrokerId(preferred),
                diverging_epoch,
                current_leader,
                records,
            }
        },
    )
}

fn fetch_body() -> impl Strategy<Value = FetchResponseBody> {
    let topic = (topic(), vec(fetch_partition(), 0..4)).prop_map(|((name, topic_id), partitions)| FetchTopicResponse {
        name,
        topic_id,
        partitions,
    });
    (any::<i32>(), error(), any::<i32>(), vec(topic, 0..4), endpoints()).prop_map(
        |(throttle_time_ms, error, session_id, topics, node_endpoints)| FetchResponseBody {
            throttle_time_ms,
            error,
            session_id,
            topics,
            node_endpoints,
        },
    )
}

/// The same answer in `kafka-protocol`'s types, without what `version` cannot carry.
fn produce_reference(body: &ProduceResponseBody, version: i16) -> ProduceResponse {
    use produce_response as wire;
    let partition = |partition: &ProducePartitionResponse| {
        let mut response = wire::PartitionProduceResponse::default()
            .with_index(partition.index.get())
            .with_error_code(partition.error.code())
            .with_base_offset(partition.base_offset.get())
            .with_log_append_time_ms(partition.log_append_time.0)
            .with_log_start_offset(partition.log_start_offset.get());
        if version >= 8 {
            let record_error = |error: &BatchIndexAndErrorMessage| {
                wire::BatchIndexAndErrorMessage::default()
                    .with_batch_index(error.batch_index)
                    .with_batch_index_error_message(error.message.as_deref().map(str_bytes))
            };
            response = response
                .with_record_errors(partition.record_errors.iter().map(record_error).collect())
                .with_error_message(partition.error_message.as_deref().map(str_bytes));
        }
        if let Some(leader) = partition.current_leader.filter(|_| version >= 10) {
            response = response.with_current_leader(
                wire::LeaderIdAndEpoch::default()
                    .with_leader_id(WireBrokerId(leader.leader_id.get()))
                    .with_leader_epoch(leader.leader_epoch.get()),
            );
        }
        response
    };
    let topic = |topic: &ProduceTopicResponse| {
        let response = wire::TopicProduceResponse::default()
            .with_partition_responses(topic.partitions.iter().map(partition).collect());
        if version >= 13 {
            response.with_topic_id(topic.topic_id.0)
        } else {
            response.with_name(TopicName(topic.name.clone()))
        }
    };
    let mut response = ProduceResponse::default()
        .with_throttle_time_ms(body.throttle_time_ms)
        .with_responses(body.topics.iter().map(topic).collect());
    if version >= 10 {
        let endpoint = |endpoint: &NodeEndpoint| {
            wire::NodeEndpoint::default()
                .with_node_id(WireBrokerId(endpoint.node_id.get()))
                .with_host(str_bytes(&endpoint.host))
                .with_port(endpoint.port)
                .with_rack(endpoint.rack.as_deref().map(str_bytes))
        };
        response = response.with_node_endpoints(body.node_endpoints.iter().map(endpoint).collect());
    }
    response
}

/// The same answer in `kafka-protocol`'s types, without what `version` cannot carry.
fn fetch_reference(body: &FetchResponseBody, version: i16) -> FetchResponse {
    use fetch_response as wire;
    let partition = |partition: &FetchPartitionResponse| {
        let aborted = |aborted: &AbortedTransaction| {
            wire::AbortedTransaction::default()
                .with_producer_id(WireProducerId(aborted.producer_id.get()))
                .with_first_offset(aborted.first_offset.get())
        };
        let mut response = wire::PartitionData::default()
            .with_partition_index(partition.index.get())
            .with_error_code(partition.error.code())
            .with_high_watermark(partition.high_watermark.get())
            .with_last_stable_offset(partition.last_stable_offset.get())
            .with_log_start_offset(partition.log_start_offset.get())
            .with_aborted_transactions(
                partition.aborted_transactions.as_ref().map(|list| list.iter().map(aborted).collect()),
            )
            .with_records(Some(partition.records.concat().into()));
        if version >= 11 {
            response = response.with_preferred_read_replica(WireBrokerId(partition.preferred_read_replica.get()));
        }
        if let Some(diverging) = partition.diverging_epoch.filter(|_| version >= 12) {
            response = response.with_diverging_epoch(
                wire::EpochEndOffset::default()
                    .with_epoch(diverging.epoch.get())
                    .with_end_offset(diverging.end_offset.get()),
            );
        }
        if let Some(leader) = partition.current_leader.filter(|_| version >= 12) {
            response = response.with_current_leader(
                wire::LeaderIdAndEpoch::default()
                    .with_leader_id(WireBrokerId(leader.leader_id.get()))
                    .with_leader_epoch(leader.leader_epoch.get()),
            );
        }
        response
    };
    let topic = |topic: &FetchTopicResponse| {
        let response =
            wire::FetchableTopicResponse::default().with_partitions(topic.partitions.iter().map(partition).collect());
        if version >= 13 {
            response.with_topic_id(topic.topic_id.0)
        } else {
            response.with_topic(TopicName(topic.name.clone()))
        }
    };
    let mut response = FetchResponse::default()
        .with_throttle_time_ms(body.throttle_time_ms)
        .with_responses(body.topics.iter().map(topic).collect());
    if version >= 7 {
        response = response.with_error_code(body.error.code()).with_session_id(body.session_id);
    }
    if version >= 16 {
        let endpoint = |endpoint: &NodeEndpoint| {
            wire::NodeEndpoint::default()
                .with_node_id(WireBrokerId(endpoint.node_id.get()))
                .with_host(str_bytes(&endpoint.host))
                .with_port(endpoint.port)
                .with_rack(endpoint.rack.as_deref().map(str_bytes))
        };
        response = response.with_node_endpoints(body.node_endpoints.iter().map(endpoint).collect());
    }
    response
}

proptest! {
    #[test]
    fn produce_answers_are_those_of_kafka_protocol(body in produce_body()) {
        for version in 3..=13 {
            let expected = reference_frame(&produce_reference(&body, version), version, 9);
            let encoded = encode_response(header(0, version), body.clone().into()).unwrap();
            prop_assert_eq!(encoded.len_bytes(), expected.len());
            prop_assert_eq!(encoded.into_bytes(), expected, "version {}", version);
        }
    }

    #[test]
    fn fetch_answers_are_those_of_kafka_protocol(body in fetch_body()) {
        for version in 4..=18 {
            let expected = reference_frame(&fetch_reference(&body, version), version, 12);
            let encoded = encode_response(header(1, version), body.clone().into()).unwrap();
            prop_assert_eq!(encoded.len_bytes(), expected.len());
            prop_assert_eq!(encoded.into_bytes(), expected.clone(), "version {}", version);
            let (correlation_id, decoded) = decode_response::<FetchRequest>(version, expected.slice(4..)).unwrap();
            prop_assert_eq!(correlation_id, 0x0102_0304);
            prop_assert_eq!(decoded.responses.len(), body.topics.len());
        }
    }
}

#[test]
fn fetched_records_leave_uncopied() {
    let records: Vec<Bytes> = (0..3u8).map(|byte| Bytes::from(vec![byte; 100])).collect();
    let partition = |index, records| FetchPartitionResponse {
        error: ErrorCode::None,
        records,
        ..FetchPartitionResponse::failed(PartitionIndex(index), ErrorCode::None)
    };
    let body = FetchResponseBody {
        topics: vec![FetchTopicResponse {
            name: str_bytes("t"),
            partitions: vec![
                partition(0, records[..2].to_vec()),
                partition(1, Vec::new()),
                partition(2, records[2..].to_vec()),
            ],
            ..FetchTopicResponse::default()
        }],
        ..FetchResponseBody::default()
    };
    for version in 4..=18 {
        let segments = encode_response(header(1, version), body.clone().into()).unwrap();
        let pieces: Vec<&Bytes> = segments.as_slice().iter().map(|Segment::Bytes(bytes)| bytes).collect();
        for record in &records {
            assert!(pieces.iter().any(|piece| piece.as_ptr() == record.as_ptr()), "version {version}");
        }
        assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), segments.len_bytes());
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
    }
}

#[test]
fn produced_records_share_the_frame() {
    let body = vec![7u8; 1000];
    for version in 3..=13 {
        let partition = highwater_protocol::messages::produce_request::PartitionProduceData::default()
            .with_records(Some(body.clone().into()));
        let topic = highwater_protocol::messages::produce_request::TopicProduceData::default()
            .with_partition_data(vec![partition]);
        let frame =
            encode_request(version, 1, Some("c"), &ProduceRequest::default().with_topic_data(vec![topic])).unwrap();
        let frame = frame.slice(4..);
        let request = decode_request(frame.clone()).unwrap();
        let highwater_protocol::RequestBody::Produce(produce) = request.body else { panic!("not a Produce") };
        let records = produce.topic_data[0].partition_data[0].records.as_ref().unwrap();
        let within = frame.as_ptr_range();
        assert!(within.contains(&records.as_ptr()), "version {version}");
        assert_eq!(records, &body);
        assert_eq!(request.header.client_id.as_deref(), Some("c"));
    }
}

#[test]
fn api_versions_answers_with_header_0_in_every_version() {
    for version in 0..=4 {
        let frame = encode_response(header(18, version), ApiVersionsResponse::default().into()).unwrap().into_bytes();
        let (correlation_id, _) = decode_response::<ApiVersionsRequest>(version, frame.slice(4..)).unwrap();
        assert_eq!(correlation_id, 0x0102_0304);
        assert_eq!(frame[8..10], [0, 0], "the error code follows the correlation id");
    }
}

#[test]
fn other_answers_round_trip_in_every_version() {
    for version in 0..=13 {
        let mut response =
            MetadataResponse::default().with_controller_id(WireBrokerId(if version >= 1 { 3 } else { -1 }));
        if version >= 2 {
            response = response.with_cluster_id(Some(str_bytes("cluster")));
        }
        let frame = encode_response(header(3, version), response.clone().into()).unwrap().into_bytes();
        assert_eq!(frame.len(), 4 + i32::from_be_bytes(frame[..4].try_into().unwrap()) as usize);
        assert_eq!(decode_response::<MetadataRequest>(version, frame.slice(4..)).unwrap().1, response);
    }
}

#[test]
fn what_cannot_be_encoded_is_an_error() {
    let heartbeat = || ResponseBody::from(HeartbeatResponse::default());
    assert_eq!(
        encode_response(header(12, 5), heartbeat()),
        Err(EncodeError::UnsupportedVersion { api_key: 12, version: 5 })
    );
    assert_eq!(
        encode_response(header(0, 2), ProduceResponseBody::default().into()),
        Err(EncodeError::UnsupportedVersion { api_key: 0, version: 2 })
    );
    assert_eq!(
        encode_response(header(3, 1), heartbeat()),
        Err(EncodeError::WrongApi { api_key: 3, body: "Heartbeat" })
    );
    let too_new = HeartbeatResponse::default().with_throttle_time_ms(5);
    assert!(encode_response(header(12, 0), too_new.into()).is_ok(), "ignorable fields are left out");
    let long = "x".repeat(40_000);
    let body = ProduceResponseBody {
        topics: vec![ProduceTopicResponse { name: str_bytes(&long), ..ProduceTopicResponse::default() }],
        ..ProduceResponseBody::default()
    };
    assert_eq!(
        encode_response(header(0, 3), body.clone().into()),
        Err(EncodeError::TooLong { what: "string", length: 40_000 })
    );
    assert!(encode_response(header(0, 9), body.into()).is_ok(), "compact strings may be longer");
    assert!(decode_response::<ProduceRequest>(2, Bytes::new()).is_err());
}
