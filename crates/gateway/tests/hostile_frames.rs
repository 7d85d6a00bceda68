//! Frames that lie about counts and lengths, for every advertised API at every version, over real connections: the broker
//! stays up, answers others, and its memory does not grow.

mod harness;

use std::path::Path;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use harness::TestBroker;
use harness::client::Client;
use harness::samples::{Sample, TOPIC, samples};
use highwater_env::Fs;
use highwater_protocol::messages::create_topics_request::CreatableTopic;
use highwater_protocol::messages::{ApiVersionsRequest, CreateTopicsRequest, TopicName};
use highwater_types::TopicId;

/// What RELIABILITY allows the broker to grow by under attack.
const ALLOWED_GROWTH_BYTES: usize = 64 << 20;

/// Length prefix, key, version, correlation id: lies start behind them, so that each frame reaches its own API.
const FIXED_HEADER_BYTES: usize = 4 + 8;

/// Every so many bytes a lie is told; with the version as offset all positions get their turn.
const STRIDE: usize = 3;

/// Counts and lengths as an `i32`, an `i16` and a varint could claim them.
const LIES: [&[u8]; 5] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x80, 0x00, 0x00, 0x00],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

fn resident_bytes() -> usize {
    let statm = String::from_utf8(Fs::Real.read(Path::new("/proc/self/statm")).unwrap()).unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// The frame's body with bytes at `position` replaced, and a length prefix that fits.
fn with_lie(sample: &Sample, position: usize, lie: &[u8]) -> BytesMut {
    let mut frame = BytesMut::from(&sample.frame[..]);
    let end = (position + lie.len()).min(frame.len());
    frame[position..end].copy_from_slice(&lie[..end - position]);
    frame
}

/// The frame cut off, with a length prefix that fits the rest.
fn cut(sample: &Sample, length: usize) -> BytesMut {
    let mut frame = BytesMut::with_capacity(length);
    frame.put_i32(i32::try_from(length - 4).unwrap());
    frame.put_slice(&sample.frame[4..length]);
    frame
}

fn hostile_frames(sample: &Sample) -> Vec<BytesMut> {
    let offset = usize::try_from(sample.version).unwrap() % STRIDE;
    let mut frames = Vec::new();
    for position in (FIXED_HEADER_BYTES + offset..sample.frame.len()).step_by(STRIDE) {
        let lie = LIES[position / STRIDE % LIES.len()];
        frames.push(with_lie(sample, position, lie));
        frames.push(cut(sample, position));
    }
    // A header, and then nothing but a claim.
    for lie in LIES {
        let mut frame = cut(sample, FIXED_HEADER_BYTES);
        frame.put_i16(-1);
        frame.put_slice(lie);
        let length = i32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&length.to_be_bytes());
        frames.push(frame);
    }
    frames
}

async fn assert_serving(broker: &TestBroker) {
    let mut client = Client::connect(broker.address).await;
    assert_eq!(client.call(0, &ApiVersionsRequest::default()).await.error_code, 0);
}

async fn all_connections_ended(broker: &TestBroker) {
    for _ in 0..500 {
        if broker.metric("kafka_server_socketservermetrics_connection_count") == 0.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("connections are still open");
}

async fn start() -> (TestBroker, TopicId) {
    let broker = TestBroker::start_with(|config| config.auto_create_topics = false).await;
    let mut client = Client::connect(broker.address).await;
    let topic =
        CreatableTopic::default().with_name(TopicName(TOPIC.into())).with_num_partitions(1).with_replication_factor(1);
    let response = client.call(7, &CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000)).await;
    (broker, TopicId(response.topics[0].topic_id))
}

#[tokio::test]
async fn lies_in_any_field_cost_only_their_own_connection() {
    let (broker, topic_id) = start().await;
    let samples = samples(topic_id);
    // One honest round first: what it allocates is no growth.
    for sample in &samples {
        Client::connect(broker.address).await.send_raw(&sample.frame).await;
    }
    all_connections_ended(&broker).await;
    let before = resident_bytes();
    let mut sent = 0;
    for sample in &samples {
        for frame in hostile_frames(sample) {
            Client::connect(broker.address).await.send_raw(&frame).await;
            sent += 1;
        }
        assert_serving(&broker).await;
    }
    all_connections_ended(&broker).await;
    let grown = resident_bytes().saturating_sub(before);
    println!("{sent} hostile frames, resident memory grew by {} KiB", grown / 1024);
    assert!(grown < ALLOWED_GROWTH_BYTES, "resident memory grew by {grown} bytes");
}

#[tokio::test]
async fn claimed_lengths_cost_nothing_until_bytes_arrive() {
    let (broker, _) = start().await;
    let before = resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..300 {
        let mut client = Client::connect(broker.address).await;
        // 100 MiB claimed, one byte sent.
        client.send_raw(&[0x06, 0x40, 0x00, 0x00, 0x00]).await;
        clients.push(client);
    }
    assert_serving(&broker).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < ALLOWED_GROWTH_BYTES, "resident memory grew by {grown} bytes");
    for prefix in [-1, i32::MIN, i32::MAX, 100 * 1024 * 1024 + 1] {
        let mut client = Client::connect(broker.address).await;
        client.send_raw(&prefix.to_be_bytes()).await;
        assert_eq!(client.receive_raw().await, None, "prefix {prefix}");
    }
    let mut garbage = Client::connect(broker.address).await;
    garbage.send_raw(b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n").await;
    assert_eq!(garbage.receive_raw().await, None);
    assert_serving(&broker).await;
}

#[tokio::test]
async fn an_api_versions_request_of_the_future_is_answered_in_version_zero() {
    let (broker, _) = start().await;
    let mut client = Client::connect(broker.address).await;
    // Key 18, version 99, correlation id 5, no client id, and a body this broker knows nothing of.
    client.send_raw(&[0, 0, 0, 13, 0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff, 1, 2, 3]).await;
    let frame = client.receive_raw().await.unwrap();
    assert_eq!(&frame[..6], &[0, 0, 0, 5, 0, 35]);
    // The connection goes on.
    assert_eq!(client.call(3, &api_versions()).await.error_code, 0);
    // Another key at an unknown version, and an unknown key: closed, as Kafka does.
    for header in [[0, 3, 0, 99], [0, 120, 0, 0]] {
        let mut client = Client::connect(broker.address).await;
        client.send_raw(&[&[0, 0, 0, 10][..], &header, &[0, 0, 0, 5, 0xff, 0xff]].concat()).await;
        assert_eq!(client.receive_raw().await, None);
    }
}

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default().with_client_software_name("test".into()).with_client_software_version("1".into())
}
