//! Whole batches whose structure and checksum hold, and iteration over their records.

use bytes::Bytes;
use highwater_types::{Offset, Timestamp};

use crate::attributes::TimestampType;
use crate::compression::Compression;
use crate::error::BatchError;
use crate::header::{ATTRIBUTES_POSITION, BatchHeader, HEADER_LENGTH};
use crate::record::{RecordView, read_record};
use crate::record_reader::RecordReader;

/// One whole batch: header as parsed, bytes as they were received or stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBatch {
    header: BatchHeader,
    /// Exactly `header.size_in_bytes()` bytes.
    bytes: Bytes,
}

/// Answer of [`RecordBatch::find_timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampMatch {
    /// Offset of the record.
    pub offset: Offset,
    /// Its time.
    pub timestamp: Timestamp,
}

impl RecordBatch {
    /// The batch at the start of `bytes`, its checksum verified; bytes behind it are left out.
    pub fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        let batch = Self::parse_without_crc(bytes)?;
        batch.verify_crc()?;
        Ok(batch)
    }

    /// As [`Self::parse`] for bytes whose checksum is known to hold, such as those this process has just read and checked.
    pub fn parse_without_crc(bytes: &Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let needed = header.size_in_bytes();
        if needed > bytes.len() {
            return Err(BatchError::Truncated { needed, available: bytes.len() });
        }
        Ok(Self { header, bytes: bytes.slice(..needed) })
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The whole batch, header included.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Verifies the checksum.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = compute_crc(&self.bytes);
        if computed == self.header.crc { Ok(()) } else { Err(BatchError::Crc { stored: self.header.crc, computed }) }
    }

    /// The records, decompressed if need be. Each record is read, and its structure checked, when it is its turn.
    pub fn records(&self) -> Result<Records, BatchError> {
        let body = self.bytes.slice(HEADER_LENGTH..);
        let body = match self.header.attributes.compression()? {
            Compression::None => body,
            codec => Bytes::from(codec.decompress(&body)?),
        };
        Ok(Records { header: self.header, body })
    }

    /// The first record that is not older than `target`; `None` if all are older. Decompresses in small steps.
    pub fn find_timestamp(&self, target: Timestamp) -> Result<Option<TimestampMatch>, BatchError> {
        let header = &self.header;
        if header.max_timestamp < target || header.record_count == 0 {
            return Ok(None);
        }
        let codec = header.attributes.compression()?;
        let body = &self.bytes[HEADER_LENGTH..];
        let mut reader = RecordReader::new(codec, body, header.record_count)?;
        while let Some(facts) = reader.next_record()? {
            let timestamp = record_timestamp(header, facts.timestamp_delta);
            if timestamp >= target {
                let offset = header.base_offset.plus(facts.offset_delta.into());
                return Ok(Some(TimestampMatch { offset, timestamp }));
            }
        }
        Ok(None)
    }
}

/// CRC-32C of a whole batch, from the attributes on.
pub(crate) fn compute_crc(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[ATTRIBUTES_POSITION..])
}

/// Time of a record: the append time for `LogAppendTime` batches, else base timestamp plus delta.
pub(crate) fn record_timestamp(header: &BatchHeader, delta: i64) -> Timestamp {
    match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => Timestamp(header.base_timestamp.0.wrapping_add(delta)),
    }
}

/// The records of one batch, decompressed.
#[derive(Debug, Clone)]
pub struct Records {
    pub(crate) header: BatchHeader,
    pub(crate) body: Bytes,
}

impl Records {
    /// The records in order. Stops after the first error, or after the count of the header: one that does not match the body
    /// is an error at the end.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { header: &self.header, body: &self.body, index: 0, failed: false }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<RecordView<'a>, BatchError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// Iterator of [`Records::iter`].
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    header: &'a BatchHeader,
    /// What follows the last record read.
    body: &'a [u8],
    index: i32,
    /// Whether an error was given out; nothing follows it.
    failed: bool,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.index == self.header.record_count {
            if self.body.is_empty() {
                return None;
            }
            self.failed = true;
            return Some(Err(BatchError::Count("records still remaining in file")));
        }
        let index = self.index;
        self.index += 1;
        match read_record(&mut self.body) {
            Ok(record) => Some(Ok(RecordView {
                offset: self.header.base_offset.plus(record.offset_delta.into()),
                offset_delta: record.offset_delta,
                timestamp: record_timestamp(self.header, record.timestamp_delta),
                timestamp_delta: record.timestamp_delta,
                key: record.key,
                value: record.value,
                headers: record.headers,
            })),
            Err(reason) => {
                self.failed = true;
                Some(Err(BatchError::Record { index, reason }))
            }
        }
    }
}

#[cfg(test)]
mod tests;
