//! Request headers, versions 1 and 2.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use crate::cursor::{Cursor, MalformedFrame};
use crate::layout;

/// Header of a request. The client id shares the frame's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// Kafka's API key.
    pub api_key: i16,
    /// Version of the request, and of its answer.
    pub version: i16,
    /// Chosen by the client, echoed in the answer.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<StrBytes>,
}

impl RequestHeader {
    /// The leading fields, which every version has in common: key, version, correlation id, client id.
    pub(crate) fn parse_fixed(cursor: &mut Cursor<'_>, frame: &Bytes) -> Result<Self, MalformedFrame> {
        let api_key = cursor.i16()?;
        let version = cursor.i16()?;
        let correlation_id = cursor.i32()?;
        // The length stays an i16 even in the flexible header, so that old brokers can read it (KIP-482).
        let client_id = match cursor.i16()? {
            -1 => None,
            length => {
                let length = usize::try_from(length)
                    .map_err(|_| MalformedFrame::Length { field: "ClientId", length: length.into() })?;
                let start = cursor.position();
                cursor.skip("ClientId", length)?;
                let text = StrBytes::from_utf8(frame.slice(start..start + length))
                    .map_err(|_| MalformedFrame::NotUtf8 { field: "ClientId" })?;
                Some(text)
            }
        };
        Ok(Self { api_key, version, correlation_id, client_id })
    }

    /// The tagged fields of header version 2; none is known, all are skipped.
    pub(crate) fn skip_tagged_fields(cursor: &mut Cursor<'_>) -> Result<(), MalformedFrame> {
        layout::scan_tagged_fields(&[], 0, cursor)
    }
}
