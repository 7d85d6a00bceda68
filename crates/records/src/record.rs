//! One record within a batch, borrowed from its bytes.

use highwater_types::{Offset, Timestamp};

use crate::varint::{read_varint, read_varlong};

/// One record, as it lies in the (decompressed) body of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Offset within the batch's log: base offset plus delta.
    pub offset: Offset,
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Time of the record: the append time for `LogAppendTime` batches, else base timestamp plus delta.
    pub timestamp: Timestamp,
    /// Difference to the base timestamp, in milliseconds, as stored.
    pub timestamp_delta: i64,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Headers in the order they were sent, repeated keys included.
    pub headers: Headers<'a>,
}

/// One header of a record. Keys are text by convention; nothing here depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record, read one by one. Their structure was checked when the record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    encoded: &'a [u8],
    remaining: usize,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.remaining = self.remaining.checked_sub(1)?;
        read_header(&mut self.encoded).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// A record before the batch's base offset and times are applied.
pub(crate) struct RawRecord<'a> {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Headers<'a>,
}

/// Reads one record from the front of `input`. On error `input` is of no further use.
pub(crate) fn read_record<'a>(input: &mut &'a [u8]) -> Result<RawRecord<'a>, &'static str> {
    let length = read_varint(input)?;
    let mut record = usize::try_from(length)
        .ok()
        .and_then(|length| input.split_off(..length))
        .ok_or("its length does not fit the batch")?;
    // Record attributes: unused in format v2.
    record.split_off(..1).ok_or("it is empty")?;
    let timestamp_delta = read_varlong(&mut record)?;
    let offset_delta = read_varint(&mut record)?;
    let key = read_nullable(&mut record)?;
    let value = read_nullable(&mut record)?;
    let remaining = usize::try_from(read_varint(&mut record)?).map_err(|_| "its header count is negative")?;
    let headers = Headers { encoded: record, remaining };
    for _ in 0..remaining {
        read_header(&mut record)?;
    }
    if !record.is_empty() {
        return Err("its contents end before its length does");
    }
    Ok(RawRecord { timestamp_delta, offset_delta, key, value, headers })
}

fn read_header<'a>(input: &mut &'a [u8]) -> Result<Header<'a>, &'static str> {
    let key = read_nullable(input)?.ok_or("a header key is null")?;
    Ok(Header { key, value: read_nullable(input)? })
}

fn read_nullable<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
    match read_varint(input)? {
        -1 => Ok(None),
        length => usize::try_from(length)
            .ok()
            .and_then(|length| input.split_off(..length))
            .map(Some)
            .ok_or("a field does not fit the record"),
    }
}
