//! Looking at log files without a running node and without changing anything: for `highwater log`. Reads Kafka's files as
//! well as ours.

mod batch_file;
mod content;
mod index_check;
mod rebuild;
mod verify;

use std::path::PathBuf;

pub use batch_file::{BatchFile, InspectedBatch};
pub use content::{FileContent, is_partition_file, read_file};
pub use rebuild::{RebuiltIndex, rebuild_indexes};
pub use verify::{Finding, Verification, verify_partition};

pub use crate::producers::SnapshotEntry;
use crate::text_file::Malformed;

/// Why a file or directory cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    /// The disk refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file does not follow its format.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: Malformed,
    },
    /// Its name is none that a log directory has.
    #[error("{0} is no file of a log: expected a segment, an index, a snapshot or a checkpoint")]
    UnknownFile(PathBuf),
    /// There are no segments in the directory.
    #[error("{0} is no directory of a partition: there is no .log file in it")]
    NoPartition(PathBuf),
    /// Batches that an index would be made of are damaged.
    #[error("{path} at byte {position}: {reason}")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        reason: String,
    },
}

impl InspectionError {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    fn malformed(path: &std::path::Path, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), reason: Malformed::new(reason) }
    }
}

#[cfg(test)]
mod tests;
