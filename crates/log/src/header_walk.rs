//! Walks over the headers of a segment's batches without reading the records.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_env::File;
use highwater_records::{BatchHeader, HEADER_LENGTH};

use highwater_types::Offset;

use crate::error::ReadError;

/// Bytes read at once: a page, and what lies between two index entries by default.
const WINDOW_BYTES: usize = 4096;

/// A cursor over headers, from a batch's start to the end that the segment had when the walk began.
pub(crate) struct HeaderWalk {
    file: Arc<File>,
    path: PathBuf,
    /// Of the segment.
    base: Offset,
    /// No batch begins below: the batches that were seen end there.
    next: Offset,
    position: u64,
    end: u64,
    window: Box<[u8; WINDOW_BYTES]>,
    window_start: u64,
    window_length: usize,
}

impl HeaderWalk {
    /// Starts at `position`, which must be where a batch starts, in the segment with that base offset. `path` names the file in
    /// errors.
    pub(crate) fn new(file: Arc<File>, path: PathBuf, base: Offset, position: u64, end: u64) -> Self {
        let window = Box::new([0; WINDOW_BYTES]);
        Self { file, path, base, next: base, position, end, window, window_start: 0, window_length: 0 }
    }

    /// The next batch's position and header, or `None` at the end.
    pub(crate) fn next_header(&mut self) -> Result<Option<(u64, BatchHeader)>, ReadError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let position = self.position;
        let header = match BatchHeader::parse(self.bytes_at_position()?) {
            Ok(header) => header,
            Err(error) => return Err(self.corrupt(error.to_string())),
        };
        let next = position + header.size_in_bytes() as u64;
        if next > self.end {
            return Err(self.corrupt(format!("a batch of {} bytes reaches beyond the end", header.size_in_bytes())));
        }
        if let Err(reason) = self.check_offsets(&header) {
            return Err(self.corrupt(reason));
        }
        (self.position, self.next) = (next, header.next_offset());
        Ok(Some((position, header)))
    }

    /// Puts the cursor back to `position`, where a batch starts.
    pub(crate) fn go_back(&mut self, position: u64) {
        (self.position, self.next) = (position, self.base);
    }

    /// Offsets are in no checksum; the indexes count on them.
    fn check_offsets(&self, header: &BatchHeader) -> Result<(), String> {
        let (first, last) = (header.base_offset, header.last_offset());
        if first < self.next {
            return Err(format!("a batch from {first} on, where {} comes next", self.next));
        }
        if last.get() - self.base.get() > i64::from(i32::MAX) {
            return Err(format!("a batch to {last}, too far from the segment's base"));
        }
        Ok(())
    }

    fn corrupt(&self, reason: String) -> ReadError {
        ReadError::Corrupt { path: self.path.clone(), position: self.position, reason }
    }

    /// The bytes at the cursor that are in the window: a header's worth unless the segment ends before.
    fn bytes_at_position(&mut self) -> Result<&[u8], ReadError> {
        let within = self.position.checked_sub(self.window_start).map(|skip| skip as usize);
        let start = match within {
            Some(start) if start + HEADER_LENGTH <= self.window_length => start,
            _ => {
                let length = WINDOW_BYTES.min((self.end - self.position) as usize);
                let read = self.file.read_exact_at(&mut self.window[..length], self.position);
                read.map_err(ReadError::io(&self.path))?;
                (self.window_start, self.window_length) = (self.position, length);
                0
            }
        };
        Ok(&self.window[start..self.window_length])
    }
}
