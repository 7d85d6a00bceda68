//! The checks, one file each family. Each adds what it finds.

mod cycles;
mod losses;
mod order;
mod places;
mod transactions;

use crate::anomaly::Anomaly;
use crate::facts::Facts;

/// Everything that is wrong with a history.
pub fn all(facts: &Facts<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    places::check(facts, &mut found);
    losses::check(facts, &mut found);
    order::check(facts, &mut found);
    transactions::check(facts, &mut found);
    cycles::check(facts, &mut found);
    found
}
