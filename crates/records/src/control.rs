//! Control records: what brokers write into logs about the log itself.

use bytes::Bytes;
use highwater_types::{ProducerEpoch, ProducerId, Timestamp};

use crate::batch::RecordBatch;
use crate::builder::BatchBuilder;
use crate::compression::Compression;
use crate::error::BatchError;

/// Version of control record keys and of transaction markers that is written; later ones are read as it.
const CURRENT_VERSION: i16 = 0;

/// Kind of a control record: the second `i16` of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRecordType {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// A kind that consumers skip.
    Other(i16),
}

impl ControlRecordType {
    /// Reads the key of a control record.
    pub fn from_key(key: &[u8]) -> Result<Self, BatchError> {
        let [version_high, version_low, type_high, type_low, ..] = *key else {
            return Err(BatchError::Record { index: 0, reason: "the key of a control record is too short" });
        };
        if i16::from_be_bytes([version_high, version_low]) < CURRENT_VERSION {
            return Err(BatchError::Record { index: 0, reason: "the key of a control record has a negative version" });
        }
        Ok(match i16::from_be_bytes([type_high, type_low]) {
            0 => Self::Abort,
            1 => Self::Commit,
            other => Self::Other(other),
        })
    }

    fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::Other(id) => id,
        }
    }
}

/// End of one producer's transaction in one partition (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Whose transaction.
    pub producer_id: ProducerId,
    /// In which epoch.
    pub producer_epoch: ProducerEpoch,
    /// True for commit, false for abort.
    pub committed: bool,
    /// Epoch of the transaction coordinator, for fencing.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The control batch with this marker, base offset 0.
    pub fn to_batch(&self, now: Timestamp) -> Bytes {
        let kind = if self.committed { ControlRecordType::Commit } else { ControlRecordType::Abort };
        let mut key = [0; 4];
        key[..2].copy_from_slice(&CURRENT_VERSION.to_be_bytes());
        key[2..].copy_from_slice(&kind.id().to_be_bytes());
        let mut value = [0; 6];
        value[..2].copy_from_slice(&CURRENT_VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        let mut builder = BatchBuilder::new(Compression::None)
            .producer(self.producer_id, self.producer_epoch, highwater_types::Sequence::NONE)
            .transactional()
            .control();
        builder.append(now, Some(&key), Some(&value), &[]);
        builder.build()
    }

    /// The marker in a control batch; `None` if the batch is no control batch or holds another kind of control record.
    pub fn from_batch(batch: &RecordBatch) -> Result<Option<Self>, BatchError> {
        let header = batch.header();
        if !header.is_control() {
            return Ok(None);
        }
        let records = batch.records()?;
        let Some(record) = records.iter().next().transpose()? else {
            return Ok(None);
        };
        let committed = match ControlRecordType::from_key(record.key.unwrap_or_default())? {
            ControlRecordType::Abort => false,
            ControlRecordType::Commit => true,
            ControlRecordType::Other(_) => return Ok(None),
        };
        let [_, _, epoch @ ..] = record.value.unwrap_or_default() else {
            return Err(BatchError::Record { index: 0, reason: "a transaction marker is too short" });
        };
        let Some(coordinator_epoch) = epoch.first_chunk() else {
            return Err(BatchError::Record { index: 0, reason: "a transaction marker is too short" });
        };
        Ok(Some(Self {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            committed,
            coordinator_epoch: i32::from_be_bytes(*coordinator_epoch),
        }))
    }
}
