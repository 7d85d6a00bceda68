//! Nothing that happened goes away: lost and unseen sends.

use crate::anomaly::Anomaly;
use crate::facts::{Facts, Partition};

/// Once there was a full read, all that happened must be in it. Without one, only what lies below the highest offset that
/// anybody read, and was read by nobody, is known to be lost.
pub fn check(facts: &Facts<'_>, found: &mut Vec<Anomaly>) {
    for (key, partition) in &facts.partitions {
        let end = if facts.has_final_read { partition.final_end } else { highest_read(partition) };
        for (&value, send) in &partition.sends {
            let there =
                if facts.has_final_read { partition.is_finally_there(value) } else { partition.was_read(value) };
            if there || !facts.happened(partition, value, send) {
                continue;
            }
            let (key, offset) = ((*key).clone(), partition.offset_of(value));
            match offset {
                Some(at) if end.is_some_and(|end| at < end) => found.push(Anomaly::Lost { key, offset, value }),
                _ if facts.has_final_read => found.push(Anomaly::Unseen { key, offset, value }),
                _ => {}
            }
        }
    }
}

fn highest_read(partition: &Partition) -> Option<i64> {
    partition.reads.values().filter_map(|places| places.keys().next_back().copied()).max()
}
