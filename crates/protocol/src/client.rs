//! The client's side: encodes requests and decodes answers, for tests and the command line.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader as WireRequestHeader, ResponseHeader as WireResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::api::find_api;
use crate::cursor::{Cursor, MalformedFrame};
use crate::encode_error::EncodeError;
use crate::layout;
use crate::request::layout_of;

/// Encodes one request of an advertised API as a frame with its length prefix.
pub fn encode_request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    request: &R,
) -> Result<Bytes, EncodeError> {
    let api = find_api(R::KEY)
        .filter(|api| api.serves(version))
        .ok_or(EncodeError::UnsupportedVersion { api_key: R::KEY, version })?;
    let header = WireRequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(client_id.map(|id| StrBytes::from_string(id.to_owned())));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header
        .encode(&mut frame, R::header_version(version))
        .and_then(|()| request.encode(&mut frame, version))
        .map_err(|error| EncodeError::Field { api: api.name, version, reason: format!("{error:#}") })?;
    let length = frame.len() - 4;
    let length = i32::try_from(length).map_err(|_| EncodeError::TooLong { what: "frame", length })?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame.freeze())
}

/// Decodes one answer, given without its length prefix, within the same bounds as requests. Gives the correlation id too.
pub fn decode_response<R: Request>(version: i16, frame: Bytes) -> Result<(i32, R::Response), MalformedFrame> {
    let Some(api) = find_api(R::KEY).filter(|api| api.serves(version)) else {
        return Err(MalformedFrame::Decoder(format!("version {version} of API key {} is not served", R::KEY)));
    };
    let mut cursor = Cursor::new(&frame);
    cursor.skip("CorrelationId", 4)?;
    let header_version = <R::Response as HeaderVersion>::header_version(version);
    if header_version >= 1 {
        layout::scan_tagged_fields(&[], 0, &mut cursor)?;
    }
    layout::scan_struct(layout_of(R::KEY).response, version, api.is_flexible(version), &mut cursor)?;
    let mut rest = frame.clone();
    let header: WireResponseHeader = decode_scanned(&mut rest, header_version)?;
    let response: R::Response = decode_scanned(&mut rest, version)?;
    if rest.is_empty() { Ok((header.correlation_id, response)) } else { Err(MalformedFrame::Trailing(rest.len())) }
}

fn decode_scanned<M: Decodable>(bytes: &mut Bytes, version: i16) -> Result<M, MalformedFrame> {
    M::decode(bytes, version).map_err(|error| MalformedFrame::Decoder(format!("{error:#}")))
}
