//! Splits a run of bytes into its batches: for followers, recovery and readers.

use bytes::{Buf, Bytes};

use crate::batch::RecordBatch;
use crate::error::BatchError;

/// The batches that `bytes` consists of, each with its checksum verified. Ends after the first error; a batch that is cut off
/// at the end is the error [`BatchError::Truncated`].
pub fn split_batches(bytes: &Bytes) -> Batches {
    Batches { rest: bytes.clone(), consumed: 0, failed: false }
}

/// Iterator of [`split_batches`].
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
    consumed: usize,
    /// Whether an error was given out; nothing follows it.
    failed: bool,
}

impl Batches {
    /// Bytes of the batches given out so far.
    pub fn consumed(&self) -> usize {
        self.consumed
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.is_empty() {
            return None;
        }
        let parsed = RecordBatch::parse(&self.rest);
        match &parsed {
            Ok(batch) => {
                let size = batch.bytes().len();
                self.rest.advance(size);
                self.consumed += size;
            }
            Err(_) => self.failed = true,
        }
        Some(parsed)
    }
}
