//! One error type per kind of operation, and their Kafka codes.

use std::io;
use std::path::{Path, PathBuf};

use highwater_types::{ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TopicId};

/// Opening, rolling, truncating, deleting or closing a log failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused. The directory is out of service from here on.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory in question.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Data that had been flushed is damaged or gone: the replica must be quarantined and refetched from the leader.
    #[error("{path}: damaged below the durable mark {durable_mark}: {reason}")]
    Corrupt {
        /// The file or directory in question.
        path: PathBuf,
        /// Everything below this offset had been flushed.
        durable_mark: Offset,
        /// What is wrong.
        reason: String,
    },
    /// The directory holds a topic of the same name with another id.
    #[error("{path} belongs to topic id {found}, not {expected}")]
    TopicIdMismatch {
        /// The partition's directory.
        path: PathBuf,
        /// The id on disk.
        found: TopicId,
        /// The id asked for.
        expected: TopicId,
    },
    /// The log directory is out of service after an earlier failure.
    #[error("log directory {0} is offline")]
    Offline(PathBuf),
    /// A truncation below the log start or an increment of the log start beyond the log end was asked for.
    #[error("offset {asked} is outside of {start}..{end}")]
    OutOfRange {
        /// What was asked for.
        asked: Offset,
        /// The log start offset.
        start: Offset,
        /// The log end offset.
        end: Offset,
    },
}

impl LogError {
    /// An I/O error with the path it happened at.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// Whether the disk, or the user's share of it, is full: what was asked for was not done, and can be tried again.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_disk_full(source))
    }

    /// The code a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { .. } | Self::Corrupt { .. } | Self::Offline(_) => ErrorCode::KafkaStorageError,
            Self::TopicIdMismatch { .. } => ErrorCode::InconsistentTopicId,
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        }
    }
}

/// Whether an error means that the disk, or the user's share of it, is full.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An append was refused. Nothing was appended, except as [`AppendError::Log`] says.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A gap or a step back in an idempotent producer's sequence (KIP-98).
    #[error("producer {producer_id}: first sequence {found} does not follow {last} (epoch {epoch})")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// Its epoch in the batch.
        epoch: ProducerEpoch,
        /// Last sequence in the log, -1 if its epoch has none yet.
        last: Sequence,
        /// First sequence of the batch.
        found: Sequence,
    },
    /// A gap before the first batch that an idempotent producer sends since the leader changed or refused something. What is in it
    /// may have been refused as well: the client is to send all of it again, in order.
    #[error("producer {producer_id}: first sequence {found} does not follow {last} yet (epoch {epoch})")]
    PrecedingBatchMissing {
        /// The producer.
        producer_id: ProducerId,
        /// Its epoch in the batch.
        epoch: ProducerEpoch,
        /// Last sequence in the log, -1 if its epoch has none yet.
        last: Sequence,
        /// First sequence of the batch.
        found: Sequence,
    },
    /// The batch's producer epoch is older than one in the log.
    #[error("producer {producer_id}: epoch {found} is older than {current}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// Epoch in the batch.
        found: ProducerEpoch,
        /// Epoch in the log.
        current: ProducerEpoch,
    },
    /// A plain batch of a producer that has a transaction open.
    #[error("producer {producer_id}: a batch outside of the transaction it has open")]
    InvalidTxnState {
        /// The producer.
        producer_id: ProducerId,
    },
    /// The batch is larger than a segment may be.
    #[error("a batch of {size} bytes is larger than segment.bytes, {limit}")]
    BatchTooLarge {
        /// Size of the batch in bytes.
        size: u64,
        /// `segment.bytes`.
        limit: u64,
    },
    /// Replicated bytes are not whole, intact batches.
    #[error("replicated batch is damaged: {0}")]
    Corrupt(String),
    /// Replicated batches do not continue this log.
    #[error("replicated batch starts at {found}, the log ends at {log_end}")]
    UnexpectedOffset {
        /// Base offset of the batch.
        found: Offset,
        /// End of this log.
        log_end: Offset,
    },
    /// Replicated batches carry an older leader epoch than the log's last batch.
    #[error("replicated batch of leader epoch {found} after one of epoch {latest}")]
    EpochGoesBack {
        /// Epoch in the batch.
        found: LeaderEpoch,
        /// Epoch of the last batch here.
        latest: LeaderEpoch,
    },
    /// The disk is full. Nothing was appended; the log goes on when there is room.
    #[error("no space left on device")]
    DiskFull,
    /// The storage failed; of a replicated append, a prefix may be in the log.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl AppendError {
    /// The code a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::PrecedingBatchMissing { .. } => ErrorCode::NotLeaderOrFollower,
            Self::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::InvalidTxnState { .. } => ErrorCode::InvalidTxnState,
            Self::BatchTooLarge { .. } => ErrorCode::RecordListTooLarge,
            Self::Corrupt(_) => ErrorCode::CorruptMessage,
            Self::UnexpectedOffset { .. } | Self::EpochGoesBack { .. } => ErrorCode::UnknownServerError,
            Self::DiskFull => ErrorCode::KafkaStorageError,
            Self::Log(error) => error.code(),
        }
    }
}

/// A compaction ended early. The log is as before, or compacted up to some segment.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// The log was cut, deleted or lost segments meanwhile.
    #[error("the log changed meanwhile")]
    Abandoned,
    /// There is no room for the compacted segment.
    #[error("no space left on device")]
    DiskFull,
    /// The storage failed, or the log is damaged.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A read was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is below the log start or beyond the log end.
    #[error("offset {asked} is outside of {start}..={end}")]
    OutOfRange {
        /// What was asked for.
        asked: Offset,
        /// The log start offset.
        start: Offset,
        /// The log end offset.
        end: Offset,
    },
    /// The bytes on disk are no batches.
    #[error("{path} at byte {position}: {reason}")]
    Corrupt {
        /// The segment file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// The disk refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl ReadError {
    /// An I/O error with the path it happened at.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// The code a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Corrupt { .. } => ErrorCode::CorruptMessage,
            Self::Io { .. } => ErrorCode::KafkaStorageError,
        }
    }
}

impl From<ReadError> for LogError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::OutOfRange { asked, start, end } => Self::OutOfRange { asked, start, end },
            ReadError::Corrupt { path, position, reason } => {
                Self::Corrupt { path, durable_mark: Offset::NONE, reason: format!("at byte {position}: {reason}") }
            }
            ReadError::Io { path, source } => Self::Io { path, source },
        }
    }
}
