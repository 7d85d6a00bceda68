//! A client that speaks the protocol itself: one connection, one request at a time, nothing hidden.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use highwater_protocol::messages::TopicName;
use highwater_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use highwater_protocol::{KafkaRequest, StrBytes, decode_response, encode_request};

/// Longest wait for an answer: creating thousands of partitions takes a while.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// Longest wait for a connection: brokers are on this machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Largest answer that is read: metadata of 100,000 partitions.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Version of Produce that both systems serve and that names topics.
pub const PRODUCE_VERSION: i16 = 9;

/// A connection to one broker.
pub struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

impl Connection {
    /// Connects to `host:port`.
    pub fn open(address: &str) -> Result<Self> {
        let resolved = address.to_socket_addrs()?.next().with_context(|| format!("no address in {address}"))?;
        let stream = TcpStream::connect_timeout(&resolved, CONNECT_WITHIN)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self { stream, correlation_id: 0 })
    }

    /// Sets the longest wait for an answer.
    pub fn answer_within(&self, limit: Duration) -> Result<()> {
        Ok(self.stream.set_read_timeout(Some(limit))?)
    }

    /// Sends one request and waits for its answer.
    pub fn call<R: KafkaRequest>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.correlation_id += 1;
        let frame = encode_request(version, self.correlation_id, Some("bench"), request)?;
        let answer = self.exchange(&frame)?;
        let (correlation_id, response) = decode_response::<R>(version, answer)?;
        ensure!(correlation_id == self.correlation_id, "answers out of order");
        Ok(response)
    }

    /// Sends a frame made before and gives the answer without its length.
    pub fn exchange(&mut self, frame: &[u8]) -> Result<Bytes> {
        self.stream.write_all(frame)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length))?;
        ensure!(length <= MAX_ANSWER_BYTES, "an answer of {length} bytes");
        let mut answer = BytesMut::zeroed(length);
        self.stream.read_exact(&mut answer)?;
        Ok(answer.freeze())
    }
}

/// A Produce of one batch, to be encoded once and sent often.
pub fn produce_request(topic: &str, partition: i32, acks: i16, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic])
}

/// Fails unless the answer to a Produce of one batch says that it was appended.
pub fn expect_appended(answer: Bytes) -> Result<()> {
    let (_, response) = decode_response::<ProduceRequest>(PRODUCE_VERSION, answer)?;
    let partition = response.responses.first().and_then(|topic| topic.partition_responses.first());
    match partition.context("an empty answer")?.error_code {
        0 => Ok(()),
        code => bail!("produce failed with error {code}"),
    }
}

/// A topic's name as the protocol has it.
pub fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
