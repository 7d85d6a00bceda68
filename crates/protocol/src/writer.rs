//! Encodes the primitive types of the Kafka protocol into one buffer, with record data spliced in between.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;

use crate::encode_error::EncodeError;
use crate::segments::Segments;

/// Longest string of the classic encoding, whose length is an `i16`.
const MAX_CLASSIC_STRING_BYTES: usize = i16::MAX as usize;

/// Builds one frame. Everything but record data goes into one buffer; record data is remembered with its position and becomes
/// a segment of its own.
pub(crate) struct SegmentWriter {
    buffer: BytesMut,
    /// Record data and the position in `buffer` in front of which it goes; positions ascend.
    spliced: Vec<(usize, Bytes)>,
    spliced_bytes: usize,
    flexible: bool,
}

impl SegmentWriter {
    /// Starts a frame with room for its length prefix. `flexible` chooses compact encodings (KIP-482).
    pub(crate) fn new(flexible: bool, capacity: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(capacity + 4);
        buffer.put_i32(0);
        Self { buffer, spliced: Vec::new(), spliced_bytes: 0, flexible }
    }

    /// Fills in the length prefix and cuts the buffer at the spliced record data.
    pub(crate) fn finish(mut self) -> Result<Segments, EncodeError> {
        let length = self.buffer.len() - 4 + self.spliced_bytes;
        let length = i32::try_from(length).map_err(|_| EncodeError::TooLong { what: "frame", length })?;
        self.buffer[..4].copy_from_slice(&length.to_be_bytes());
        let mut rest = self.buffer.freeze();
        let mut segments = Segments::default();
        let mut cut = 0;
        for (position, data) in self.spliced {
            segments.push(rest.split_to(position - cut));
            segments.push(data);
            cut = position;
        }
        segments.push(rest);
        Ok(segments)
    }

    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    pub(crate) fn uuid(&mut self, bytes: [u8; 16]) {
        self.buffer.put_slice(&bytes);
    }

    /// Seven bits per byte, least significant first.
    pub(crate) fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// A string that may not be null.
    pub(crate) fn string(&mut self, text: &str) -> Result<(), EncodeError> {
        self.nullable_string(Some(text))
    }

    pub(crate) fn nullable_string(&mut self, text: Option<&str>) -> Result<(), EncodeError> {
        match (text, self.flexible) {
            (None, true) => self.buffer.put_u8(0),
            (None, false) => self.buffer.put_i16(-1),
            (Some(text), true) => {
                self.unsigned_varint(compact_length("string", text.len())?);
                self.buffer.put_slice(text.as_bytes());
            }
            (Some(text), false) => {
                if text.len() > MAX_CLASSIC_STRING_BYTES {
                    return Err(EncodeError::TooLong { what: "string", length: text.len() });
                }
                self.buffer.put_i16(text.len() as i16);
                self.buffer.put_slice(text.as_bytes());
            }
        }
        Ok(())
    }

    /// The element count of an array that is not null.
    pub(crate) fn array_length(&mut self, count: usize) -> Result<(), EncodeError> {
        if self.flexible {
            self.unsigned_varint(compact_length("array", count)?);
        } else {
            let count = i32::try_from(count).map_err(|_| EncodeError::TooLong { what: "array", length: count })?;
            self.buffer.put_i32(count);
        }
        Ok(())
    }

    /// An array that is null.
    pub(crate) fn null_array(&mut self) {
        if self.flexible {
            self.buffer.put_u8(0);
        } else {
            self.buffer.put_i32(-1);
        }
    }

    /// Record data: its length here, its pieces as segments of their own.
    pub(crate) fn records(&mut self, pieces: Vec<Bytes>) -> Result<(), EncodeError> {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if self.flexible {
            self.unsigned_varint(compact_length("records", length)?);
        } else {
            let length = i32::try_from(length).map_err(|_| EncodeError::TooLong { what: "records", length })?;
            self.buffer.put_i32(length);
        }
        let position = self.buffer.len();
        self.spliced_bytes += length;
        self.spliced.extend(pieces.into_iter().filter(|piece| !piece.is_empty()).map(|piece| (position, piece)));
        Ok(())
    }

    /// The tagged fields of a structure without any, in flexible versions.
    pub(crate) fn no_tagged_fields(&mut self) {
        if self.flexible {
            self.buffer.put_u8(0);
        }
    }

    /// One tagged field: `encode` writes its value, which must hold no record data.
    pub(crate) fn tagged_field(
        &mut self,
        tag: u32,
        encode: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        debug_assert!(self.flexible);
        let mut value = Self { buffer: BytesMut::new(), spliced: Vec::new(), spliced_bytes: 0, flexible: true };
        encode(&mut value)?;
        debug_assert!(value.spliced.is_empty());
        self.unsigned_varint(tag);
        self.unsigned_varint(
            u32::try_from(value.buffer.len())
                .map_err(|_| EncodeError::TooLong { what: "tagged field", length: value.buffer.len() })?,
        );
        self.buffer.put_slice(&value.buffer);
        Ok(())
    }
}

/// A body that knows its encoding in each served version.
pub(crate) trait EncodeBody {
    fn encode_body(self, api: &'static str, writer: &mut SegmentWriter, version: i16) -> Result<(), EncodeError>;
}

impl<M: Encodable> EncodeBody for M {
    fn encode_body(self, api: &'static str, writer: &mut SegmentWriter, version: i16) -> Result<(), EncodeError> {
        self.encode(writer.buffer(), version).map_err(|error| EncodeError::Field {
            api,
            version,
            reason: format!("{error:#}"),
        })
    }
}

/// Compact encodings carry the length plus one; zero is null.
fn compact_length(what: &'static str, length: usize) -> Result<u32, EncodeError> {
    match i32::try_from(length) {
        Ok(fits) if fits < i32::MAX => Ok(fits as u32 + 1),
        _ => Err(EncodeError::TooLong { what, length }),
    }
}
