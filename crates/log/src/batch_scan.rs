//! Reads a segment's batches whole and checks them: for recovery and for rebuilding producer state.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use highwater_env::File;
use highwater_records::{BatchError, BatchHeader, HEADER_LENGTH, RecordBatch};

use crate::error::ReadError;
use crate::file_names::FileKind;
use crate::room;
use crate::segment::Segment;

/// Bytes read at once: large enough that system calls do not matter beside the checksum, small enough for a recovery of
/// many partitions at a time.
const CHUNK_BYTES: u64 = 1 << 20;

/// A cursor over whole batches.
pub(crate) struct BatchScan {
    file: Arc<File>,
    path: PathBuf,
    position: u64,
    end: u64,
    /// Bytes of the file from `position` on.
    chunk: Bytes,
}

/// What is at the cursor.
pub(crate) enum Scanned {
    /// An intact batch and where it starts.
    Batch(u64, RecordBatch),
    /// No batch, for this reason. The scan stays there.
    Damaged(String),
    /// The end of the segment.
    End,
}

impl BatchScan {
    /// Starts at `position`, which must be where a batch starts.
    pub(crate) fn new(segment: &Segment, position: u64) -> Result<Self, ReadError> {
        let path = segment.path(FileKind::Log);
        let file = segment.file().map_err(ReadError::io(&path))?;
        Ok(Self { file, path, position, end: segment.size(), chunk: Bytes::new() })
    }

    /// The position of what [`BatchScan::next_batch`] returns next.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next batch, with its CRC checked. An error is the disk's, not the data's.
    pub(crate) fn next_batch(&mut self) -> Result<Scanned, ReadError> {
        let remaining = self.end - self.position;
        if remaining == 0 {
            return Ok(Scanned::End);
        }
        if remaining < HEADER_LENGTH as u64 {
            return Ok(Scanned::Damaged(format!("{remaining} bytes are no batch")));
        }
        self.fill(HEADER_LENGTH as u64)?;
        let size = match BatchHeader::parse(&self.chunk) {
            Ok(header) => header.size_in_bytes() as u64,
            Err(error) => return Ok(Scanned::Damaged(error.to_string())),
        };
        if size > remaining {
            return Ok(Scanned::Damaged(format!("a batch of {size} bytes, of which {remaining} are there")));
        }
        self.fill(size)?;
        let batch = match RecordBatch::parse(&self.chunk) {
            Ok(batch) => batch,
            Err(error) => return Ok(Scanned::Damaged(error.to_string())),
        };
        let position = self.position;
        self.position += size;
        self.chunk = self.chunk.slice(size as usize..);
        Ok(Scanned::Batch(position, batch))
    }

    /// Whether there are only zeros from the cursor on.
    pub(crate) fn rest_is_blank(&self) -> Result<bool, ReadError> {
        room::is_blank(&self.file, self.position, self.end).map_err(ReadError::io(&self.path))
    }

    /// Makes the chunk hold at least `wanted` bytes, which the file has.
    fn fill(&mut self, wanted: u64) -> Result<(), ReadError> {
        if self.chunk.len() as u64 >= wanted {
            return Ok(());
        }
        let length = wanted.max(CHUNK_BYTES).min(self.end - self.position);
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, self.position).map_err(ReadError::io(&self.path))?;
        self.chunk = bytes.into();
        Ok(())
    }
}

/// Reads the batch with that header, with its CRC checked.
pub(crate) fn read_batch(segment: &Segment, position: u64, header: &BatchHeader) -> Result<RecordBatch, ReadError> {
    let path = segment.path(FileKind::Log);
    let mut bytes = vec![0; header.size_in_bytes()];
    let read = segment.file().and_then(|file| file.read_exact_at(&mut bytes, position));
    read.map_err(ReadError::io(&path))?;
    RecordBatch::parse(&bytes.into()).map_err(|error| damaged(segment, position, &error))
}

/// What is at that place of the segment is no batch.
pub(crate) fn damaged(segment: &Segment, position: u64, error: &BatchError) -> ReadError {
    ReadError::Corrupt { path: segment.path(FileKind::Log), position, reason: error.to_string() }
}
