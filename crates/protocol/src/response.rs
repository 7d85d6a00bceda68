//! Answers: one variant per advertised API, encoded into [`Segments`].

use kafka_protocol::messages::*;

use crate::api::{find_api, for_each_api};
use crate::encode_error::EncodeError;
use crate::fetch_response::FetchResponseBody;
use crate::produce_response::ProduceResponseBody;
use crate::segments::Segments;
use crate::writer::{EncodeBody, SegmentWriter};

/// Room reserved for an answer whose size is not known beforehand.
const INITIAL_CAPACITY: usize = 256;

/// What of a request its answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    /// Key of the request.
    pub api_key: i16,
    /// Version of the request, which is the version of the answer.
    pub version: i16,
    /// Echoed to the client.
    pub correlation_id: i32,
}

/// Encodes one answer as a frame with its length prefix.
///
/// Version rules: the header is version 1 for flexible versions except for ApiVersions; an ApiVersions request of an unknown
/// version must be answered by passing version 0.
pub fn encode_response(header: ResponseHeader, body: ResponseBody) -> Result<Segments, EncodeError> {
    let ResponseHeader { api_key, version, correlation_id } = header;
    let api = find_api(api_key)
        .filter(|api| api.serves(version))
        .ok_or(EncodeError::UnsupportedVersion { api_key, version })?;
    if body.api_key() != api_key {
        return Err(EncodeError::WrongApi { api_key, body: body.api_name() });
    }
    let mut writer = SegmentWriter::new(api.is_flexible(version), INITIAL_CAPACITY);
    writer.i32(correlation_id);
    if api.response_header_version(version) >= 1 {
        writer.no_tagged_fields();
    }
    body.encode_body(&mut writer, version)?;
    writer.finish()
}

macro_rules! define_response_body {
    ($($name:ident = $key:literal, $listed_min:literal, $min:literal ..= $max:literal, flexible $flexible:literal,
       $request:ident => $response:ident, $schema:ident;)*) => {
        /// An answer of one advertised API. Produce and Fetch have types of their own, because their encoding must not copy;
        /// the others are those of `kafka-protocol`.
        #[derive(Debug, Clone, PartialEq)]
        pub enum ResponseBody {
            $(#[doc = concat!("Answers ", stringify!($name), ".")] $name($response),)*
        }

        impl ResponseBody {
            /// Key of the API.
            pub const fn api_key(&self) -> i16 {
                match self { $(Self::$name(_) => $key,)* }
            }

            /// Name of the API.
            pub const fn api_name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            fn encode_body(self, writer: &mut SegmentWriter, version: i16) -> Result<(), EncodeError> {
                match self { $(Self::$name(body) => EncodeBody::encode_body(body, stringify!($name), writer, version),)* }
            }
        }

        $(impl From<$response> for ResponseBody {
            fn from(body: $response) -> Self {
                Self::$name(body)
            }
        })*
    };
}
for_each_api!(define_response_body);
