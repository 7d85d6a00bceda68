//! `__consumer_offsets` in memory, with a leader epoch and a high watermark the test moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use highwater_coordinator_runtime::{Committed, PartitionWriter};
use highwater_env::lock::Mutex;
use highwater_records::BatchHeader;
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use tokio::sync::watch;

/// All partitions.
#[derive(Default)]
pub struct MemoryLog {
    partitions: Mutex<BTreeMap<PartitionIndex, Partition>>,
    /// Commits whatever is appended at once.
    auto_commit: Mutex<bool>,
}

struct Partition {
    epoch: Option<LeaderEpoch>,
    batches: Vec<(Offset, Bytes)>,
    end: Offset,
    refuse: Option<ErrorCode>,
    /// High watermark, leader epoch and how often the lease lapsed, for those who wait.
    state: watch::Sender<(Offset, Option<LeaderEpoch>, usize)>,
    has_no_lease: bool,
    reads: usize,
}

impl Default for Partition {
    fn default() -> Self {
        let state = watch::Sender::new((Offset::ZERO, None, 0));
        let (batches, end) = (Vec::new(), Offset::ZERO);
        Self { epoch: None, batches, end, refuse: None, state, has_no_lease: false, reads: 0 }
    }
}

impl Partition {
    /// Whether this broker may serve as leader in `epoch`.
    fn serves(&self, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        let serves = self.epoch == Some(epoch) && !self.has_no_lease;
        if serves { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
    }
}

impl MemoryLog {
    pub fn new(auto_commit: bool) -> Arc<Self> {
        Arc::new(Self { partitions: Mutex::default(), auto_commit: Mutex::new(auto_commit) })
    }

    fn with<R>(&self, partition: PartitionIndex, act: impl FnOnce(&mut Partition) -> R) -> R {
        act(self.partitions.lock().entry(partition).or_default())
    }

    /// This broker leads the partition in `epoch`, or does not.
    pub fn set_leader(&self, partition: PartitionIndex, epoch: Option<LeaderEpoch>) {
        self.with(partition, |log| {
            log.epoch = epoch;
            log.state.send_modify(|state| state.1 = epoch);
        });
    }

    /// The broker's lease lapses: who waits is turned away, and nothing is served though the leadership stays.
    pub fn lapse(&self, partition: PartitionIndex) {
        self.with(partition, |log| {
            log.has_no_lease = true;
            log.state.send_modify(|state| state.2 += 1);
        });
    }

    /// The lease is granted again.
    pub fn renew(&self, partition: PartitionIndex) {
        self.with(partition, |log| log.has_no_lease = false);
    }

    /// Commits everything appended.
    pub fn commit_all(&self, partition: PartitionIndex) {
        self.with(partition, |log| log.state.send_modify(|state| state.0 = log.end));
    }

    pub fn set_auto_commit(&self, on: bool) {
        *self.auto_commit.lock() = on;
    }

    /// The next append fails.
    pub fn refuse_next(&self, partition: PartitionIndex, error: ErrorCode) {
        self.with(partition, |log| log.refuse = Some(error));
    }

    pub fn end(&self, partition: PartitionIndex) -> Offset {
        self.with(partition, |log| log.end)
    }

    pub fn reads(&self, partition: PartitionIndex) -> usize {
        self.with(partition, |log| log.reads)
    }

    /// Drops what is not committed, as a new leader without it would.
    pub fn truncate_to_high_watermark(&self, partition: PartitionIndex) {
        self.with(partition, |log| {
            let high_watermark = log.state.borrow().0;
            log.batches.retain(|(base, _)| *base < high_watermark);
            log.end = high_watermark;
        });
    }
}

impl PartitionWriter for MemoryLog {
    fn append(&self, partition: PartitionIndex, epoch: LeaderEpoch, batch: Bytes) -> Result<Committed, ErrorCode> {
        let auto_commit = *self.auto_commit.lock();
        self.with(partition, |log| {
            log.serves(epoch)?;
            if let Some(error) = log.refuse.take() {
                return Err(error);
            }
            let header = BatchHeader::parse(&batch).expect("a whole batch");
            assert_eq!(header.size_in_bytes(), batch.len(), "exactly one batch");
            // Base offset and leader epoch stand before what the checksum covers.
            let mut placed = BytesMut::from(batch.as_ref());
            placed[..8].copy_from_slice(&log.end.0.to_be_bytes());
            placed[12..16].copy_from_slice(&epoch.0.to_be_bytes());
            log.batches.push((log.end, placed.freeze()));
            log.end = log.end.plus(i64::from(header.record_count));
            let (end, mut state, lapses) = (log.end, log.state.subscribe(), log.state.borrow().2);
            if auto_commit {
                log.state.send_modify(|state| state.0 = end);
            }
            let committed = async move {
                let decided = |(hw, leader, lapsed): &(Offset, Option<LeaderEpoch>, usize)| {
                    *hw >= end || *leader != Some(epoch) || *lapsed != lapses
                };
                let passed = state.wait_for(decided).await;
                let high_watermark = passed.map_err(|_| ErrorCode::NotLeaderOrFollower)?.0;
                if high_watermark >= end { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
            };
            Ok(Box::pin(committed) as Committed)
        })
    }

    fn has_lease(&self) -> bool {
        !self.partitions.lock().values().any(|log| log.has_no_lease)
    }

    fn is_committed(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> Result<bool, ErrorCode> {
        self.with(partition, |log| log.serves(epoch).map(|()| log.state.borrow().0 >= log.end))
    }

    fn read(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        from: Offset,
        max_bytes: usize,
    ) -> Result<(Vec<Bytes>, Offset), ErrorCode> {
        self.with(partition, |log| {
            log.serves(epoch)?;
            log.reads += 1;
            let first = log.batches.partition_point(|(base, _)| *base <= from).saturating_sub(1);
            let mut bytes = BytesMut::new();
            for (_, batch) in log.batches[first.min(log.batches.len())..].iter().filter(|_| from < log.end) {
                if !bytes.is_empty() && bytes.len() + batch.len() > max_bytes {
                    break;
                }
                bytes.extend_from_slice(batch);
            }
            Ok((vec![bytes.freeze()], log.state.borrow().0))
        })
    }

    fn log_range(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> Option<(Offset, Offset)> {
        self.with(partition, |log| (log.epoch == Some(epoch)).then_some((Offset::ZERO, log.end)))
    }
}
