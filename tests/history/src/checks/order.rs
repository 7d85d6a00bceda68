//! Order: consumers pass over nothing and go back never, producers' records stand in the order in which they were sent, and the
//! end of a partition never goes back in real time.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound::{Excluded, Unbounded};

use crate::anomaly::Anomaly;
use crate::event::{Isolation, Key, Process, TransactionId};
use crate::facts::{Facts, Partition, SendFacts};

pub fn check(facts: &Facts<'_>, found: &mut Vec<Anomaly>) {
    check_polls(facts, found);
    for (key, partition) in &facts.partitions {
        check_sends(key, partition, facts.has_final_read, found);
        check_real_time(key, partition, found);
    }
    for (key, offset, known) in &facts.ends {
        if offset < known {
            let (offset, known) = (*offset, *known);
            found.push(Anomaly::BackInTime { key: (*key).clone(), what: "ListOffsets", offset, known });
        }
    }
}

fn check_polls(facts: &Facts<'_>, found: &mut Vec<Anomaly>) {
    let mut positions: BTreeMap<(Process, &Key), i64> = BTreeMap::new();
    let mut seeks = facts.seeks.iter().peekable();
    for &(index, process, poll) in &facts.polls {
        forget_positions(&mut positions, &mut seeks, index);
        for record in &poll.records {
            let Some(from) = positions.insert((process, &record.key), record.offset) else { continue };
            let (key, to) = (record.key.clone(), record.offset);
            if to <= from {
                found.push(Anomaly::NonMonotonePoll { key, process, from, to });
            } else if let Some(skipped) = first_visible(&facts.partitions[&record.key], poll.isolation, from, to) {
                found.push(Anomaly::SkippedPoll { key, process, from, to, skipped });
            }
        }
    }
}

fn forget_positions<'a>(
    positions: &mut BTreeMap<(Process, &'a Key), i64>,
    seeks: &mut Peekable<std::slice::Iter<'_, (u64, Process, &'a Key)>>,
    before: u64,
) {
    while let Some((_, process, key)) = seeks.next_if(|(index, ..)| *index < before) {
        positions.remove(&(*process, *key));
    }
}

/// The first offset between two others that a consumer of that isolation must see.
fn first_visible(partition: &Partition, isolation: Isolation, from: i64, to: i64) -> Option<i64> {
    let mut between = partition.visible.range((Excluded(from), Unbounded)).take_while(|(offset, _)| **offset < to);
    between.find(|(_, visible)| isolation <= **visible).map(|(offset, _)| *offset)
}

/// A session's sends, or those of one of its transactions: `(value, facts)`.
type Sessions<'a> = BTreeMap<(Process, Option<TransactionId>), Vec<(u64, &'a SendFacts)>>;

fn check_sends(key: &Key, partition: &Partition, has_final_read: bool, found: &mut Vec<Anomaly>) {
    let mut sessions = Sessions::new();
    for (&value, send) in &partition.sends {
        sessions.entry((send.process, send.transaction)).or_default().push((value, send));
    }
    for ((process, _), mut sends) in sessions {
        sends.sort_by_key(|(_, send)| send.invoked);
        check_ascending(key, process, partition, &sends, found);
        if has_final_read {
            check_gaps(key, process, partition, &sends, found);
        }
    }
}

fn check_ascending(
    key: &Key,
    process: Process,
    partition: &Partition,
    sends: &[(u64, &SendFacts)],
    found: &mut Vec<Anomaly>,
) {
    let mut highest = None;
    for &(value, _) in sends {
        let Some(offset) = partition.offset_of(value) else { continue };
        if let Some(before) = highest.filter(|before| *before >= offset) {
            found.push(Anomaly::NonMonotoneSend { key: key.clone(), process, value, offset, before });
        }
        highest = highest.max(Some(offset));
    }
}

/// A broker takes sequence numbers without gaps: what is missing before what is there was never taken, or is gone.
fn check_gaps(
    key: &Key,
    process: Process,
    partition: &Partition,
    sends: &[(u64, &SendFacts)],
    found: &mut Vec<Anomaly>,
) {
    let mut later = None;
    for &(value, send) in sends.iter().rev() {
        if partition.is_finally_there(value) {
            later = Some(value);
        } else if let Some(later) = later
            && matches!(send.outcome, None | Some(crate::event::Outcome::Info))
        {
            found.push(Anomaly::SkippedSend { key: key.clone(), process, value, later });
        }
    }
}

fn check_real_time(key: &Key, partition: &Partition, found: &mut Vec<Anomaly>) {
    for (&value, send) in &partition.sends {
        let (Some(offset), Some(known)) = (partition.offset_of(value), send.known_before) else { continue };
        if offset <= known {
            found.push(Anomaly::BackInTime { key: key.clone(), what: "a send", offset, known });
        }
    }
}
