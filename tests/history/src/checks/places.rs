//! One value at one offset, and only values that were sent: inconsistent offsets, duplicates, phantoms.

use std::collections::BTreeSet;

use crate::anomaly::Anomaly;
use crate::event::Key;
use crate::facts::{Facts, Partition, values_by_offset};

pub fn check(facts: &Facts<'_>, found: &mut Vec<Anomaly>) {
    for (key, partition) in &facts.partitions {
        for (offset, values) in values_by_offset(partition) {
            if values.len() > 1 {
                let values = values.into_iter().collect();
                found.push(Anomaly::Inconsistent { key: (*key).clone(), offset, values });
            }
        }
        check_values(key, partition, found);
    }
}

fn check_values(key: &Key, partition: &Partition, found: &mut Vec<Anomaly>) {
    for (&value, places) in &partition.reads {
        let send = partition.sends.get(&value);
        for (&offset, read) in places {
            if send.is_none_or(|send| read.first < Some(send.invoked)) {
                found.push(Anomaly::Phantom { key: key.clone(), offset, value });
            }
        }
        let acknowledged = send.and_then(|send| send.acknowledged);
        let offsets: BTreeSet<i64> = places.keys().copied().chain(acknowledged).collect();
        if offsets.len() > 1 {
            found.push(Anomaly::Duplicate { key: key.clone(), value, offsets: offsets.into_iter().collect() });
        }
    }
}
