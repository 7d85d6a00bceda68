//! A Kafka client small enough to be deterministic: one request at a time over one connection.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::{Bytes, BytesMut};
use highwater_env::{Conn, Net};
use highwater_protocol::messages::metadata_request::MetadataRequestTopic;
use highwater_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use highwater_protocol::{StrBytes, decode_response, encode_request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long a client waits for an answer before it takes the outcome as unknown.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long it waits for a connection.
const CONNECT_WITHIN: Duration = Duration::from_millis(800);

/// A connection to one node.
pub struct Client {
    connection: Conn,
    correlation_id: i32,
}

impl Client {
    /// Connects to `host:port`.
    pub async fn connect(address: &str) -> Result<Self> {
        let connection = timeout(CONNECT_WITHIN, Net::Sim.connect(address)).await.context("connect timed out")??;
        Ok(Self { connection, correlation_id: 0 })
    }

    /// Sends one request and waits for its answer. After an error the outcome is unknown and the connection is to be dropped.
    pub async fn call<R: highwater_protocol::KafkaRequest>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response> {
        self.correlation_id += 1;
        let frame = encode_request(version, self.correlation_id, Some("sim"), request)?;
        let answer = timeout(ANSWER_WITHIN, async {
            self.connection.write_all(&frame).await?;
            self.connection.flush().await?;
            let length = self.connection.read_i32().await?;
            let mut answer = BytesMut::zeroed(usize::try_from(length)?);
            self.connection.read_exact(&mut answer).await?;
            anyhow::Ok(answer.freeze())
        });
        let answer: Bytes = answer.await.context("no answer in time")??;
        let (correlation_id, response) = decode_response::<R>(version, answer)?;
        ensure!(correlation_id == self.correlation_id, "answers out of order");
        Ok(response)
    }

    /// Metadata of one topic.
    pub async fn metadata(&mut self, topic: &str) -> Result<MetadataResponse> {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(name))]))
            .with_allow_auto_topic_creation(false);
        self.call(9, &request).await
    }
}
