//! The answer to a batch that breaks a rule.

use highwater_types::{ErrorCode, TopicPartition};

use crate::error::BatchError;

/// Most record errors that one rejection carries. They are for people to read; a batch can hold a hundred thousand records.
pub const MAX_RECORD_ERRORS: usize = 256;

/// Why a batch is refused, as the answer to a Produce request says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ProduceRejection {
    /// The partition's error.
    pub code: ErrorCode,
    /// The partition's error message.
    pub message: String,
    /// The records to blame, if it is single ones (KIP-467); at most [`MAX_RECORD_ERRORS`].
    pub record_errors: Vec<RecordError>,
}

/// One record that made its batch be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Position of the record in its batch, from 0.
    pub batch_index: i32,
    /// Why.
    pub message: String,
}

impl ProduceRejection {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), record_errors: Vec::new() }
    }

    pub(crate) fn from_batch_error(error: &BatchError, partition: &TopicPartition) -> Self {
        let message = format!("{error} in topic partition {partition}");
        let record_errors = match error {
            BatchError::Record { index, reason } => {
                vec![RecordError { batch_index: *index, message: (*reason).to_owned() }]
            }
            _ => Vec::new(),
        };
        Self { code: error.code(), message, record_errors }
    }
}
