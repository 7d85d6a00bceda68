//! Kafka's primitive encodings, as far as these records need them.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// A record of `__consumer_offsets` that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// The bytes end too early.
    #[error("a record of __consumer_offsets ends within a field")]
    Truncated,
    /// A length is negative where that has no meaning, or larger than the record.
    #[error("a record of __consumer_offsets has a field of impossible length {0}")]
    BadLength(i64),
    /// A text is not UTF-8.
    #[error("a record of __consumer_offsets has a text that is not UTF-8")]
    NotUtf8,
    /// The value's version is not one of Kafka 4.3's.
    #[error("{schema} has unknown version {version}")]
    UnknownVersion {
        /// Name of the schema.
        schema: &'static str,
        /// The version read.
        version: i16,
    },
}

/// Writes big-endian fields behind a leading type or version.
pub(super) struct Writer(BytesMut);

impl Writer {
    pub(super) fn new(version: i16) -> Self {
        let mut buffer = BytesMut::with_capacity(64);
        buffer.put_i16(version);
        Self(buffer)
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.0.put_i32(value);
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.0.put_i64(value);
    }

    /// Two bytes of length, then the text. Callers have bounded it (see `shard::limits`).
    pub(super) fn string(&mut self, value: &str) {
        let length = i16::try_from(value.len()).expect("texts in records are shorter than 32 KiB");
        self.0.put_i16(length);
        self.0.put_slice(value.as_bytes());
    }

    pub(super) fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.0.put_i16(-1),
        }
    }

    /// Four bytes of length, then the bytes.
    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.0.put_i32(i32::try_from(value.len()).expect("a frame is smaller than 2 GiB"));
        self.0.put_slice(value);
    }

    /// Length plus one as an unsigned varint, then the text (flexible versions).
    pub(super) fn compact_string(&mut self, value: &str) {
        self.unsigned_varint(value.len() + 1);
        self.0.put_slice(value.as_bytes());
    }

    pub(super) fn unsigned_varint(&mut self, value: usize) {
        let mut rest = value;
        while rest >= 0x80 {
            self.0.put_u8((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.put_u8(rest as u8);
    }

    pub(super) fn raw(&mut self, value: &[u8]) {
        self.0.put_slice(value);
    }

    pub(super) fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

/// Reads what [`Writer`] writes. Never allocates more than the bytes it was given.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], SchemaError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(SchemaError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SchemaError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(SchemaError::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(super) fn i16(&mut self) -> Result<i16, SchemaError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, SchemaError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, SchemaError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn unsigned_varint(&mut self) -> Result<usize, SchemaError> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).map_err(|_| SchemaError::BadLength(i64::MAX));
            }
        }
        Err(SchemaError::BadLength(i64::MAX))
    }

    pub(super) fn string(&mut self) -> Result<String, SchemaError> {
        self.nullable_string()?.ok_or(SchemaError::BadLength(-1))
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<String>, SchemaError> {
        let length = self.i16()?;
        self.sized(i64::from(length))?.map(text).transpose()
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, SchemaError> {
        let length = self.i32()?;
        self.sized(i64::from(length))?.map(Bytes::copy_from_slice).ok_or(SchemaError::BadLength(-1))
    }

    pub(super) fn compact_string(&mut self) -> Result<String, SchemaError> {
        self.compact_nullable_string()?.ok_or(SchemaError::BadLength(-1))
    }

    pub(super) fn compact_nullable_string(&mut self) -> Result<Option<String>, SchemaError> {
        let length = self.unsigned_varint()? as i64 - 1;
        self.sized(length)?.map(text).transpose()
    }

    pub(super) fn compact_bytes(&mut self) -> Result<Bytes, SchemaError> {
        let length = self.unsigned_varint()? as i64 - 1;
        self.sized(length)?.map(Bytes::copy_from_slice).ok_or(SchemaError::BadLength(-1))
    }

    /// Calls `field(tag, content)` for each tagged field.
    pub(super) fn tagged_fields(
        &mut self,
        mut field: impl FnMut(usize, &[u8]) -> Result<(), SchemaError>,
    ) -> Result<(), SchemaError> {
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()?;
            field(tag, self.take(size)?)?;
        }
        Ok(())
    }

    /// Number of elements of an array. Every element takes at least one byte, so a count beyond the rest is refused.
    pub(super) fn count(&mut self, flexible: bool) -> Result<usize, SchemaError> {
        let count = if flexible { self.unsigned_varint()? as i64 - 1 } else { i64::from(self.i32()?) };
        match usize::try_from(count) {
            Ok(count) if count <= self.0.len() => Ok(count),
            _ => Err(SchemaError::BadLength(count)),
        }
    }

    fn sized(&mut self, length: i64) -> Result<Option<&'a [u8]>, SchemaError> {
        match length {
            -1 => Ok(None),
            0.. => {
                usize::try_from(length).map_err(|_| SchemaError::BadLength(length)).and_then(|n| self.take(n)).map(Some)
            }
            _ => Err(SchemaError::BadLength(length)),
        }
    }
}

fn text(bytes: &[u8]) -> Result<String, SchemaError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| SchemaError::NotUtf8)
}
