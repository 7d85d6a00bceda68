//! Ways to spoil a valid history. Each one makes it wrong, whatever it chooses; none where it finds nothing to choose.

use highwater_history::{Event, Isolation, Operation, Outcome, Poll, Record, Send, TransactionId};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;

type Spoil = fn(&[Event], &mut SmallRng) -> Option<Vec<Event>>;

pub const ALL: &[(&str, Spoil)] = &[
    ("an acknowledged record is nowhere", |events, rng| without(events, rng, |_| true)),
    ("the final read lacks an acknowledged record", |events, rng| without(events, rng, |poll| poll.is_final)),
    ("a value that was never sent is read", never_sent),
    ("a value stands at a second offset", second_offset),
    ("two values of a poll are exchanged", exchange_values),
    ("two records of a poll are exchanged", exchange_records),
    ("a record is given twice", twice),
    ("a consumer passes over a record", pass_over),
    ("a failed send is read", failed_send),
    ("an aborted record is read", aborted_record),
    ("a record is read before its commit", early_commit),
    ("a record is read before it is sent", early_read),
    ("an acknowledgement names another's offset", wrong_offset),
    ("two acknowledgements are exchanged", exchange_acknowledgements),
    ("the end goes back", end_goes_back),
    ("a transaction is there in part", torn),
    ("two transactions read each other", cycle),
    ("the final read ends early", ends_early),
];

fn polls(events: &[Event], wanted: impl Fn(&Poll) -> bool) -> Vec<usize> {
    let is_wanted = |event: &Event| matches!(&event.operation, Operation::Poll(poll) if wanted(poll));
    (0..events.len()).filter(|&index| is_wanted(&events[index])).collect()
}

fn poll_mut(event: &mut Event) -> &mut Poll {
    match &mut event.operation {
        Operation::Poll(poll) => poll,
        other => panic!("{other:?}"),
    }
}

fn send_of(event: &Event) -> Option<&Send> {
    match &event.operation {
        Operation::Send(send) => Some(send),
        _ => None,
    }
}

fn is_committed(events: &[Event], id: TransactionId) -> bool {
    events.iter().any(|event| event.outcome == Outcome::Ok && event.operation == Operation::Commit(id))
}

/// Acknowledged sends that took effect for sure.
fn certain(events: &[Event]) -> Vec<Send> {
    let acknowledged = events.iter().filter(|event| event.outcome == Outcome::Ok).filter_map(send_of);
    acknowledged.filter(|send| send.transaction.is_none_or(|id| is_committed(events, id))).cloned().collect()
}

fn is_record_of(record: &Record, send: &Send) -> bool {
    record.key == send.key && record.value == send.value
}

fn remove(events: &mut [Event], send: &Send, from: impl Fn(&Poll) -> bool) {
    for event in events {
        if let Operation::Poll(poll) = &mut event.operation
            && from(poll)
        {
            poll.records.retain(|record| !is_record_of(record, send));
        }
    }
}

fn without(events: &[Event], rng: &mut SmallRng, from: impl Fn(&Poll) -> bool) -> Option<Vec<Event>> {
    let mut changed = events.to_vec();
    let send = certain(events).choose(rng)?.clone();
    remove(&mut changed, &send, from);
    Some(changed)
}

fn change_poll(
    events: &[Event],
    rng: &mut SmallRng,
    wanted: impl Fn(&Poll) -> bool,
    change: impl FnOnce(&mut Vec<Record>, &mut SmallRng),
) -> Option<Vec<Event>> {
    let mut changed = events.to_vec();
    let chosen = *polls(events, wanted).choose(rng)?;
    change(&mut poll_mut(&mut changed[chosen]).records, rng);
    Some(changed)
}

fn never_sent(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    change_poll(
        events,
        rng,
        |poll| !poll.records.is_empty(),
        |records, rng| {
            let index = rng.random_range(0..records.len());
            records[index].value = 1_000_000;
        },
    )
}

fn second_offset(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    change_poll(
        events,
        rng,
        |poll| !poll.records.is_empty() && poll.is_final,
        |records, rng| {
            let mut again = records.choose(rng).expect("there are some").clone();
            again.offset = 1_000_000;
            records.push(again);
        },
    )
}

/// All records of a final poll are read elsewhere or acknowledged, but for those whose outcome nobody knows: those are left out.
fn exchange_values(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let known = certain(events);
    let is_known = |record: &Record| known.iter().any(|send| is_record_of(record, send));
    change_poll(
        events,
        rng,
        |poll| poll.records.windows(2).any(|pair| pair.iter().any(is_known)),
        |records, _| {
            let at = records.windows(2).position(|pair| pair.iter().any(is_known)).expect("wanted");
            let value = records[at].value;
            records[at].value = records[at + 1].value;
            records[at + 1].value = value;
        },
    )
}

fn exchange_records(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    change_poll(
        events,
        rng,
        |poll| poll.records.len() > 1,
        |records, rng| {
            let at = rng.random_range(1..records.len());
            records.swap(at - 1, at);
        },
    )
}

fn twice(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    change_poll(
        events,
        rng,
        |poll| !poll.records.is_empty(),
        |records, rng| {
            let at = rng.random_range(0..records.len());
            records.insert(at, records[at].clone());
        },
    )
}

fn pass_over(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let known = certain(events);
    let may_go = |record: &Record| known.iter().any(|send| is_record_of(record, send));
    let inner = |poll: &Poll| poll.records.windows(3).position(|three| may_go(&three[1]));
    change_poll(
        events,
        rng,
        |poll| inner(poll).is_some(),
        |records, _| {
            let at = records.windows(3).position(|three| may_go(&three[1])).expect("wanted");
            records.remove(at + 1);
        },
    )
}

fn failed_send(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let send = certain(events).choose(rng)?.clone();
    let mut changed = events.to_vec();
    let done = |event: &&mut Event| {
        event.outcome == Outcome::Ok && send_of(event).is_some_and(|other| other.value == send.value)
    };
    changed.iter_mut().find(done)?.outcome = Outcome::Fail;
    Some(changed)
}

fn aborted_record(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let is_aborted = |id: TransactionId| events.iter().any(|event| event.operation == Operation::Abort(id));
    let sends = events.iter().filter(|event| event.outcome == Outcome::Ok).filter_map(send_of);
    let aborted: Vec<&Send> = sends.filter(|send| send.transaction.is_some_and(is_aborted)).collect();
    let send = aborted.choose(rng)?;
    let record = Record { key: send.key.clone(), offset: send.offset?, value: send.value };
    let mut changed = events.to_vec();
    let mut extra = events.iter().rev().find(|event| matches!(&event.operation, Operation::Poll(_)))?.clone();
    extra.process.0 += 1000;
    extra.operation = Operation::Poll(Poll {
        records: vec![record],
        isolation: Isolation::ReadCommitted,
        transaction: None,
        is_final: false,
    });
    changed.push(extra);
    Some(changed)
}

/// Moves what begins a transaction's commit behind the first committed read of one of its records.
fn early_commit(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let committed: Vec<Send> = certain(events).into_iter().filter(|send| send.transaction.is_some()).collect();
    let send = committed.choose(rng)?;
    let read = first_read(events, send)?;
    let begins = |event: &Event| {
        event.outcome == Outcome::Invoke && send.transaction.map(Operation::Commit).as_ref() == Some(&event.operation)
    };
    let begun = events.iter().position(begins)?;
    let mut changed = events.to_vec();
    let event = changed.remove(begun);
    changed.insert(read, event);
    Some(changed)
}

fn first_read(events: &[Event], send: &Send) -> Option<usize> {
    let has = |poll: &Poll| {
        poll.isolation == Isolation::ReadCommitted && poll.records.iter().any(|record| is_record_of(record, send))
    };
    polls(events, has).first().copied()
}

fn early_read(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let send = certain(events).choose(rng)?.clone();
    let read = first_read(events, &send)?;
    let invoked = events.iter().position(|event| send_of(event).is_some_and(|other| other.value == send.value))?;
    let mut changed = events.to_vec();
    let poll = changed.remove(read);
    changed.insert(invoked, poll);
    Some(changed)
}

fn acknowledgements(events: &[Event]) -> Vec<usize> {
    let is_one = |event: &Event| event.outcome == Outcome::Ok && send_of(event).is_some();
    (0..events.len()).filter(|&index| is_one(&events[index])).collect()
}

/// Two acknowledgements of one partition.
fn two_acknowledgements(events: &[Event], rng: &mut SmallRng) -> Option<(usize, usize)> {
    let all = acknowledgements(events);
    let first = *all.choose(rng)?;
    let key = |index: usize| send_of(&events[index]).map(|send| &send.key);
    let others: Vec<usize> = all.into_iter().filter(|&other| other != first && key(other) == key(first)).collect();
    Some((first, *others.choose(rng)?))
}

fn set_offset(event: &mut Event, offset: Option<i64>) {
    if let Operation::Send(send) = &mut event.operation {
        send.offset = offset;
    }
}

fn wrong_offset(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let (one, other) = two_acknowledgements(events, rng)?;
    let mut changed = events.to_vec();
    set_offset(&mut changed[one], send_of(&events[other])?.offset);
    Some(changed)
}

fn exchange_acknowledgements(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let (one, other) = two_acknowledgements(events, rng)?;
    let mut changed = events.to_vec();
    set_offset(&mut changed[one], send_of(&events[other])?.offset);
    set_offset(&mut changed[other], send_of(&events[one])?.offset);
    Some(changed)
}

fn end_goes_back(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let ends: Vec<usize> = (0..events.len())
        .filter(|&at| matches!(&events[at].operation, Operation::End { offset: Some(offset), .. } if *offset > 0))
        .collect();
    let chosen = *ends.choose(rng)?;
    let Operation::End { key, .. } = &events[chosen].operation else { return None };
    let earlier = events[..chosen - 1].iter().filter(|event| event.outcome == Outcome::Ok).filter_map(send_of);
    let known = earlier.filter(|send| send.key == *key).filter_map(|send| send.offset).max()?;
    let mut changed = events.to_vec();
    changed[chosen].operation = Operation::End { key: key.clone(), offset: Some(rng.random_range(0..=known)) };
    Some(changed)
}

fn torn(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let sends = certain(events);
    let parts = |send: &&Send| {
        let same = sends.iter().filter(|other| other.transaction == send.transaction).count();
        send.transaction.is_some() && same > 1
    };
    let candidates: Vec<&Send> = sends.iter().filter(parts).collect();
    let mut changed = events.to_vec();
    remove(&mut changed, candidates.choose(rng)?, |_| true);
    Some(changed)
}

fn cycle(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let sends: Vec<Send> = certain(events).into_iter().filter(|send| send.transaction.is_some()).collect();
    let one = sends.choose(rng)?;
    let other = sends.iter().find(|send| send.transaction != one.transaction)?;
    let mut changed = events.to_vec();
    for (process, read, by) in [(2000, one, other), (2001, other, one)] {
        let mut poll = events.last()?.clone();
        poll.process.0 = process;
        poll.operation = Operation::Poll(Poll {
            records: vec![Record { key: read.key.clone(), offset: read.offset?, value: read.value }],
            isolation: Isolation::ReadCommitted,
            transaction: by.transaction,
            is_final: false,
        });
        changed.push(poll);
    }
    Some(changed)
}

/// The final read stops before the last record of a partition that is there for sure.
fn ends_early(events: &[Event], rng: &mut SmallRng) -> Option<Vec<Event>> {
    let sends = certain(events);
    let partition = sends.choose(rng)?.key.clone();
    let last = sends.iter().filter(|send| send.key == partition).filter_map(|send| send.offset).max()?;
    let mut changed = events.to_vec();
    for event in &mut changed {
        if let Operation::Poll(poll) = &mut event.operation
            && poll.is_final
        {
            poll.records.retain(|record| record.key != partition || record.offset < last);
        }
    }
    Some(changed)
}
