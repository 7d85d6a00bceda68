//! Reading as leader or in-sync follower, from the published snapshot: no partition lock on the way of a fetch.

use std::cmp::Reverse;
use std::io::ErrorKind;
use std::sync::Arc;

use highwater_log::{LogReader, ReadError, TimestampOffset};
use highwater_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, Timestamp};

use crate::partition::{Partition, State};
use crate::snapshot::Snapshot;
use crate::{DivergingEpoch, FetchError, FetchRead, FetchResult, Isolation, ListedOffset, OffsetSpec};

impl Partition {
    /// Reads for a consumer.
    pub fn read(self: &Arc<Self>, read: &FetchRead) -> Result<FetchResult, FetchError> {
        let snapshot = self.snapshot();
        if read.from_follower {
            snapshot.check_reader(read.current_leader_epoch)?;
        } else {
            snapshot.check_leader(read.current_leader_epoch)?;
        }
        self.check_lease()?;
        if let Some(diverging) = self.diverging(read, &snapshot)? {
            return Ok(FetchResult { diverging: Some(diverging), ..empty(&snapshot, read.isolation) });
        }
        let up_to = limit(&snapshot, read.isolation);
        let (from, max_bytes, min_one) = (read.offset, read.max_bytes, read.min_one_batch);
        if from == snapshot.log_end {
            // Consumers that have read all wait here. For them no log is opened.
            return Ok(empty(&snapshot, read.isolation));
        }
        let found = self.look(|reader| match read.isolation {
            Isolation::ReadUncommitted => reader.read(from, up_to, max_bytes, min_one).map(|read| (read, None)),
            Isolation::ReadCommitted => {
                let found = reader.read_committed(from, up_to, max_bytes, min_one);
                found.map(|(read, aborted)| (read, Some(aborted)))
            }
        })?;
        let (found, aborted) = found.map_err(|error| self.on_read_error(error, &snapshot))?;
        // M9, once more: the read may have taken long, and the lease may have lapsed meanwhile.
        self.check_lease()?;
        if snapshot.in_sync_follower && !self.snapshot().is_same_following(&snapshot) {
            // Another leader may have had the log cut meanwhile, and have continued it.
            return Err(self.snapshot().refuse(ErrorCode::NotLeaderOrFollower));
        }
        let (records, size_bytes) = (found.batches, found.size);
        Ok(FetchResult { records, size_bytes, aborted, ..empty(&snapshot, read.isolation) })
    }

    /// As leader: the in-sync follower among `candidates` that a client should read from instead, with the positions and no
    /// records; `None` if none of them holds what the client asks for.
    pub fn redirect(
        self: &Arc<Self>,
        read: &FetchRead,
        candidates: &[BrokerId],
    ) -> Result<Option<FetchResult>, FetchError> {
        let snapshot = self.check(read.current_leader_epoch)?;
        if read.offset < snapshot.log_start {
            return Ok(None);
        }
        let best = self.locked(|state, _| state.best_follower(candidates, read.offset));
        Ok(best.map(|id| FetchResult { preferred_read_replica: id, ..empty(&snapshot, read.isolation) }))
    }

    /// Answers ListOffsets.
    pub fn list_offset(
        self: &Arc<Self>,
        spec: OffsetSpec,
        current_leader_epoch: LeaderEpoch,
        isolation: Isolation,
    ) -> Result<ListedOffset, FetchError> {
        let snapshot = self.check(current_leader_epoch)?;
        let by_time = |found: Result<Option<TimestampOffset>, ReadError>| {
            let found = found.map_err(|error| self.on_read_error(error, &snapshot))?;
            self.visible(found, &snapshot, isolation)
        };
        match spec {
            OffsetSpec::Latest => {
                let offset = self.exposed(&snapshot, isolation)?;
                Ok(ListedOffset { offset, timestamp: Timestamp::NONE, leader_epoch: snapshot.leader_epoch })
            }
            OffsetSpec::Earliest | OffsetSpec::EarliestLocal => {
                let leader_epoch = self.with_log(|log, _| log.epoch_of(log.log_start())).unwrap_or(LeaderEpoch::NONE);
                Ok(ListedOffset { offset: snapshot.log_start, timestamp: Timestamp::NONE, leader_epoch })
            }
            OffsetSpec::LatestTiered => Ok(ListedOffset::NOT_FOUND),
            OffsetSpec::MaxTimestamp => by_time(self.look(LogReader::max_timestamp)?),
            OffsetSpec::Timestamp(timestamp) => by_time(self.look(|reader| reader.offset_for_timestamp(timestamp))?),
        }
    }

    /// Answers OffsetForLeaderEpoch.
    pub fn offset_for_leader_epoch(
        self: &Arc<Self>,
        current_leader_epoch: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<(LeaderEpoch, Offset), FetchError> {
        self.check(current_leader_epoch)?;
        let found = self.locked(|state, aftermath| state.epoch_end(self, epoch, aftermath));
        found.ok_or_else(|| FetchError::new(ErrorCode::KafkaStorageError))
    }

    /// Looks into the log: once more, if it was moved to another directory meanwhile and its files are not where they were.
    fn look<T>(
        self: &Arc<Self>,
        look: impl Fn(&LogReader) -> Result<T, ReadError>,
    ) -> Result<Result<T, ReadError>, FetchError> {
        let reader = self.reader().map_err(FetchError::new)?;
        let found = look(&reader);
        let now = match &found {
            Err(ReadError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => self.reader(),
            _ => return Ok(found),
        };
        match now.map_err(FetchError::new)? {
            now if Arc::ptr_eq(&now, &reader) => Ok(found),
            now => Ok(look(&now)),
        }
    }

    fn check(&self, current_leader_epoch: LeaderEpoch) -> Result<Snapshot, FetchError> {
        let snapshot = self.snapshot();
        snapshot.check_leader(current_leader_epoch)?;
        self.check_lease()?;
        Ok(snapshot)
    }

    fn check_lease(&self) -> Result<(), FetchError> {
        if self.host.lease.is_valid() { Ok(()) } else { Err(FetchError::new(ErrorCode::NotLeaderOrFollower)) }
    }

    /// Whether the client's log ends, in its last epoch, beyond where that epoch ends here (KIP-595).
    fn diverging(
        self: &Arc<Self>,
        read: &FetchRead,
        snapshot: &Snapshot,
    ) -> Result<Option<DivergingEpoch>, FetchError> {
        if read.last_fetched_epoch == LeaderEpoch::NONE {
            return Ok(None);
        }
        let found = self.locked(|state, aftermath| state.epoch_end(self, read.last_fetched_epoch, aftermath));
        let (epoch, end_offset) = found.ok_or_else(|| FetchError::new(ErrorCode::KafkaStorageError))?;
        let diverges = epoch < read.last_fetched_epoch || end_offset < read.offset;
        if diverges && snapshot.in_sync_follower {
            // It may only be that this replica does not have the client's last record yet.
            return Err(snapshot.refuse(ErrorCode::OffsetNotAvailable));
        }
        if epoch == LeaderEpoch::NONE {
            return Err(out_of_range(snapshot));
        }
        Ok(diverges.then_some(DivergingEpoch { epoch, end_offset }))
    }

    /// The offset after the last record that the client may see. A new leader whose high watermark is below its epoch's
    /// start cannot tell: an earlier leader may have told more (KIP-207).
    fn exposed(&self, snapshot: &Snapshot, isolation: Isolation) -> Result<Offset, FetchError> {
        if snapshot.exposed {
            Ok(limit(snapshot, isolation))
        } else {
            Err(snapshot.refuse(ErrorCode::OffsetNotAvailable))
        }
    }

    /// A record that was found by its time, if the client may see it already.
    fn visible(
        &self,
        found: Option<TimestampOffset>,
        snapshot: &Snapshot,
        isolation: Isolation,
    ) -> Result<ListedOffset, FetchError> {
        match found {
            Some(TimestampOffset { offset, timestamp, leader_epoch }) if offset < limit(snapshot, isolation) => {
                Ok(ListedOffset { offset, timestamp, leader_epoch })
            }
            _ => self.exposed(snapshot, isolation).map(|_| ListedOffset::NOT_FOUND),
        }
    }

    fn on_read_error(self: &Arc<Self>, error: ReadError, snapshot: &Snapshot) -> FetchError {
        match error {
            ReadError::OutOfRange { .. } => out_of_range(snapshot),
            error => {
                tracing::error!(partition = %self.name, %error, "read failed");
                self.note_read_error(&error);
                FetchError::new(error.code())
            }
        }
    }
}

impl State {
    /// Of these, the in-sync follower that can serve `offset` and has most of the log.
    fn best_follower(&self, candidates: &[BrokerId], offset: Offset) -> Option<BrokerId> {
        let isr = self.replica.isr()?.committed();
        let slot_of = |id: BrokerId| self.followers.iter().find(|slot| slot.stream.replica == id);
        let able = self.replica.follower_ends().filter_map(|(id, end)| {
            let is_in_sync = candidates.contains(&id) && isr.contains(&id);
            let slot = slot_of(id).filter(|slot| is_in_sync && slot.first_offset() <= offset && offset <= end)?;
            Some((end, Reverse(id), slot))
        });
        let (_, Reverse(id), slot) = able.max_by_key(|&(end, id, _)| (end, id))?;
        slot.on_readers();
        Some(id)
    }
}

fn limit(snapshot: &Snapshot, isolation: Isolation) -> Offset {
    match isolation {
        Isolation::ReadUncommitted => snapshot.high_watermark,
        Isolation::ReadCommitted => snapshot.last_stable_offset,
    }
}

fn out_of_range(snapshot: &Snapshot) -> FetchError {
    FetchError {
        log_start: snapshot.log_start,
        high_watermark: snapshot.high_watermark,
        ..FetchError::new(ErrorCode::OffsetOutOfRange)
    }
}

/// The positions, and no records.
fn empty(snapshot: &Snapshot, isolation: Isolation) -> FetchResult {
    FetchResult {
        high_watermark: snapshot.high_watermark,
        last_stable_offset: snapshot.last_stable_offset,
        log_start: snapshot.log_start,
        records: Vec::new(),
        aborted: (isolation == Isolation::ReadCommitted).then(Vec::new),
        size_bytes: 0,
        diverging: None,
        preferred_read_replica: BrokerId::NONE,
    }
}
