//! Requests: one variant per advertised API, decoded within bounds.

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;

use crate::api::{API_VERSIONS_KEY, ApiSpec, find_api, for_each_api};
use crate::cursor::{Cursor, MalformedFrame};
use crate::header::RequestHeader;
use crate::layout::{self, MessageLayout};
use crate::layouts;
use crate::response::ResponseHeader;

/// A decoded request. Strings and record data share the frame's memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Who asks for what.
    pub header: RequestHeader,
    /// The request itself.
    pub body: RequestBody,
}

impl Request {
    /// What the answer needs to know.
    pub fn response_header(&self) -> ResponseHeader {
        self.header.response_header()
    }
}

impl RequestHeader {
    /// What the answer needs to know.
    pub fn response_header(&self) -> ResponseHeader {
        ResponseHeader { api_key: self.api_key, version: self.version, correlation_id: self.correlation_id }
    }
}

/// Why a frame is no request. All but an unknown version of ApiVersions close the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The header itself cannot be read.
    #[error("malformed request header: {0}")]
    Header(MalformedFrame),
    /// The API is not advertised.
    #[error("API key {} is not supported", header.api_key)]
    UnsupportedApi {
        /// The header up to the client id.
        header: RequestHeader,
    },
    /// The API is advertised, but not in this version. For ApiVersions (see [`DecodeError::is_api_versions`]) the answer is
    /// version 0 with `UNSUPPORTED_VERSION` and the table of APIs (KIP-511).
    #[error("version {} of {api} is not supported", header.version)]
    UnsupportedVersion {
        /// Name of the API.
        api: &'static str,
        /// The header up to the client id.
        header: RequestHeader,
    },
    /// The body cannot be read.
    #[error("malformed {api} request, version {}: {reason}", header.version)]
    Body {
        /// Name of the API.
        api: &'static str,
        /// The header.
        header: RequestHeader,
        /// What is wrong.
        reason: MalformedFrame,
    },
}

impl DecodeError {
    /// The header of an ApiVersions request of unknown version, the one case that is answered.
    pub fn is_api_versions(&self) -> Option<&RequestHeader> {
        match self {
            Self::UnsupportedVersion { header, .. } if header.api_key == API_VERSIONS_KEY => Some(header),
            _ => None,
        }
    }
}

/// Decodes one frame, given without its length prefix.
///
/// What follows the message in its frame is ignored, as in Kafka: librdkafka's Metadata request for all topics, in versions from 9 on,
/// has room for four bytes of a number that takes one, and lets three follow.
///
/// Cost is bounded by the frame: what the decoded structures take is at most
/// [`crate::DECODED_BYTES_PER_FRAME_BYTE`] times its length plus [`crate::DECODED_BYTES_FLOOR`], whatever it claims.
pub fn decode_request(frame: Bytes) -> Result<Request, DecodeError> {
    let mut cursor = Cursor::new(&frame);
    let header = RequestHeader::parse_fixed(&mut cursor, &frame).map_err(DecodeError::Header)?;
    let Some(api) = find_api(header.api_key) else {
        return Err(DecodeError::UnsupportedApi { header });
    };
    if !api.serves(header.version) {
        return Err(DecodeError::UnsupportedVersion { api: api.name, header });
    }
    match decode_body(api, header.version, cursor, &frame) {
        Ok(body) => Ok(Request { header, body }),
        Err(reason) => Err(DecodeError::Body { api: api.name, header, reason }),
    }
}

fn decode_body(
    api: &ApiSpec,
    version: i16,
    mut cursor: Cursor<'_>,
    frame: &Bytes,
) -> Result<RequestBody, MalformedFrame> {
    let flexible = api.is_flexible(version);
    if flexible {
        RequestHeader::skip_tagged_fields(&mut cursor)?;
    }
    let body = frame.slice(cursor.position()..);
    layout::scan_struct(layout_of(api.key).request, version, flexible, &mut cursor)?;
    RequestBody::decode(api.key, version, body)
}

/// Decodes what has passed the scan.
fn decode_scanned<M: Decodable>(mut body: Bytes, version: i16) -> Result<M, MalformedFrame> {
    M::decode(&mut body, version).map_err(|error| MalformedFrame::Decoder(format!("{error:#}")))
}

macro_rules! define_request_body {
    ($($name:ident = $key:literal, $listed_min:literal, $min:literal ..= $max:literal, flexible $flexible:literal,
       $request:ident => $response:ident, $layout:ident;)*) => {
        /// A request of one advertised API, in the types of `kafka-protocol`.
        #[derive(Debug, Clone, PartialEq)]
        pub enum RequestBody {
            $(#[doc = concat!("Asks for ", stringify!($name), ".")] $name($request),)*
        }

        impl RequestBody {
            /// Key of the API.
            pub const fn api_key(&self) -> i16 {
                match self { $(Self::$name(_) => $key,)* }
            }

            /// Name of the API.
            pub const fn api_name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            fn decode(key: i16, version: i16, body: Bytes) -> Result<Self, MalformedFrame> {
                match key {
                    $($key => decode_scanned(body, version).map(Self::$name),)*
                    _ => unreachable!("key {key} is not in the table"),
                }
            }
        }

        /// The field layouts of an advertised API.
        pub(crate) fn layout_of(key: i16) -> &'static MessageLayout {
            match key {
                $($key => &layouts::$layout,)*
                _ => unreachable!("key {key} is not in the table"),
            }
        }
    };
}
for_each_api!(define_request_body);
