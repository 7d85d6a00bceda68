//! A bounds-checked reader over a received frame, and the budget of what decoding it may cost.

/// Most bytes that decoded structures may take per byte of the frame. The widest field of any schema that a stock client
/// really fills (a partition of a Fetch) takes about six bytes per byte on the wire.
pub const DECODED_BYTES_PER_FRAME_BYTE: usize = 8;

/// What decoded structures of the smallest frame may take, in bytes: lets short names and empty arrays through, where
/// one byte on the wire becomes a structure of tens of bytes.
pub const DECODED_BYTES_FLOOR: usize = 64 * 1024;

/// Most tagged fields of unknown tags in one frame. Stock clients send none; each costs a tree node of hundreds of bytes.
pub const MAX_UNKNOWN_TAGGED_FIELDS: usize = 64;

/// Why a frame cannot be parsed. The connection is closed: nothing after this point of the stream can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedFrame {
    /// The frame ends before a field does.
    #[error("{field} needs {needed} bytes, {remaining} are left")]
    Truncated {
        /// Name of the field.
        field: &'static str,
        /// Bytes that the field claims.
        needed: usize,
        /// Bytes that the frame still has.
        remaining: usize,
    },
    /// A length below -1.
    #[error("{field} has the length {length}")]
    Length {
        /// Name of the field.
        field: &'static str,
        /// The length as sent.
        length: i64,
    },
    /// Null where the schema forbids it.
    #[error("{field} is null")]
    Null {
        /// Name of the field.
        field: &'static str,
    },
    /// An array claims more elements than the frame has bytes.
    #[error("{field} claims {count} elements, {remaining} bytes are left")]
    Count {
        /// Name of the field.
        field: &'static str,
        /// The count as sent.
        count: usize,
        /// Bytes that the frame still has.
        remaining: usize,
    },
    /// A variable-length number of more than 32 bits.
    #[error("a variable-length number does not fit 32 bits")]
    Varint,
    /// Decoding would take more memory than a frame of this length may cost.
    #[error("{field}: decoding this frame would take more than {limit} bytes")]
    Budget {
        /// Name of the field.
        field: &'static str,
        /// The budget in bytes.
        limit: usize,
    },
    /// Tags out of order, repeated, or too many unknown ones.
    #[error("tagged fields: {0}")]
    TaggedFields(&'static str),
    /// A tagged field whose size is not that of its value.
    #[error("tagged field {field} claims {claimed} bytes, its value has {actual}")]
    TaggedFieldSize {
        /// Name of the field.
        field: &'static str,
        /// Its size as sent.
        claimed: usize,
        /// Size of its value.
        actual: usize,
    },
    /// Text that is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// Name of the field.
        field: &'static str,
    },
    /// Bytes after the end of the message.
    #[error("{0} bytes are left over after the message")]
    Trailing(usize),
    /// The field decoder refused what passed the scan.
    #[error("{0}")]
    Decoder(String),
}

/// Reads a frame front to back.
pub(crate) struct Cursor<'a> {
    frame: &'a [u8],
    /// At most `frame.len()`.
    position: usize,
    /// What decoding may still take, in bytes.
    budget: usize,
    budget_limit: usize,
    unknown_tagged_fields: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(frame: &'a [u8]) -> Self {
        let limit = frame.len().saturating_mul(DECODED_BYTES_PER_FRAME_BYTE).saturating_add(DECODED_BYTES_FLOOR);
        Self { frame, position: 0, budget: limit, budget_limit: limit, unknown_tagged_fields: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn remaining(&self) -> usize {
        self.frame.len() - self.position
    }

    pub(crate) fn skip(&mut self, field: &'static str, length: usize) -> Result<(), MalformedFrame> {
        self.take(field, length).map(|_| ())
    }

    pub(crate) fn i8(&mut self) -> Result<i8, MalformedFrame> {
        Ok(self.array::<1>("int8")?[0] as i8)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, MalformedFrame> {
        Ok(i16::from_be_bytes(self.array("int16")?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, MalformedFrame> {
        Ok(i32::from_be_bytes(self.array("int32")?))
    }

    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, MalformedFrame> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array("varint")?;
            if shift == 28 && byte > 0x0f {
                return Err(MalformedFrame::Varint);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(MalformedFrame::Varint)
    }

    /// Takes `count` elements of `element_bytes` each from the memory budget. The count is within the frame.
    pub(crate) fn charge(
        &mut self,
        field: &'static str,
        count: usize,
        element_bytes: usize,
    ) -> Result<(), MalformedFrame> {
        match count.checked_mul(element_bytes).and_then(|cost| self.budget.checked_sub(cost)) {
            Some(left) => self.budget = left,
            None => return Err(MalformedFrame::Budget { field, limit: self.budget_limit }),
        }
        Ok(())
    }

    /// Counts one tagged field of unknown tag.
    pub(crate) fn count_unknown_tagged_field(&mut self) -> Result<(), MalformedFrame> {
        self.unknown_tagged_fields += 1;
        if self.unknown_tagged_fields > MAX_UNKNOWN_TAGGED_FIELDS {
            return Err(MalformedFrame::TaggedFields("too many unknown ones"));
        }
        Ok(())
    }

    fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], MalformedFrame> {
        let remaining = self.remaining();
        if length > remaining {
            return Err(MalformedFrame::Truncated { field, needed: length, remaining });
        }
        let taken = &self.frame[self.position..self.position + length];
        self.position += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], MalformedFrame> {
        let taken = self.take(field, N)?;
        Ok(taken.try_into().expect("take returned N bytes"))
    }
}
