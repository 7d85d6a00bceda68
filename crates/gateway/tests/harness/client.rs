//! A client that sends what it is told.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use highwater_env::{Conn, Net};
use highwater_protocol::{KafkaRequest, decode_response, encode_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Client {
    conn: Conn,
    next_correlation_id: i32,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { conn: Net::Tcp.connect(&address.to_string()).await.unwrap(), next_correlation_id: 0 }
    }

    /// Sends a request and decodes its answer.
    pub async fn call<R: KafkaRequest>(&mut self, version: i16, request: &R) -> R::Response {
        let sent = self.send(version, request).await;
        let (correlation_id, response) = self.receive::<R>(version).await;
        assert_eq!(correlation_id, sent);
        response
    }

    /// Sends a request without waiting; returns its correlation id.
    pub async fn send<R: KafkaRequest>(&mut self, version: i16, request: &R) -> i32 {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let frame = encode_request(version, correlation_id, Some("gateway-test"), request).unwrap();
        self.send_raw(&frame).await;
        correlation_id
    }

    /// The next answer with its correlation id.
    pub async fn receive<R: KafkaRequest>(&mut self, version: i16) -> (i32, R::Response) {
        let frame = self.receive_raw().await.expect("the broker closed the connection");
        decode_response::<R>(version, frame).unwrap()
    }

    /// Sends bytes as they are. A broker that has closed already is no failure here.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.conn.write_all(bytes).await;
    }

    /// The next frame without its length prefix; `None` once the broker has closed.
    pub async fn receive_raw(&mut self) -> Option<Bytes> {
        let frame = async {
            let mut length = [0; 4];
            self.conn.read_exact(&mut length).await.ok()?;
            let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
            self.conn.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(PATIENCE, frame).await.expect("no answer")
    }
}
