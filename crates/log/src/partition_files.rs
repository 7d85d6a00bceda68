//! What is in a partition's directory when its log is opened.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use highwater_env::Fs;
use highwater_types::Offset;

use crate::error::LogError;
use crate::file_names::{FileKind, parse_file_name};
use crate::swap::{CLEANED_SUFFIX, SWAP_SUFFIX, with_suffix};

/// Suffixes of files that no crash-free moment has: written halfway, or about to be removed (Kafka's among them).
const LEFT_OVER_SUFFIXES: [&str; 3] = [".tmp", ".deleted", CLEANED_SUFFIX];

/// The directory's files by what they are.
#[derive(Debug, Default)]
pub(crate) struct PartitionFiles {
    /// Base offsets of segments, ascending.
    pub(crate) segments: BTreeSet<Offset>,
    /// Segments that have all of their index files.
    pub(crate) indexed: BTreeSet<Offset>,
    /// Offsets of producer snapshots.
    pub(crate) snapshots: BTreeSet<Offset>,
    /// Base offsets of compacted segments that were about to be put in place (see `swap.rs`), ascending.
    pub(crate) swaps: BTreeSet<Offset>,
    /// Files that mean nothing and go: left-overs of a crash, indexes without a segment.
    pub(crate) left_over: Vec<PathBuf>,
}

impl PartitionFiles {
    /// Lists `dir`.
    pub(crate) fn read(fs: &Fs, dir: &Path) -> Result<Self, LogError> {
        let mut files = Self::default();
        let mut of_segments: BTreeSet<(Offset, FileKind)> = BTreeSet::new();
        let mut swapped: BTreeSet<(Offset, FileKind)> = BTreeSet::new();
        let mut cleaned = Offset(i64::MAX);
        for entry in fs.read_dir(dir).map_err(LogError::io(dir))? {
            if let Some(name) = entry.name.strip_suffix(SWAP_SUFFIX) {
                swapped.extend(parse_file_name(name));
                continue;
            }
            if let Some((offset, _)) = entry.name.strip_suffix(CLEANED_SUFFIX).and_then(parse_file_name) {
                cleaned = cleaned.min(offset);
            }
            match parse_file_name(&entry.name) {
                Some((offset, FileKind::ProducerSnapshot)) => _ = files.snapshots.insert(offset),
                Some((offset, FileKind::Log)) => _ = files.segments.insert(offset),
                Some(other) => _ = of_segments.insert(other),
                None if LEFT_OVER_SUFFIXES.iter().any(|suffix| entry.name.ends_with(suffix)) => {
                    files.left_over.push(dir.join(&entry.name));
                }
                None => {}
            }
        }
        // Kafka splits a segment into several: none of them counts while one is unfinished.
        let is_complete = |&offset: &Offset| swapped.contains(&(offset, FileKind::Log)) && offset < cleaned;
        files.swaps = swapped.iter().map(|(offset, _)| *offset).filter(is_complete).collect();
        for &(offset, kind) in swapped.iter().filter(|(offset, _)| !files.swaps.contains(offset)) {
            files.left_over.push(with_suffix(&kind.path(dir, offset), SWAP_SUFFIX));
        }
        for &(offset, kind) in &of_segments {
            if !files.segments.contains(&offset) {
                files.left_over.push(kind.path(dir, offset));
            }
        }
        let has = |offset: Offset, kind| of_segments.contains(&(offset, kind));
        let all = |offset: &Offset| FileKind::INDEXES.into_iter().all(|kind| has(*offset, kind));
        files.indexed = files.segments.iter().copied().filter(all).collect();
        Ok(files)
    }
}
