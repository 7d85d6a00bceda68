//! Reads what validation needs to know of each record from a stream, skipping keys, values and headers. Memory does not depend
//! on what the records claim or contain.

use std::io::BufRead;

use crate::compression::{BodyReader, Compression};
use crate::error::BatchError;
use crate::varint::{MAX_VARINT_BYTES, MAX_VARLONG_BYTES, VarintDecoder};

/// What validation needs to know of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordFacts {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) has_key: bool,
}

/// Reads the records of one batch in order.
pub(crate) struct RecordReader<'a> {
    codec: Compression,
    input: BodyReader<'a>,
    /// Records of the batch, by its header.
    count: i32,
    /// Records read so far.
    index: i32,
    /// Bytes that the current record still has.
    left: usize,
}

impl<'a> RecordReader<'a> {
    /// Reads `count` records from `body`, compressed with `codec`.
    pub(crate) fn new(codec: Compression, body: &'a [u8], count: i32) -> Result<Self, BatchError> {
        Ok(Self { codec, input: codec.reader(body)?, count, index: 0, left: 0 })
    }

    /// The next record; `None` after the last one, once nothing follows it.
    pub(crate) fn next_record(&mut self) -> Result<Option<RecordFacts>, BatchError> {
        if self.index >= self.count {
            return match self.buffered()? {
                true => Err(BatchError::Count("records still remaining in file")),
                false => Ok(None),
            };
        }
        // The length itself is not part of what it counts.
        self.left = MAX_VARINT_BYTES;
        let length = self.number(MAX_VARINT_BYTES, 32)?;
        self.left = usize::try_from(length).map_err(|_| self.invalid("its length does not fit the batch"))?;
        self.skip(1)?;
        let timestamp_delta = self.number(MAX_VARLONG_BYTES, 64)?;
        let offset_delta = self.number(MAX_VARINT_BYTES, 32)? as i32;
        let has_key = self.skip_nullable()?;
        self.skip_nullable()?;
        let headers = self.number(MAX_VARINT_BYTES, 32)?;
        if headers < 0 {
            return Err(self.invalid("its header count is negative"));
        }
        for _ in 0..headers {
            if !self.skip_nullable()? {
                return Err(self.invalid("a header key is null"));
            }
            self.skip_nullable()?;
        }
        if self.left != 0 {
            return Err(self.invalid("its contents end before its length does"));
        }
        self.index += 1;
        Ok(Some(RecordFacts { timestamp_delta, offset_delta, has_key }))
    }

    fn invalid(&self, reason: &'static str) -> BatchError {
        BatchError::Record { index: self.index, reason }
    }

    /// Whether more bytes come.
    fn buffered(&mut self) -> Result<bool, BatchError> {
        let codec = self.codec;
        self.input.fill_buf().map(|buffer| !buffer.is_empty()).map_err(|error| codec.error(&error))
    }

    fn number(&mut self, max_bytes: usize, bits: u32) -> Result<i64, BatchError> {
        let mut decoder = VarintDecoder::default();
        loop {
            let byte = self.byte()?;
            match decoder.push(byte, max_bytes, bits) {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => {}
                Err(reason) => return Err(self.invalid(reason)),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, BatchError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.invalid("a field does not fit the record"))?;
        let codec = self.codec;
        let first = self.input.fill_buf().map_err(|error| codec.error(&error))?.first().copied();
        let byte = first.ok_or_else(|| self.invalid("the batch ends within it"))?;
        self.input.consume(1);
        Ok(byte)
    }

    /// Skips a field with a length in front. Gives whether it is not null.
    fn skip_nullable(&mut self) -> Result<bool, BatchError> {
        let length = self.number(MAX_VARINT_BYTES, 32)?;
        if length == -1 {
            return Ok(false);
        }
        let length = usize::try_from(length).map_err(|_| self.invalid("a field does not fit the record"))?;
        self.skip(length)?;
        Ok(true)
    }

    fn skip(&mut self, mut length: usize) -> Result<(), BatchError> {
        self.left = self.left.checked_sub(length).ok_or_else(|| self.invalid("a field does not fit the record"))?;
        while length > 0 {
            let codec = self.codec;
            let available = self.input.fill_buf().map_err(|error| codec.error(&error))?.len();
            if available == 0 {
                return Err(self.invalid("the batch ends within it"));
            }
            let step = available.min(length);
            self.input.consume(step);
            length -= step;
        }
        Ok(())
    }
}
