//! Requests that name one thing twice are ambiguous; Kafka refuses just that thing.

use std::collections::BTreeSet;

/// The names that occur more than once.
pub(crate) fn named_twice<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    names.filter(|&name| !seen.insert(name)).map(str::to_owned).collect()
}
