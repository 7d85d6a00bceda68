//! Records in, records out, through real connections, replicas and logs.

mod harness;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use harness::TestBroker;
use harness::client::Client;
use harness::requests::{create, fetch, name, produce, values};
use harness::samples::batch;
use highwater_protocol::messages::*;
use highwater_records::{BatchBuilder, Compression, RecordBatch};
use highwater_types::Timestamp;

#[tokio::test]
async fn what_is_produced_is_fetched() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t", 2, &[]).await;
    for (acks, base) in [(1, 0), (-1, 2)] {
        let response = client.call(9, &produce("t", 0, acks, batch(&["a", "b"]))).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset, partition.log_append_time_ms), (0, base, -1));
    }
    // acks=0 has no answer; the next answer is that of the fetch, which waits until all five are committed.
    client.send(9, &produce("t", 0, 0, batch(&["c"]))).await;
    let all_bytes = 2 * batch(&["a", "b"]).len() + batch(&["c"]).len();
    let response = client.call(11, &fetch("t", &[(0, 0), (1, 0)], i32::try_from(all_bytes).unwrap(), 5000)).await;
    let partitions = &response.responses[0].partitions;
    assert_eq!(values(partitions[0].records.as_ref()), ["a", "b", "a", "b", "c"]);
    assert_eq!((partitions[0].high_watermark, partitions[1].high_watermark), (5, 0));
    assert_eq!(values(partitions[1].records.as_ref()), [] as [String; 0]);
    // Once for the topic, and once in the total.
    assert!(broker.metric("kafka_server_brokertopicmetrics_messagesin_total") == 10.0);
    assert!(broker.metric("kafka_server_brokertopicmetrics_bytesout_total") > 0.0);
}

#[tokio::test]
async fn pipelined_produces_are_appended_and_answered_in_order() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t", 1, &[]).await;
    let mut sent = Vec::new();
    for _ in 0..200 {
        sent.push(client.send(9, &produce("t", 0, -1, batch(&["x"]))).await);
    }
    for (index, id) in sent.into_iter().enumerate() {
        let (correlation_id, response) = client.receive::<ProduceRequest>(9).await;
        assert_eq!(correlation_id, id);
        assert_eq!(response.responses[0].partition_responses[0].base_offset, index as i64);
    }
}

#[tokio::test]
async fn a_waiting_fetch_wakes_on_an_append_to_any_of_its_partitions() {
    let broker = TestBroker::start().await;
    let mut consumer = Client::connect(broker.address).await;
    create(&mut consumer, "t", 3, &[]).await;
    consumer.send(11, &fetch("t", &[(0, 0), (1, 0), (2, 0)], 1, 8000)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut producer = Client::connect(broker.address).await;
    producer.call(9, &produce("t", 2, -1, batch(&["late"]))).await;
    let (_, response) = consumer.receive::<FetchRequest>(11).await;
    assert_eq!(values(response.responses[0].partitions[2].records.as_ref()), ["late"]);
}

#[tokio::test]
async fn an_answer_is_bounded_whatever_is_asked_for_and_does_not_wait_for_more() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t", 2, &[]).await;
    let value: &'static str = "x".repeat(1_000_000).leak();
    for partition in [0, 1] {
        for _ in 0..6 {
            client.call(9, &produce("t", partition, -1, batch(&[value]))).await;
        }
    }
    let mut request = fetch("t", &[(0, 0), (1, 0)], i32::MAX, 60_000).with_max_bytes(i32::MAX);
    for partition in &mut request.topics[0].partitions {
        partition.partition_max_bytes = i32::MAX;
    }
    let response = tokio::time::timeout(Duration::from_secs(30), client.call(11, &request)).await.unwrap();
    let partitions = &response.responses[0].partitions;
    assert_eq!([0, 1].map(|index| values(partitions[index].records.as_ref()).len()), [6, 2]);
}

#[tokio::test]
async fn an_empty_fetch_waits_its_time_and_no_longer() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t", 1, &[]).await;
    let before = tokio::time::Instant::now();
    let response = client.call(11, &fetch("t", &[(0, 0)], 1, 200)).await;
    assert!(before.elapsed() >= Duration::from_millis(200));
    assert_eq!(response.responses[0].partitions[0].error_code, 0);
}

#[tokio::test]
async fn bad_produces_get_kafkas_errors_and_change_nothing() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t", 1, &[("max.message.bytes", "200")]).await;
    let large: &'static str = "0123456789012345678901234567890123456789012345678901234567890123456789";
    let mut corrupt = batch(&["a"]).to_vec();
    let last = corrupt.len() - 1;
    corrupt[last] ^= 1;
    let cases: Vec<(ProduceRequest, i16)> = vec![
        (produce("t", 0, 7, batch(&["a"])), 21),
        (produce("t", 1, 1, batch(&["a"])), 3),
        (produce("nowhere", 0, 1, batch(&["a"])), 3),
        (produce("t", 0, 1, Bytes::new()), 87),
        (produce("t", 0, 1, Bytes::from(corrupt)), 2),
        (produce("t", 0, 1, batch(&[large, large, large])), 10),
    ];
    for (request, error) in cases {
        let response = client.call(9, &request).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (error, -1), "{request:?}");
    }
    let response = client.call(11, &fetch("t", &[(0, 0)], 0, 0)).await;
    assert_eq!(response.responses[0].partitions[0].high_watermark, 0);
}

#[tokio::test]
async fn rejected_records_are_named() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "keyed", 1, &[("cleanup.policy", "compact")]).await;
    create(&mut client, "timely", 1, &[("message.timestamp.before.max.ms", "1000")]).await;
    let mut half_keyed = BatchBuilder::new(Compression::None);
    let now = highwater_env::clock::wall_ms();
    for (key, timestamp) in [(Some(&b"k"[..]), now), (None, now), (Some(b"k"), Timestamp(5)), (None, Timestamp(6))] {
        half_keyed.append(timestamp, key, Some(b"v"), &[]);
    }
    let half_keyed = half_keyed.build();
    for (topic, error, indexes, says) in [("keyed", 87, [1, 3], "key"), ("timely", 32, [2, 3], "imestamp")] {
        let response = client.call(9, &produce(topic, 0, -1, half_keyed.clone())).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (error, -1), "{topic}");
        assert!(partition.error_message.is_some(), "{topic}");
        let found: Vec<i32> = partition.record_errors.iter().map(|error| error.batch_index).collect();
        assert_eq!(found, indexes, "{topic}");
        let messages = partition.record_errors.iter().map(|error| error.batch_index_error_message.as_ref());
        assert!(messages.flatten().filter(|message| message.contains(says)).count() == 2, "{partition:?}");
    }
}

#[tokio::test]
async fn the_topics_codec_and_level_are_applied() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    let text: Vec<u8> = (0..40_000_u32).map(|byte| b'a' + ((byte * byte / 7) % 23) as u8).collect();
    let mut sent = BatchBuilder::new(Compression::Snappy);
    sent.append(highwater_env::clock::wall_ms(), None, Some(&text), &[]);
    let sent = sent.build();
    type Settings = &'static [(&'static str, &'static str)];
    let cases: [(&str, Settings, Compression); 5] = [
        ("producer", &[], Compression::Snappy),
        ("none", &[("compression.type", "uncompressed")], Compression::None),
        ("lz4", &[("compression.type", "lz4"), ("compression.lz4.level", "17")], Compression::Lz4),
        ("fast", &[("compression.type", "gzip"), ("compression.gzip.level", "1")], Compression::Gzip),
        ("best", &[("compression.type", "gzip"), ("compression.gzip.level", "9")], Compression::Gzip),
    ];
    let mut sizes = Vec::new();
    for (topic, configs, codec) in cases {
        create(&mut client, topic, 1, configs).await;
        let response = client.call(9, &produce(topic, 0, -1, sent.clone())).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0, "{topic}");
        let response = client.call(11, &fetch(topic, &[(0, 0)], 1, 5000)).await;
        let records = response.responses[0].partitions[0].records.clone().unwrap();
        let batch = RecordBatch::parse(&records).unwrap();
        assert_eq!(batch.header().attributes.compression(), Ok(codec), "{topic}");
        assert!(batch.records().unwrap().iter().all(|record| record.unwrap().value == Some(&text)), "{topic}");
        sizes.push(records.len());
    }
    assert!(sizes[1] > text.len() && sizes[3] > sizes[4], "gzip's levels differ: {sizes:?}");
}

#[tokio::test]
async fn an_unacknowledged_produce_that_fails_closes_the_connection() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    client.send(9, &produce("nowhere", 0, 0, batch(&["a"]))).await;
    assert_eq!(client.receive_raw().await, None);
}

#[tokio::test]
async fn fetches_of_replicas_and_of_foreign_sessions_are_refused() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t", 1, &[]).await;
    let response = client.call(11, &fetch("t", &[(0, 0)], 0, 0).with_replica_id(BrokerId(2))).await;
    assert_eq!(response.error_code, 31);
    let response = client.call(4, &fetch("t", &[(0, 0)], 0, 0).with_replica_id(BrokerId(2))).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 31);
    let response = client.call(11, &fetch("t", &[(0, 0)], 0, 0).with_session_id(5).with_session_epoch(3)).await;
    assert_eq!(response.error_code, 70);
    let response = client.call(11, &fetch("t", &[(0, 99)], 0, 0)).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 1);
}

#[tokio::test]
async fn metadata_creates_topics_and_the_coordinator_its_own() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    let topics = vec![metadata_request::MetadataRequestTopic::default().with_name(Some(name("auto")))];
    let request = MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(true);
    let response = client.call(12, &request).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
    assert_eq!(response.topics[0].partitions[0].leader_id, BrokerId(1));
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec!["group".into()]);
    let response = client.call(4, &request).await;
    assert_eq!(response.coordinators[0].error_code, 0, "{response:?}");
    assert_eq!(response.coordinators[0].port, i32::from(broker.address.port()));
    let refused = client.call(4, &request.with_key_type(1)).await;
    assert_eq!(refused.coordinators[0].error_code, 35);
    let ids = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1);
    let first = client.call(4, &ids).await;
    let second = client.call(4, &ids).await;
    assert_eq!((first.error_code, second.error_code), (0, 0));
    assert_ne!(first.producer_id, second.producer_id);
}

#[tokio::test]
async fn a_broker_without_a_lease_sends_nobody_back_to_itself() {
    let broker = TestBroker::start().await;
    broker.register_absent(2).await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t", 1, &[]).await;
    let asked = MetadataRequest::default().with_topics(None);
    let find = FindCoordinatorRequest::default().with_coordinator_keys(vec!["group".into()]);
    client.call(4, &find).await;
    let led = client.call(12, &asked).await;
    assert_eq!((led.brokers.len(), led.controller_id), (1, BrokerId(1)));
    assert_eq!(led.topics[0].partitions[0].leader_id, BrokerId(1));
    assert_eq!(client.call(4, &find).await.coordinators[0].node_id, BrokerId(1));

    broker.lease.lapsed.store(true, Ordering::SeqCst);
    let response = client.call(10, &produce("t", 0, -1, batch(&["x"]))).await;
    let refused = &response.responses[0].partition_responses[0];
    assert_eq!((refused.error_code, refused.current_leader.leader_id), (6, BrokerId(-1)));
    assert_eq!(response.node_endpoints, []);
    let unled = client.call(12, &asked).await;
    let listed: Vec<BrokerId> = unled.brokers.iter().map(|one| one.node_id).collect();
    assert_eq!(listed, [BrokerId(1), BrokerId(2)], "nobody is unfenced, and somebody must be left to ask");
    let partition = &unled.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.leader_id, unled.controller_id), (5, BrokerId(-1), BrokerId(-1)));
    assert_eq!(client.call(4, &find).await.coordinators[0].error_code, 15);

    broker.lease.lapsed.store(false, Ordering::SeqCst);
    assert_eq!(client.call(12, &asked).await.topics[0].partitions[0].leader_id, BrokerId(1));
    let response = client.call(10, &produce("t", 0, -1, batch(&["x"]))).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn a_dead_broker_stays_in_the_lists_of_librdkafka_producers_only() {
    let broker = TestBroker::start().await;
    broker.register_absent(2).await;
    let (mut producer, mut consumer) = (Client::connect(broker.address).await, Client::connect(broker.address).await);
    let software = ApiVersionsRequest::default()
        .with_client_software_name("librdkafka".into())
        .with_client_software_version("2.12.1".into());
    for client in [&mut producer, &mut consumer] {
        client.call(3, &software).await;
    }
    create(&mut producer, "t", 1, &[]).await;
    producer.call(9, &produce("t", 0, -1, batch(&["a"]))).await;
    consumer.call(11, &fetch("t", &[(0, 0)], 1, 0)).await;
    let listed = async |client: &mut Client| {
        let response = client.call(12, &MetadataRequest::default().with_topics(None)).await;
        response.brokers.iter().map(|one| one.node_id.0).collect::<Vec<_>>()
    };
    let mut lists = Vec::new();
    for fenced in [false, true] {
        broker.set_fenced(2, fenced).await;
        lists.push((listed(&mut producer).await, listed(&mut consumer).await));
    }
    assert_eq!(lists, [(vec![1, 2], vec![1, 2]), (vec![1, 2], vec![1])]);
}
