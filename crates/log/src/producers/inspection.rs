//! Producer state as `highwater log` shows and checks it.

use super::{Offset, ProducerEpoch, ProducerId, ProducerStates, Sequence, Timestamp};

/// A producer in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// Who.
    pub producer_id: ProducerId,
    /// Epoch of its newest batch.
    pub epoch: ProducerEpoch,
    /// Sequence of its last record, NONE if that epoch has none.
    pub last_sequence: Sequence,
    /// Offset of that record, NONE if there is none.
    pub last_offset: Offset,
    /// Largest timestamp of its newest batch.
    pub last_timestamp: Timestamp,
    /// Epoch of the coordinator that wrote its newest marker, -1 if none did.
    pub coordinator_epoch: i32,
    /// Base offset of its open transaction.
    pub open_transaction: Option<Offset>,
}

impl ProducerStates {
    /// The producers, by id.
    pub(crate) fn snapshot_entries(&self) -> Vec<SnapshotEntry> {
        let entries = self.entries.iter().map(|(&producer_id, entry)| SnapshotEntry {
            producer_id,
            epoch: entry.epoch,
            last_sequence: entry.last_sequence(),
            last_offset: entry.last_offsets().last().unwrap_or(Offset::NONE),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            open_transaction: entry.open_transaction,
        });
        entries.collect()
    }

    /// Where this, a snapshot, contradicts what the batches before it say. Producers may be missing in it, because they
    /// expire, and it may tell of producers whose batches are gone, but both must agree on those that both know, and no open
    /// transaction may be missing.
    pub(crate) fn contradictions(&self, by_batches: &Self) -> Vec<String> {
        let (here, there) = (self.snapshot_entries(), by_batches.snapshot_entries());
        let mut problems = Vec::new();
        for found in &here {
            let Some(expected) = there.iter().find(|expected| expected.producer_id == found.producer_id) else {
                if let Some(first) = found.open_transaction {
                    problems
                        .push(format!("producer {}: no batch of its open transaction at {first}", found.producer_id));
                }
                continue;
            };
            let id = found.producer_id;
            if found.epoch != expected.epoch {
                problems.push(format!("producer {id}: epoch {}, {} in the log", found.epoch, expected.epoch));
                continue;
            }
            let (snapshot, log) =
                ((found.last_sequence, found.last_offset), (expected.last_sequence, expected.last_offset));
            if snapshot != log && log.0 != Sequence::NONE {
                problems.push(format!(
                    "producer {id}: last sequence {} at {}, {} at {} in the log",
                    snapshot.0, snapshot.1, log.0, log.1
                ));
            }
            if found.open_transaction != expected.open_transaction {
                let text =
                    |open: Option<Offset>| open.map_or("none".to_owned(), |first| format!("one from {first} on"));
                let (snapshot, log) = (text(found.open_transaction), text(expected.open_transaction));
                problems.push(format!("producer {id}: open transaction: {snapshot}, {log} in the log"));
            }
        }
        for expected in
            there.iter().filter(|expected| here.iter().all(|found| found.producer_id != expected.producer_id))
        {
            if let Some(first) = expected.open_transaction {
                problems.push(format!(
                    "producer {}: its open transaction from {first} on is missing",
                    expected.producer_id
                ));
            }
        }
        problems
    }
}
