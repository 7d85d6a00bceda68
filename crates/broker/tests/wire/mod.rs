//! Requests of a client and their answers, on one connection.

use bytes::{Bytes, BytesMut};
use highwater_env::Conn;
use highwater_protocol::messages::TopicName;
use highwater_protocol::{StrBytes, decode_response, encode_request};
use kafka_protocol::protocol::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub async fn call<R: Request>(conn: &mut Conn, request: &R, version: i16) -> R::Response {
    let answer = exchange(conn, &encode_request(version, 1, None, request).unwrap()).await;
    decode_response::<R>(version, answer).unwrap().1
}

/// Sends a frame and gives the next one, without its length.
pub async fn exchange(conn: &mut Conn, frame: &[u8]) -> Bytes {
    conn.write_all(frame).await.unwrap();
    let length = conn.read_i32().await.unwrap();
    let mut answer = BytesMut::zeroed(length as usize);
    conn.read_exact(&mut answer).await.unwrap();
    answer.freeze()
}

pub fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
