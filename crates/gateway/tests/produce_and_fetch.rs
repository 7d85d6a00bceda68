//! Records in, records out, through real connections, replicas and logs.

mod harness;

use std::time::Duration;

use bytes::Bytes;
use harness::TestBroker;
use harness::client::Client;
use harness::requests::{create, fetch, name, produce, values};
use harness::samples::batch;
use highwater_protocol::messages::*;

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
