//! Field layouts of messages, and the scan that walks a frame by them before anything is decoded.
//!
//! `kafka-protocol` reserves memory by the element counts a frame claims. The scan refuses every frame whose counts,
//! lengths, nulls or tags are not possible, and bounds what decoding the rest may take, so the decoder never sees a lie.

use crate::cursor::{Cursor, MalformedFrame};

/// The layouts of one API.
pub(crate) struct MessageLayout {
    pub(crate) request: &'static [Field],
    pub(crate) response: &'static [Field],
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A number, a truth value or a UUID of that many bytes.
    Fixed(usize),
    String,
    /// Bytes, record data included.
    Bytes,
    Struct(&'static [Field]),
    Array {
        element: &'static Kind,
        /// What one decoded element takes in memory, without what it points to.
        element_bytes: usize,
    },
}

pub(crate) const BOOL: Kind = Kind::Fixed(1);
pub(crate) const INT8: Kind = Kind::Fixed(1);
pub(crate) const INT16: Kind = Kind::Fixed(2);
pub(crate) const INT32: Kind = Kind::Fixed(4);
pub(crate) const INT64: Kind = Kind::Fixed(8);
pub(crate) const UINT16: Kind = Kind::Fixed(2);
pub(crate) const UUID: Kind = Kind::Fixed(16);
pub(crate) const STRING: Kind = Kind::String;
pub(crate) const BYTES: Kind = Kind::Bytes;

/// One field of a structure, in the terms of Kafka's message definitions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// First version that has the field.
    pub(crate) since: i16,
    /// Last version that has the field.
    pub(crate) until: i16,
    /// First version in which the field may be null.
    pub(crate) nullable_since: i16,
    /// The tag, for a tagged field.
    pub(crate) tag: Option<u32>,
}

/// A field that every version has and that is never null.
pub(crate) const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, since: 0, until: i16::MAX, nullable_since: i16::MAX, tag: None }
}

/// An array that every version has and that is never null.
pub(crate) const fn array(name: &'static str, element: &'static Kind) -> Field {
    field(name, Kind::Array { element, element_bytes: element.decoded_bytes() })
}

impl Field {
    pub(crate) const fn since(self, version: i16) -> Self {
        Self { since: version, ..self }
    }

    pub(crate) const fn until(self, version: i16) -> Self {
        Self { until: version, ..self }
    }

    pub(crate) const fn nullable(self, since: i16) -> Self {
        Self { nullable_since: since, ..self }
    }

    pub(crate) const fn tagged(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }

    pub(crate) const fn exists_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }
}

impl Kind {
    /// Upper bound of what the decoded value takes in `kafka-protocol`'s structures, in bytes, without what it points to.
    pub(crate) const fn decoded_bytes(&self) -> usize {
        match self {
            // Numbers may be padded to the alignment of their neighbours.
            Self::Fixed(size) => *size,
            Self::String | Self::Bytes => 32,
            Self::Array { .. } => 24,
            Self::Struct(fields) => {
                // The map of unknown tagged fields, and padding.
                let mut sum = 24 + 8;
                let mut index = 0;
                while index < fields.len() {
                    sum += fields[index].kind.decoded_bytes();
                    index += 1;
                }
                sum
            }
        }
    }
}

/// Walks one structure of `version`; the cursor stands behind it afterwards.
pub(crate) fn scan_struct(
    fields: &'static [Field],
    version: i16,
    flexible: bool,
    cursor: &mut Cursor<'_>,
) -> Result<(), MalformedFrame> {
    for field in fields {
        if field.tag.is_none() && field.exists_in(version) {
            scan_field(field, version, flexible, cursor)?;
        }
    }
    if flexible { scan_tagged_fields(fields, version, cursor) } else { Ok(()) }
}

/// Walks the tagged fields at the end of a structure of a flexible version (KIP-482).
pub(crate) fn scan_tagged_fields(
    fields: &'static [Field],
    version: i16,
    cursor: &mut Cursor<'_>,
) -> Result<(), MalformedFrame> {
    let count = cursor.unsigned_varint()?;
    let mut previous = None;
    for _ in 0..count {
        let tag = cursor.unsigned_varint()?;
        if previous >= Some(tag) {
            return Err(MalformedFrame::TaggedFields("tags do not ascend"));
        }
        previous = Some(tag);
        let claimed = cursor.unsigned_varint()? as usize;
        match fields.iter().find(|field| field.tag == Some(tag) && field.exists_in(version)) {
            None => {
                cursor.count_unknown_tagged_field()?;
                cursor.skip("tagged field", claimed)?;
            }
            Some(field) => {
                let start = cursor.position();
                scan_field(field, version, true, cursor)?;
                let actual = cursor.position() - start;
                if actual != claimed {
                    return Err(MalformedFrame::TaggedFieldSize { field: field.name, claimed, actual });
                }
            }
        }
    }
    Ok(())
}

fn scan_field(field: &Field, version: i16, flexible: bool, cursor: &mut Cursor<'_>) -> Result<(), MalformedFrame> {
    let nullable = version >= field.nullable_since;
    let name = field.name;
    match &field.kind {
        Kind::Struct(_) if nullable => match cursor.i8()? {
            // A null structure is one byte, -1; a present one starts with 1.
            -1 => Ok(()),
            _ => scan_value(name, &field.kind, version, flexible, cursor),
        },
        Kind::Fixed(_) | Kind::Struct(_) => scan_value(name, &field.kind, version, flexible, cursor),
        Kind::String | Kind::Bytes => match scan_length(field, flexible, cursor)? {
            Some(length) => cursor.skip(name, length),
            None if nullable => Ok(()),
            None => Err(MalformedFrame::Null { field: name }),
        },
        Kind::Array { element, element_bytes } => match scan_length(field, flexible, cursor)? {
            Some(count) => scan_elements(name, element, *element_bytes, count, version, flexible, cursor),
            None if nullable => Ok(()),
            None => Err(MalformedFrame::Null { field: name }),
        },
    }
}

fn scan_elements(
    name: &'static str,
    element: &'static Kind,
    element_bytes: usize,
    count: usize,
    version: i16,
    flexible: bool,
    cursor: &mut Cursor<'_>,
) -> Result<(), MalformedFrame> {
    // Every element takes at least one byte in every version.
    if count > cursor.remaining() {
        return Err(MalformedFrame::Count { field: name, count, remaining: cursor.remaining() });
    }
    cursor.charge(name, count, element_bytes)?;
    for _ in 0..count {
        scan_value(name, element, version, flexible, cursor)?;
    }
    Ok(())
}

/// Walks a value that is not null.
fn scan_value(
    name: &'static str,
    kind: &Kind,
    version: i16,
    flexible: bool,
    cursor: &mut Cursor<'_>,
) -> Result<(), MalformedFrame> {
    match kind {
        Kind::Fixed(size) => cursor.skip(name, *size),
        Kind::Struct(fields) => scan_struct(fields, version, flexible, cursor),
        // Elements of arrays: never null, and never arrays themselves in Kafka's definitions.
        Kind::String | Kind::Bytes | Kind::Array { .. } => {
            scan_field(&Field { name, kind: *kind, ..ELEMENT }, version, flexible, cursor)
        }
    }
}

const ELEMENT: Field = field("", INT8);

/// A length or count; `None` is null.
fn scan_length(field: &Field, flexible: bool, cursor: &mut Cursor<'_>) -> Result<Option<usize>, MalformedFrame> {
    if flexible {
        return Ok(cursor.unsigned_varint()?.checked_sub(1).map(|length| length as usize));
    }
    let length = match field.kind {
        Kind::String => i32::from(cursor.i16()?),
        _ => cursor.i32()?,
    };
    match length {
        -1 => Ok(None),
        _ => usize::try_from(length)
            .map(Some)
            .map_err(|_| MalformedFrame::Length { field: field.name, length: length.into() }),
    }
}

#[cfg(test)]
mod tests;
