//! Frames made from the field layouts: for tests and fuzz corpora, here and in the gateway. Nothing in the broker calls this.

use bytes::{BufMut, Bytes, BytesMut};

use crate::api::ApiSpec;
use crate::layout::{Field, Kind};
use crate::request::layout_of;

/// A decision that shapes a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Whether a field that may be null is: 0 for no.
    Null,
    /// Whether a tagged field is there: 0 for no.
    TaggedField,
    /// Number of elements of an array.
    ArrayLength,
    /// Length of a string or of bytes.
    ByteLength,
    /// One byte of a number; strings are made of `x`.
    Byte,
}

/// A well-formed request of `api` in `version`, without its length prefix; `choose` decides what is in it.
pub fn sample_request(api: &ApiSpec, version: i16, choose: &mut dyn FnMut(Choice) -> usize) -> Bytes {
    let flexible = api.is_flexible(version);
    let mut sampler = Sampler { version, flexible, choose, frame: BytesMut::new() };
    sampler.frame.put_i16(api.key);
    sampler.frame.put_i16(version);
    sampler.frame.put_i32(1);
    sampler.frame.put_i16(4);
    sampler.frame.put_slice(b"test");
    if flexible {
        sampler.frame.put_u8(0);
    }
    sampler.structure(layout_of(api.key).request);
    sampler.frame.freeze()
}

/// A well-formed answer of `api` in `version`, without its length prefix; `choose` decides what is in it.
pub fn sample_response(api: &ApiSpec, version: i16, choose: &mut dyn FnMut(Choice) -> usize) -> Bytes {
    let flexible = api.is_flexible(version);
    let mut sampler = Sampler { version, flexible, choose, frame: BytesMut::new() };
    sampler.frame.put_i32(1);
    if api.response_header_version(version) >= 1 {
        sampler.frame.put_u8(0);
    }
    sampler.structure(layout_of(api.key).response);
    sampler.frame.freeze()
}

struct Sampler<'a> {
    version: i16,
    flexible: bool,
    choose: &'a mut dyn FnMut(Choice) -> usize,
    frame: BytesMut,
}

impl Sampler<'_> {
    fn structure(&mut self, fields: &[Field]) {
        let (plain, tagged): (Vec<_>, Vec<_>) =
            fields.iter().filter(|field| field.exists_in(self.version)).partition(|field| field.tag.is_none());
        for field in plain {
            self.field(field);
        }
        if self.flexible {
            self.tagged_fields(tagged);
        }
    }

    fn tagged_fields(&mut self, mut fields: Vec<&Field>) {
        fields.retain(|_| (self.choose)(Choice::TaggedField) != 0);
        fields.sort_by_key(|field| field.tag);
        self.unsigned_varint(fields.len());
        for field in fields {
            self.unsigned_varint(field.tag.unwrap_or_default() as usize);
            let rest = std::mem::take(&mut self.frame);
            self.field(field);
            let value = std::mem::replace(&mut self.frame, rest);
            self.unsigned_varint(value.len());
            self.frame.put_slice(&value);
        }
    }

    fn field(&mut self, field: &Field) {
        let nullable = self.version >= field.nullable_since;
        let null = nullable && (self.choose)(Choice::Null) != 0;
        match field.kind {
            Kind::Struct(_) if null => self.frame.put_i8(-1),
            Kind::Struct(_) if nullable => {
                self.frame.put_i8(1);
                self.value(&field.kind);
            }
            Kind::String | Kind::Bytes | Kind::Array { .. } if null => self.length(&field.kind, None),
            _ => self.value(&field.kind),
        }
    }

    fn value(&mut self, kind: &Kind) {
        match kind {
            Kind::Fixed(size) => {
                for _ in 0..*size {
                    let byte = (self.choose)(Choice::Byte) as u8;
                    self.frame.put_u8(byte);
                }
            }
            Kind::String | Kind::Bytes => {
                let length = (self.choose)(Choice::ByteLength);
                self.length(kind, Some(length));
                self.frame.put_bytes(b'x', length);
            }
            Kind::Struct(fields) => self.structure(fields),
            Kind::Array { element, .. } => {
                let count = (self.choose)(Choice::ArrayLength);
                self.length(kind, Some(count));
                for _ in 0..count {
                    self.value(element);
                }
            }
        }
    }

    fn length(&mut self, kind: &Kind, length: Option<usize>) {
        match (self.flexible, kind, length) {
            (true, _, length) => self.unsigned_varint(length.map_or(0, |length| length + 1)),
            (false, Kind::String, length) => self.frame.put_i16(length.map_or(-1, |length| length as i16)),
            (false, _, length) => self.frame.put_i32(length.map_or(-1, |length| length as i32)),
        }
    }

    fn unsigned_varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.frame.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.frame.put_u8(value as u8);
    }
}
