//! What a history says, put in order: each send with its fate, each place with what was read there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

use crate::event::{Event, Isolation, Key, Operation, Outcome, Poll, Process, Send, TransactionId};

/// A send from its invocation to what became of it.
#[derive(Debug)]
pub struct SendFacts {
    pub process: Process,
    pub transaction: Option<TransactionId>,
    /// Index of its invocation.
    pub invoked: u64,
    /// `None`: the history ends before an outcome.
    pub outcome: Option<Outcome>,
    /// What the acknowledgement said.
    pub acknowledged: Option<i64>,
    /// Highest offset of the partition that anybody knew of when it was invoked.
    pub known_before: Option<i64>,
}

/// When a value was first read at an offset.
#[derive(Debug, Default)]
pub struct ReadFacts {
    pub first: Option<u64>,
    pub first_committed: Option<u64>,
    /// The final read found it.
    pub finally: bool,
}

/// What became of a transaction.
#[derive(Debug, Default)]
pub struct TransactionFacts {
    pub commit_invoked: Option<u64>,
    pub abort_invoked: Option<u64>,
    pub commit: Option<Outcome>,
    /// Somebody read one of its records with `read_committed`.
    pub was_read: bool,
}

impl TransactionFacts {
    /// It took effect, or something of it was seen that must not be seen before.
    pub fn is_committed(&self) -> bool {
        self.commit == Some(Outcome::Ok)
            || (self.commit_invoked.is_some() && self.commit != Some(Outcome::Fail) && self.was_read)
    }

    /// It can never take effect.
    pub fn is_aborted(&self) -> bool {
        self.commit == Some(Outcome::Fail) || (self.abort_invoked.is_some() && self.commit_invoked.is_none())
    }
}

/// One partition.
#[derive(Debug, Default)]
pub struct Partition {
    /// By value.
    pub sends: BTreeMap<u64, SendFacts>,
    /// By value and offset.
    pub reads: BTreeMap<u64, BTreeMap<i64, ReadFacts>>,
    /// Offsets that a `read_committed`, or only a `read_uncommitted` consumer must see.
    pub visible: BTreeMap<i64, Isolation>,
    /// Highest offset that the final read found.
    pub final_end: Option<i64>,
}

impl Partition {
    /// Where a value is, as far as anybody knows.
    pub fn offset_of(&self, value: u64) -> Option<i64> {
        let acknowledged = self.sends.get(&value).and_then(|send| send.acknowledged);
        acknowledged.or_else(|| self.reads.get(&value)?.keys().next().copied())
    }

    /// Whether the final read found the value.
    pub fn is_finally_there(&self, value: u64) -> bool {
        self.reads.get(&value).is_some_and(|places| places.values().any(|read| read.finally))
    }

    /// Whether anybody read the value.
    pub fn was_read(&self, value: u64) -> bool {
        self.reads.contains_key(&value)
    }
}

/// The whole history.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    pub partitions: BTreeMap<&'a Key, Partition>,
    pub transactions: BTreeMap<TransactionId, TransactionFacts>,
    /// `(index, process, poll)` in their order.
    pub polls: Vec<(u64, Process, &'a Poll)>,
    /// `(index, process, partition)` in their order.
    pub seeks: Vec<(u64, Process, &'a Key)>,
    /// ListOffsets: `(partition, offset, smallest offset that it could give)`.
    pub ends: Vec<(&'a Key, i64, i64)>,
    /// Faults that were planned and not seen to be there.
    pub missing_faults: Vec<&'a str>,
    pub has_final_read: bool,
    /// Acknowledged sends.
    pub acknowledged: usize,
}

/// The walk over the events.
#[derive(Default)]
struct Walk<'a> {
    facts: Facts<'a>,
    /// Highest offset that anybody knows to exist.
    known: BTreeMap<&'a Key, i64>,
    ends_asked: BTreeMap<(Process, &'a Key), i64>,
    highest_end: BTreeMap<&'a Key, i64>,
}

impl<'a> Facts<'a> {
    /// Orders a history.
    ///
    /// # Errors
    /// When it is none: an outcome without an invocation, or a value that is sent twice.
    pub fn of(events: &'a [Event]) -> Result<Self> {
        let mut walk = Walk::default();
        for (position, event) in events.iter().enumerate() {
            ensure!(event.index == position as u64, "event {position} has index {}", event.index);
            walk.take(event)?;
        }
        let mut facts = walk.facts;
        facts.mark_read_transactions();
        facts.mark_visible();
        Ok(facts)
    }

    /// Whether the send is known to have happened.
    pub fn happened(&self, partition: &Partition, value: u64, send: &SendFacts) -> bool {
        let seen =
            send.outcome == Some(Outcome::Ok) || (send.outcome != Some(Outcome::Fail) && partition.was_read(value));
        let committed =
            send.transaction.is_none_or(|id| self.transactions.get(&id).is_some_and(TransactionFacts::is_committed));
        seen && committed
    }

    fn mark_read_transactions(&mut self) {
        for partition in self.partitions.values() {
            for (value, places) in &partition.reads {
                let id = partition.sends.get(value).and_then(|send| send.transaction);
                if let Some(id) = id.filter(|_| places.values().any(|read| read.first_committed.is_some())) {
                    self.transactions.entry(id).or_default().was_read = true;
                }
            }
        }
    }

    fn mark_visible(&mut self) {
        let transactions = &self.transactions;
        for partition in self.partitions.values_mut() {
            let mut visible = BTreeMap::new();
            for (value, send) in &partition.sends {
                let committed =
                    send.transaction.is_none_or(|id| transactions.get(&id).is_some_and(TransactionFacts::is_committed));
                let to = if committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
                let read = partition.reads.get(value).into_iter().flat_map(BTreeMap::keys);
                visible.extend(read.chain(&send.acknowledged).map(|offset| (*offset, to)));
            }
            partition.visible = visible;
        }
    }
}

impl<'a> Walk<'a> {
    fn take(&mut self, event: &'a Event) -> Result<()> {
        match &event.operation {
            Operation::Send(send) => self.send(event, send)?,
            Operation::Poll(poll) if event.outcome == Outcome::Ok => self.poll(event, poll),
            Operation::Poll(_) => {}
            Operation::Seek(key) => self.facts.seeks.push((event.index, event.process, key)),
            Operation::End { key, offset } => self.end(event, key, *offset)?,
            Operation::Commit(id) => {
                let transaction = self.facts.transactions.entry(*id).or_default();
                match event.outcome {
                    Outcome::Invoke => transaction.commit_invoked = Some(event.index),
                    outcome => transaction.commit = Some(outcome),
                }
            }
            Operation::Abort(id) => {
                let transaction = self.facts.transactions.entry(*id).or_default();
                transaction.abort_invoked.get_or_insert(event.index);
            }
            Operation::Fault(name) => match event.outcome {
                Outcome::Invoke => self.facts.missing_faults.push(name),
                Outcome::Ok => self.facts.missing_faults.retain(|missing| missing != name),
                Outcome::Fail | Outcome::Info => {}
            },
        }
        Ok(())
    }

    fn send(&mut self, event: &'a Event, send: &'a Send) -> Result<()> {
        let known = self.known.get(&send.key).copied();
        let partition = self.facts.partitions.entry(&send.key).or_default();
        if event.outcome == Outcome::Invoke {
            let (process, transaction) = (event.process, send.transaction);
            let fresh = SendFacts {
                process,
                transaction,
                invoked: event.index,
                outcome: None,
                acknowledged: None,
                known_before: known,
            };
            let before = partition.sends.insert(send.value, fresh);
            ensure!(before.is_none(), "event {}: {} is sent twice to {}", event.index, send.value, send.key);
            return Ok(());
        }
        let Some(facts) = partition.sends.get_mut(&send.value).filter(|facts| facts.outcome.is_none()) else {
            bail!("event {}: the outcome of a send that is not under way", event.index);
        };
        facts.outcome = Some(event.outcome);
        if event.outcome == Outcome::Ok {
            facts.acknowledged = send.offset;
            self.facts.acknowledged += 1;
            self.knows(&send.key, send.offset);
        }
        Ok(())
    }

    fn poll(&mut self, event: &'a Event, poll: &'a Poll) {
        self.facts.polls.push((event.index, event.process, poll));
        self.facts.has_final_read |= poll.is_final;
        for record in &poll.records {
            let partition = self.facts.partitions.entry(&record.key).or_default();
            let read = partition.reads.entry(record.value).or_default().entry(record.offset).or_default();
            read.first.get_or_insert(event.index);
            if poll.isolation == Isolation::ReadCommitted {
                read.first_committed.get_or_insert(event.index);
            }
            if poll.is_final {
                read.finally = true;
                partition.final_end = partition.final_end.max(Some(record.offset));
            }
            self.knows(&record.key, Some(record.offset));
        }
    }

    fn end(&mut self, event: &'a Event, key: &'a Key, offset: Option<i64>) -> Result<()> {
        if event.outcome == Outcome::Invoke {
            let known = self.known.get(key).map_or(0, |offset| offset + 1);
            let least = known.max(self.highest_end.get(key).copied().unwrap_or(0));
            self.ends_asked.insert((event.process, key), least);
            return Ok(());
        }
        let Some(least) = self.ends_asked.remove(&(event.process, key)) else {
            bail!("event {}: the outcome of a ListOffsets that is not under way", event.index);
        };
        if let (Outcome::Ok, Some(offset)) = (event.outcome, offset) {
            self.facts.ends.push((key, offset, least));
            let highest = self.highest_end.entry(key).or_insert(offset);
            *highest = offset.max(*highest);
        }
        Ok(())
    }

    fn knows(&mut self, key: &'a Key, offset: Option<i64>) {
        if let Some(offset) = offset {
            let known = self.known.entry(key).or_insert(offset);
            *known = offset.max(*known);
        }
    }
}

/// The values at each offset, from reads and acknowledgements.
pub fn values_by_offset(partition: &Partition) -> BTreeMap<i64, BTreeSet<u64>> {
    let mut places: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    for (value, at) in &partition.reads {
        for offset in at.keys() {
            places.entry(*offset).or_default().insert(*value);
        }
    }
    for (value, send) in &partition.sends {
        if let Some(offset) = send.acknowledged {
            places.entry(offset).or_default().insert(*value);
        }
    }
    places
}
