//! Reads a shard back from its partition.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use highwater_env::run_blocking;
use highwater_group::{GroupConfig, GroupCoordinatorShard, ReplayError};
use highwater_records::{BatchError, split_batches};
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use thiserror::Error;
use tracing::warn;

use crate::PartitionWriter;

/// Bytes read at once: large enough that seeks do not count, small enough that a load does not fill memory or hold up
/// other tasks for long.
const LOAD_CHUNK_BYTES: usize = 1024 * 1024;

/// First pause while the high watermark is behind or nothing may be read yet; it doubles up to the largest. Only a load that
/// waits pauses.
const MIN_PAUSE: Duration = Duration::from_millis(2);
/// Largest pause of a load that waits.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// Why a shard could not be read back.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// This broker is not the leader in that epoch any more.
    #[error("not the leader any more")]
    NotLeader,
    /// The partition cannot be read.
    #[error("reading at offset {from} failed: {}", error.name())]
    Read {
        /// Where.
        from: Offset,
        /// Why.
        error: ErrorCode,
    },
    /// A batch is damaged.
    #[error("batch at or after offset {0}: {1}")]
    Batch(Offset, BatchError),
    /// A record makes no sense.
    #[error("record at offset {0}: {1}")]
    Record(Offset, ReplayError),
}

/// One load.
pub(crate) struct Loader {
    pub(crate) writer: Arc<dyn PartitionWriter>,
    pub(crate) partition: PartitionIndex,
    pub(crate) epoch: LeaderEpoch,
}

/// A shard as read, with figures for the log.
pub(crate) struct Loaded {
    pub(crate) shard: GroupCoordinatorShard,
    pub(crate) records: u64,
    pub(crate) end: Offset,
}

impl Loader {
    /// Reads the log up to its end at the start of the load, and waits until all of that is committed: what a previous
    /// leader appended may be visible only when it can no longer be lost. Ends without a shard only when the leadership does:
    /// nobody would load it again in this epoch.
    pub(crate) async fn load(&self, config: GroupConfig) -> Result<Loaded, LoadError> {
        let (start, end) = self.writer.log_range(self.partition, self.epoch).ok_or(LoadError::NotLeader)?;
        let mut loaded = Loaded { shard: GroupCoordinatorShard::new(config), records: 0, end: start };
        let mut pause = MIN_PAUSE;
        loop {
            let before = loaded.end;
            match self.read(loaded.end).await {
                Ok((chunks, high_watermark)) => {
                    for chunk in &chunks {
                        loaded.replay_chunk(chunk)?;
                    }
                    if loaded.end >= end && high_watermark >= end {
                        return Ok(loaded);
                    }
                }
                // Also while this broker leads and has no lease: a broker that was unfenced hears of its leaderships first.
                Err(LoadError::NotLeader) => {}
                Err(error) => return Err(error),
            }
            if loaded.end == before {
                self.writer.log_range(self.partition, self.epoch).ok_or(LoadError::NotLeader)?;
                tokio::time::sleep(pause).await;
                pause = MAX_PAUSE.min(pause * 2);
            } else {
                pause = MIN_PAUSE;
                tokio::task::yield_now().await;
            }
        }
    }

    async fn read(&self, from: Offset) -> Result<(Vec<Bytes>, Offset), LoadError> {
        let (writer, partition, epoch) = (self.writer.clone(), self.partition, self.epoch);
        let read = run_blocking(move || writer.read(partition, epoch, from, LOAD_CHUNK_BYTES)).await;
        read.map_err(|error| match error {
            ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch => LoadError::NotLeader,
            error => LoadError::Read { from, error },
        })
    }
}

impl Loaded {
    fn replay_chunk(&mut self, chunk: &Bytes) -> Result<(), LoadError> {
        for batch in split_batches(chunk) {
            let batch = batch.map_err(|error| LoadError::Batch(self.end, error))?;
            let header = batch.header();
            let next = header.next_offset();
            if next <= self.end {
                continue;
            }
            if header.is_control() || header.is_transactional() {
                // Offsets committed in transactions are not served yet; nothing here writes them.
                warn!(offset = %header.base_offset, "skipped a transactional batch in __consumer_offsets");
            } else {
                let records = batch.records().map_err(|error| LoadError::Batch(self.end, error))?;
                for record in &records {
                    let record = record.map_err(|error| LoadError::Batch(self.end, error))?;
                    if let Some(key) = record.key.filter(|_| record.offset >= self.end) {
                        let replayed = self.shard.replay(key, record.value);
                        replayed.map_err(|error| LoadError::Record(record.offset, error))?;
                        self.records += 1;
                    }
                }
            }
            self.end = next;
        }
        Ok(())
    }
}
