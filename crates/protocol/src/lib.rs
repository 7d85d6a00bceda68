//! The Kafka protocol as bytes: frames, headers, the table of advertised APIs, decoding within bounds, encoding by segments.
//!
//! In: one frame as `Bytes`. Out: a typed request whose strings and record data share that frame's memory. And back: a typed
//! answer in, [`Segments`] out, in which record data is the very `Bytes` that was handed in.
//!
//! The message types are those of `kafka-protocol`, re-exported as [`messages`]; ProduceResponse and FetchResponse are own
//! types, encoded by hand. This crate knows nothing of sockets, of what a request means, or of the contents of record batches.
//!
//! Architecture invariant: no I/O, no clock, no state.
//! Architecture invariant: no frame reaches `kafka-protocol`'s decoders before the scan in `layout` has accepted it, because
//! those reserve memory by the counts that a frame claims.
//! Architecture invariant: an API is in the table only if the broker serves it at all versions listed there.

mod api;
mod api_matrix;
mod client;
mod cursor;
mod encode_error;
mod fetch_response;
mod header;
mod layout;
mod layouts;
mod node_endpoint;
mod produce_response;
mod reassignment_rate;
mod request;
mod response;
mod sample;
mod segments;
mod writer;

pub use api::{API_VERSIONS_KEY, APIS, ApiSpec, find_api};
pub use api_matrix::api_matrix_markdown;
pub use client::{decode_response, encode_request};
pub use cursor::{DECODED_BYTES_FLOOR, DECODED_BYTES_PER_FRAME_BYTE, MAX_UNKNOWN_TAGGED_FIELDS, MalformedFrame};
pub use encode_error::EncodeError;
pub use fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchPartitionResponse, FetchResponseBody, FetchTopicResponse,
};
pub use header::RequestHeader;
pub use kafka_protocol::messages;
pub use kafka_protocol::protocol::{Request as KafkaRequest, StrBytes};
pub use node_endpoint::{LeaderIdAndEpoch, NodeEndpoint};
pub use produce_response::{
    BatchIndexAndErrorMessage, ProducePartitionResponse, ProduceResponseBody, ProduceTopicResponse,
};
pub use reassignment_rate::{reassignment_rate, with_reassignment_rate};
pub use request::{DecodeError, Request, RequestBody, decode_request};
pub use response::{ResponseBody, ResponseHeader, encode_response};
pub use sample::{Choice, sample_request, sample_response};
pub use segments::{Segment, Segments};
