//! The history of a run, and which node acknowledged what.

use std::sync::{Arc, Mutex, PoisonError};

use highwater_history::{Key, Operation, Outcome, Process, Recorder, Send};
use highwater_types::{Offset, PartitionIndex};

/// An acknowledgement by a node.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    pub partition: PartitionIndex,
    pub offset: Offset,
    /// Which node answered (0-based).
    pub node: usize,
}

/// The history of one run. Clones share it.
#[derive(Debug, Clone)]
pub struct History {
    pub recorder: Recorder,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
}

impl History {
    /// An empty one, in virtual time.
    pub fn new() -> Self {
        let clock =
            || turmoil::sim_elapsed().map_or(0, |elapsed| u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
        Self { recorder: Recorder::new(Box::new(clock)), acknowledged: Arc::default() }
    }

    /// A send was acknowledged by a node.
    pub fn acknowledged(&self, process: Process, send: Send, acknowledged: Acknowledged) {
        let send = Send { offset: Some(acknowledged.offset.0), ..send };
        self.recorder.record(process, Outcome::Ok, Operation::Send(send));
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(acknowledged);
    }

    /// How many acknowledgements there were.
    pub fn acknowledgements(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The acknowledgements from `from` on.
    pub fn acknowledgements_since(&self, from: usize) -> Vec<Acknowledged> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)[from..].to_vec()
    }
}

/// The partition's name in a history.
pub fn key(topic: &str, partition: i32) -> Key {
    Key { topic: topic.into(), partition }
}

/// `(sends, acknowledgements, records read)`.
pub fn counts(events: &[highwater_history::Event]) -> (usize, usize, usize) {
    let (mut sends, mut acknowledged, mut read) = (0, 0, 0);
    for event in events {
        match (&event.operation, event.outcome) {
            (Operation::Send(_), Outcome::Invoke) => sends += 1,
            (Operation::Send(_), Outcome::Ok) => acknowledged += 1,
            (Operation::Poll(poll), _) => read += poll.records.len(),
            _ => {}
        }
    }
    (sends, acknowledged, read)
}
