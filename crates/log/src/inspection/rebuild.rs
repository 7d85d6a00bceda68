//! The indexes of a partition as its batches say they should be.

use std::path::{Path, PathBuf};

use highwater_env::Fs;
use highwater_records::EndTransactionMarker;
use highwater_types::{Offset, Timestamp};

use super::{BatchFile, InspectionError};
use crate::error::LogError;
use crate::file_names::FileKind;
use crate::partition_files::PartitionFiles;
use crate::producers::ProducerStates;
use crate::segment::indexed;
use crate::segment_index::SegmentIndex;
use crate::transaction_index::TransactionIndex;

/// An index file, made from the batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuiltIndex {
    /// The file.
    pub path: PathBuf,
    /// What should be in it.
    pub content: Vec<u8>,
    /// Whether it is there with that content.
    pub is_same: bool,
}

/// Makes the offset, time and transaction indexes of every segment in `dir`. Changes nothing; with `interval_bytes` of batches
/// between two entries.
///
/// # Errors
/// [`InspectionError::Damaged`] if a batch is: what is behind it has to be recovered first.
pub fn rebuild_indexes(fs: &Fs, dir: &Path, interval_bytes: u64) -> Result<Vec<RebuiltIndex>, InspectionError> {
    let files = list(fs, dir)?;
    let mut producers = starting_producers(fs, dir, &files).unwrap_or_default();
    let mut rebuilt = Vec::new();
    for &base in &files.segments {
        let path = FileKind::Log.path(dir, base);
        let (mut index, mut transactions) = (SegmentIndex::new(base), TransactionIndex::default());
        let mut batches = BatchFile::open(fs, &path)?;
        while let Some(found) = batches.next_batch()? {
            let damaged = |reason| InspectionError::Damaged { path: path.clone(), position: found.position, reason };
            let header = found.batch.header();
            if let Some(reason) = found.damage.clone().or_else(|| misplaced(base, header.last_offset())) {
                return Err(damaged(reason));
            }
            index.append(indexed(header, found.position), interval_bytes);
            let marker = EndTransactionMarker::from_batch(&found.batch).map_err(|error| damaged(error.to_string()))?;
            if let Some(ended) = producers.apply(header, marker.as_ref(), Timestamp::NONE) {
                transactions.on_ended(&ended);
            }
        }
        index.seal();
        let contents = [index.encode_offsets(), index.encode_times(), transactions.encode()];
        for (kind, content) in FileKind::INDEXES.into_iter().zip(contents) {
            let path = kind.path(dir, base);
            let is_same = fs.read(&path).is_ok_and(|found| found == content);
            rebuilt.push(RebuiltIndex { path, content, is_same });
        }
    }
    Ok(rebuilt)
}

/// The files in a partition's directory.
pub(super) fn list(fs: &Fs, dir: &Path) -> Result<PartitionFiles, InspectionError> {
    let files = PartitionFiles::read(fs, dir).map_err(|error| match error {
        LogError::Io { path, source } => InspectionError::Io { path, source },
        error => InspectionError::malformed(dir, error.to_string()),
    })?;
    if files.segments.is_empty() { Err(InspectionError::NoPartition(dir.to_owned())) } else { Ok(files) }
}

/// Producer state where the first segment begins; `None` if what came before is not known.
pub(super) fn starting_producers(fs: &Fs, dir: &Path, files: &PartitionFiles) -> Option<ProducerStates> {
    let first = files.segments.first().copied().unwrap_or(Offset::ZERO);
    let snapshot = fs.read(&FileKind::ProducerSnapshot.path(dir, first)).ok();
    match snapshot.and_then(|bytes| ProducerStates::decode(&bytes, Timestamp::NONE).ok()) {
        Some(producers) => Some(producers),
        None => (first == Offset::ZERO).then(ProducerStates::default),
    }
}

fn misplaced(base: Offset, last: Offset) -> Option<String> {
    let distance = last.get() - base.get();
    let is_wrong = !(0..=i64::from(i32::MAX)).contains(&distance);
    is_wrong.then(|| format!("a batch to {last}, in the segment that begins at {base}"))
}
