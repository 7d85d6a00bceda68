//! What clients saw: every send, every acknowledgement, every record read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail, ensure};
use highwater_types::{Offset, PartitionIndex};

/// An acknowledgement by a node.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub partition: PartitionIndex,
    pub offset: Offset,
    pub value: u64,
    /// Which node answered (0-based).
    pub node: usize,
}

/// The history of one run. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    sent: BTreeMap<u64, PartitionIndex>,
    acknowledged: Vec<Acknowledged>,
    /// By partition: offset -> value, over all reads of all consumers.
    read: BTreeMap<PartitionIndex, BTreeMap<Offset, u64>>,
    reads: usize,
    violation: Option<String>,
}

impl History {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A value is about to be sent. Values are unique in a run.
    pub fn sent(&self, partition: PartitionIndex, value: u64) {
        self.lock().sent.insert(value, partition);
    }

    /// A send was acknowledged.
    pub fn acknowledged(&self, acknowledged: Acknowledged) {
        self.lock().acknowledged.push(acknowledged);
    }

    /// A record was read below the high watermark. Two values at one offset are a violation whenever they are seen.
    pub fn read(&self, partition: PartitionIndex, offset: Offset, value: u64) {
        let mut state = self.lock();
        state.reads += 1;
        let before = state.read.entry(partition).or_default().insert(offset, value);
        if let Some(before) = before.filter(|before| *before != value) {
            state.violation =
                Some(format!("inconsistent: partition {partition} offset {offset} held {before}, then {value}"));
        }
        if state.sent.get(&value) != Some(&partition) {
            state.violation =
                Some(format!("phantom: partition {partition} offset {offset} holds {value}, never sent there"));
        }
    }

    /// The acknowledgements from `from` on.
    pub fn acknowledgements_since(&self, from: usize) -> Vec<Acknowledged> {
        self.lock().acknowledged[from..].to_vec()
    }

    /// `(sends, acknowledgements, reads)`.
    pub fn counts(&self) -> (usize, usize, usize) {
        let state = self.lock();
        (state.sent.len(), state.acknowledged.len(), state.reads)
    }

    /// What broke so far, if anything.
    pub fn violation(&self) -> Option<String> {
        self.lock().violation.clone()
    }

    /// After a complete final read: nothing acknowledged is lost, nothing stands twice, and every partition keeps the order
    /// in which each producer sent (values grow with time).
    pub fn check_complete(&self) -> Result<()> {
        let state = self.lock();
        if let Some(violation) = &state.violation {
            bail!("{violation}");
        }
        for Acknowledged { partition, offset, value, .. } in &state.acknowledged {
            let found = state.read.get(partition).and_then(|offsets| offsets.get(offset));
            ensure!(
                found == Some(value),
                "lost: {value} acknowledged at partition {partition} offset {offset}, read {found:?}"
            );
        }
        let mut places = BTreeMap::new();
        for (partition, offsets) in &state.read {
            for (offset, value) in offsets {
                if let Some(before) = places.insert(value, (partition, offset)) {
                    bail!("duplicate: {value} at {before:?} and at partition {partition} offset {offset}");
                }
            }
        }
        Ok(())
    }

    /// A digest of everything in the history, for the determinism test.
    pub fn digest(&self) -> u64 {
        let state = self.lock();
        let mut digest = 0xcbf2_9ce4_8422_2325_u64;
        let mut mix = |value: u64| digest = (digest ^ value).wrapping_mul(0x0100_0000_01b3);
        for Acknowledged { partition, offset, value, node } in &state.acknowledged {
            mix(partition.0 as u64);
            mix(offset.0 as u64);
            mix(*value);
            mix(*node as u64);
        }
        mix(state.sent.len() as u64);
        mix(state.reads as u64);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: PartitionIndex = PartitionIndex(0);

    fn history(acknowledged: &[(i64, u64)], read: &[(i64, u64)]) -> History {
        let history = History::default();
        for value in 0..10 {
            history.sent(P, value);
        }
        for &(offset, value) in acknowledged {
            history.acknowledged(Acknowledged { partition: P, offset: Offset(offset), value, node: 0 });
        }
        for &(offset, value) in read {
            history.read(P, Offset(offset), value);
        }
        history
    }

    #[test]
    fn a_complete_history_passes() {
        history(&[(0, 1), (1, 2)], &[(0, 1), (1, 2), (2, 3)]).check_complete().unwrap();
    }

    #[test]
    fn each_anomaly_is_found() {
        for (what, acknowledged, read) in [
            ("lost", vec![(0, 1), (1, 2)], vec![(0, 1)]),
            ("lost", vec![(0, 1)], vec![(0, 2)]),
            ("duplicate", vec![], vec![(0, 1), (1, 1)]),
            ("inconsistent", vec![], vec![(0, 1), (0, 2)]),
            ("phantom", vec![], vec![(0, 77)]),
        ] {
            let found = history(&acknowledged, &read).check_complete().unwrap_err().to_string();
            assert!(found.starts_with(what), "{what}: {found}");
        }
    }
}
