//! Histories of a cluster that makes no mistake: logs in memory, clients that take random steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use highwater_history::{
    Event, Isolation, Key, Operation, Outcome, Poll, Process, Record, Recorder, Send, TransactionId,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

const PARTITIONS: i32 = 3;
const STEPS: usize = 400;

pub fn key(partition: i32) -> Key {
    Key { topic: "t".into(), partition }
}

/// What a partition holds at an offset; markers of transactions hold none.
struct Entry {
    offset: i64,
    value: u64,
    transaction: Option<TransactionId>,
}

/// A transaction under way: its records, and which partitions it wrote to.
struct Open {
    id: TransactionId,
    process: Process,
    partitions: BTreeSet<i32>,
}

struct Cluster {
    rng: SmallRng,
    history: Recorder,
    logs: BTreeMap<i32, Vec<Entry>>,
    ends: BTreeMap<i32, i64>,
    aborted: BTreeSet<TransactionId>,
    committed: BTreeSet<TransactionId>,
    open: Vec<Open>,
    next_value: u64,
    next_transaction: u64,
}

/// The history of a seed.
pub fn history(seed: u64) -> Vec<Event> {
    let time = AtomicU64::new(0);
    let history = Recorder::new(Box::new(move || time.fetch_add(1000, Ordering::Relaxed)));
    let mut cluster = Cluster {
        rng: SmallRng::seed_from_u64(seed),
        history,
        logs: BTreeMap::new(),
        ends: BTreeMap::new(),
        aborted: BTreeSet::new(),
        committed: BTreeSet::new(),
        open: Vec::new(),
        next_value: 1,
        next_transaction: 1,
    };
    cluster.run();
    cluster.history.events()
}

/// A consumer and how far it is.
struct Consumer {
    process: Process,
    isolation: Isolation,
    positions: BTreeMap<i32, i64>,
}

impl Cluster {
    fn run(&mut self) {
        let mut producers: Vec<Process> = (0..3).map(|_| self.history.process()).collect();
        let mut consumers: Vec<Consumer> =
            [Isolation::ReadCommitted, Isolation::ReadUncommitted].map(|isolation| self.consumer(isolation)).into();
        let driver = self.history.process();
        self.history.record(driver, Outcome::Invoke, Operation::Fault("a cut".to_owned()));
        self.history.record(driver, Outcome::Ok, Operation::Fault("a cut".to_owned()));
        for _ in 0..STEPS {
            let partition = self.rng.random_range(0..PARTITIONS);
            match self.rng.random_range(0..10) {
                0..4 => {
                    let producer = self.rng.random_range(0..producers.len());
                    producers[producer] = self.send_plain(producers[producer], partition);
                }
                4..6 => self.step_transaction(partition),
                6..9 => {
                    let consumer = self.rng.random_range(0..consumers.len());
                    self.poll(&mut consumers[consumer], partition, false);
                }
                _ => self.end(driver, partition),
            }
        }
        while let Some(open) = self.open.pop() {
            self.finish(open);
        }
        let mut reader = self.consumer(Isolation::ReadCommitted);
        for partition in 0..PARTITIONS {
            while self.poll(&mut reader, partition, true) {}
            self.end(driver, partition);
        }
    }

    fn consumer(&self, isolation: Isolation) -> Consumer {
        Consumer { process: self.history.process(), isolation, positions: BTreeMap::new() }
    }

    fn append(&mut self, partition: i32, value: u64, transaction: Option<TransactionId>) -> i64 {
        let end = self.ends.entry(partition).or_insert(0);
        let offset = *end;
        *end += 1;
        self.logs.entry(partition).or_default().push(Entry { offset, value, transaction });
        offset
    }

    fn invoke(&mut self, process: Process, partition: i32, transaction: Option<TransactionId>) -> Send {
        let value = self.next_value;
        self.next_value += 1;
        let send = Send { key: key(partition), value, offset: None, transaction };
        self.history.record(process, Outcome::Invoke, Operation::Send(send.clone()));
        send
    }

    /// Sends one record; after an unknown outcome the producer is another process.
    fn send_plain(&mut self, process: Process, partition: i32) -> Process {
        let send = self.invoke(process, partition, None);
        let done = |offset, outcome: Outcome| (outcome, Operation::Send(Send { offset, ..send.clone() }));
        let (outcome, operation) = match self.rng.random_range(0..10) {
            0 => done(None, Outcome::Fail),
            1 => done(None, Outcome::Info),
            2 => {
                self.append(partition, send.value, None);
                done(None, Outcome::Info)
            }
            _ => done(Some(self.append(partition, send.value, None)), Outcome::Ok),
        };
        self.history.record(process, outcome, operation);
        if outcome == Outcome::Info { self.history.process() } else { process }
    }

    /// Begins a transaction, adds to one, or ends one.
    fn step_transaction(&mut self, partition: i32) {
        if self.open.len() < 2 && self.rng.random_bool(0.4) {
            let id = TransactionId(self.next_transaction);
            self.next_transaction += 1;
            self.open.push(Open { id, process: self.history.process(), partitions: BTreeSet::new() });
            return;
        }
        if self.open.is_empty() {
            return;
        }
        let chosen = self.rng.random_range(0..self.open.len());
        if self.rng.random_bool(0.3) {
            let open = self.open.remove(chosen);
            return self.finish(open);
        }
        let (id, process) = (self.open[chosen].id, self.open[chosen].process);
        let send = self.invoke(process, partition, Some(id));
        let offset = Some(self.append(partition, send.value, Some(id)));
        self.history.record(process, Outcome::Ok, Operation::Send(Send { offset, ..send }));
        self.open[chosen].partitions.insert(partition);
    }

    fn finish(&mut self, open: Open) {
        let commits = self.rng.random_bool(0.6);
        let operation = if commits { Operation::Commit(open.id) } else { Operation::Abort(open.id) };
        self.history.record(open.process, Outcome::Invoke, operation.clone());
        let known = self.rng.random_bool(0.8);
        // A commit of which nobody heard may have been too late.
        if commits && (known || self.rng.random_bool(0.5)) {
            self.committed.insert(open.id);
        } else {
            self.aborted.insert(open.id);
        }
        for partition in &open.partitions {
            *self.ends.entry(*partition).or_insert(0) += 1;
        }
        self.history.record(open.process, if known { Outcome::Ok } else { Outcome::Info }, operation);
    }

    /// Reads a few records; whether there were any.
    fn poll(&mut self, consumer: &mut Consumer, partition: i32, is_final: bool) -> bool {
        let from = consumer.positions.get(&partition).copied().unwrap_or(0);
        let (open, committed) = (&self.open, consumer.isolation == Isolation::ReadCommitted);
        let log = self.logs.entry(partition).or_default();
        let is_open = |entry: &&Entry| open.iter().any(|open| Some(open.id) == entry.transaction);
        let stable = log.iter().find(|entry| committed && is_open(entry)).map_or(i64::MAX, |entry| entry.offset);
        let is_aborted = |entry: &Entry| entry.transaction.is_some_and(|id| self.aborted.contains(&id));
        let entries = log.iter().filter(|entry| entry.offset >= from && entry.offset < stable);
        let entries = entries.filter(|entry| !(committed && is_aborted(entry)));
        let records: Vec<Record> = entries
            .take(self.rng.random_range(1..6))
            .map(|entry| Record { key: key(partition), offset: entry.offset, value: entry.value })
            .collect();
        let Some(last) = records.last() else {
            if is_final {
                let poll = Poll { records, isolation: consumer.isolation, transaction: None, is_final };
                self.history.record(consumer.process, Outcome::Ok, Operation::Poll(poll));
            }
            return false;
        };
        consumer.positions.insert(partition, last.offset + 1);
        let poll = Poll { records, isolation: consumer.isolation, transaction: None, is_final };
        self.history.record(consumer.process, Outcome::Ok, Operation::Poll(poll));
        true
    }

    fn end(&mut self, process: Process, partition: i32) {
        let (key, offset) = (key(partition), self.ends.get(&partition).copied().unwrap_or(0));
        self.history.record(process, Outcome::Invoke, Operation::End { key: key.clone(), offset: None });
        self.history.record(process, Outcome::Ok, Operation::End { key, offset: Some(offset) });
    }
}
