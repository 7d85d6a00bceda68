//! Transactions are all or nothing, and nothing of them is read before they are committed.

use std::collections::BTreeMap;

use crate::anomaly::Anomaly;
use crate::event::{Key, Outcome, TransactionId};
use crate::facts::{Facts, Partition, SendFacts};

pub fn check(facts: &Facts<'_>, found: &mut Vec<Anomaly>) {
    let mut records: BTreeMap<TransactionId, Vec<(&Key, u64, bool)>> = BTreeMap::new();
    for (key, partition) in &facts.partitions {
        for (&value, send) in &partition.sends {
            check_reads(facts, key, partition, value, send, found);
            if let Some(id) = send.transaction.filter(|_| send.outcome != Some(Outcome::Fail)) {
                records.entry(id).or_default().push((key, value, partition.is_finally_there(value)));
            }
        }
    }
    if !facts.has_final_read {
        return;
    }
    for (transaction, records) in records {
        let committed = facts.transactions.get(&transaction).is_some_and(|facts| facts.is_committed());
        let present = records.iter().find(|(.., there)| *there).filter(|_| committed);
        let missing = records.iter().find(|(.., there)| !*there);
        if let (Some((_, present, _)), Some((key, missing, _))) = (present, missing) {
            let (key, missing, present) = ((*key).clone(), *missing, *present);
            found.push(Anomaly::Torn { transaction, key, missing, present });
        }
    }
}

fn check_reads(
    facts: &Facts<'_>,
    key: &Key,
    partition: &Partition,
    value: u64,
    send: &SendFacts,
    found: &mut Vec<Anomaly>,
) {
    for (&offset, read) in partition.reads.get(&value).into_iter().flatten() {
        if send.outcome == Some(Outcome::Fail) {
            found.push(Anomaly::AbortedRead { key: key.clone(), offset, value });
            continue;
        }
        let (Some(transaction), Some(first)) = (send.transaction, read.first_committed) else { continue };
        let fate = facts.transactions.get(&transaction);
        if fate.is_some_and(|fate| fate.is_aborted()) {
            found.push(Anomaly::AbortedRead { key: key.clone(), offset, value });
        } else if fate.and_then(|fate| fate.commit_invoked).is_none_or(|commit| first < commit) {
            found.push(Anomaly::PrecommittedRead { key: key.clone(), offset, value, transaction });
        }
    }
}
