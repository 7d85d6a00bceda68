//! Walks over the headers of a segment's batches without reading the records.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_env::File;
use highwater_records::{BatchHeader, HEADER_LENGTH};

use crate::error::ReadError;

/// Bytes read at once: a page, and what lies between two index entries by default.
const WINDOW_BYTES: usize = 4096;

/// A cursor over headers, from a batch's start to the end that the segment had when the walk began.
pub(crate) struct HeaderWalk {
    file: Arc<File>,
    path: PathBuf,
    position: u64,
    end: u64,
    window: Box<[u8; WINDOW_BYTES]>,
    window_start: u64,
    window_length: usize,
}

impl HeaderWalk {
    /// Starts at `position`, which must be where a batch starts. `path` names the file in errors.
    pub(crate) fn new(file: Arc<File>, path: PathBuf, position: u64, end: u64) -> Self {
        Self { file, path, position, end, window: Box::new([0; WINDOW_BYTES]), window_start: 0, window_length: 0 }
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
        self.position = next;
        Ok(Some((position, header)))
    }

    /// Puts the cursor back to `position`, where a batch starts.
    pub(crate) fn go_back(&mut self, position: u64) {
        self.position = position;
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
