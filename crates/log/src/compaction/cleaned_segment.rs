//! The file that a compaction writes: `<base>.log.cleaned` and its indexes, to be put in place of older segments.

use std::io;
use std::path::Path;
use std::sync::Arc;

use highwater_env::{File, Fs, OpenMode};
use highwater_records::BatchHeader;
use highwater_types::Offset;

use crate::aborted_transaction::EndedTransaction;
use crate::file_names::FileKind;
use crate::segment::{indexed, remove_if_there};
use crate::segment_index::SegmentIndex;
use crate::swap::{CLEANED_SUFFIX, with_suffix};
use crate::transaction_index::TransactionIndex;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 512 << 10;

/// A segment in the making.
#[derive(Debug)]
pub(crate) struct CleanedSegment {
    fs: Fs,
    dir: Arc<Path>,
    base: Offset,
    file: File,
    index: SegmentIndex,
    transactions: TransactionIndex,
    interval_bytes: u64,
    /// Bytes in the file and the buffer.
    size: u64,
    buffer: Vec<u8>,
}

impl CleanedSegment {
    /// Begins one at `base`; what an earlier attempt left is overwritten.
    pub(crate) fn create(fs: &Fs, dir: &Arc<Path>, base: Offset, interval_bytes: u64) -> io::Result<Self> {
        let path = with_suffix(&FileKind::Log.path(dir, base), CLEANED_SUFFIX);
        let file = fs.open(&path, OpenMode::Truncate)?;
        Ok(Self {
            fs: fs.clone(),
            dir: dir.clone(),
            base,
            file,
            index: SegmentIndex::new(base),
            transactions: TransactionIndex::default(),
            interval_bytes,
            size: 0,
            buffer: Vec::new(),
        })
    }

    /// The first offset that may be in it.
    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    /// Bytes of batches so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a whole batch.
    pub(crate) fn append(&mut self, header: &BatchHeader, bytes: &[u8]) -> io::Result<()> {
        self.index.append(indexed(header, self.size), self.interval_bytes);
        self.buffer.extend_from_slice(bytes);
        self.size += bytes.len() as u64;
        if self.buffer.len() >= BUFFER_BYTES { self.write_buffer() } else { Ok(()) }
    }

    /// The batch appended last ended a transaction.
    pub(crate) fn on_transaction_ended(&mut self, ended: &EndedTransaction) {
        self.transactions.on_ended(ended);
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.size - self.buffer.len() as u64)?;
        self.buffer.clear();
        Ok(())
    }

    /// Completes the files and makes their content durable.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.write_buffer()?;
        self.buffer = Vec::new();
        self.file.sync_all()?;
        self.index.seal();
        let indexes = [
            (FileKind::OffsetIndex, self.index.encode_offsets()),
            (FileKind::TimeIndex, self.index.encode_times()),
            (FileKind::TransactionIndex, self.transactions.encode()),
        ];
        for (kind, bytes) in indexes {
            let path = with_suffix(&kind.path(&self.dir, self.base), CLEANED_SUFFIX);
            let file = self.fs.open(&path, OpenMode::Truncate)?;
            file.write_all_at(&bytes, 0)?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// Removes the files, if they are there still.
    pub(crate) fn discard(&self) -> io::Result<()> {
        for kind in FileKind::OF_SEGMENT {
            remove_if_there(&self.fs, &with_suffix(&kind.path(&self.dir, self.base), CLEANED_SUFFIX))?;
        }
        Ok(())
    }
}
