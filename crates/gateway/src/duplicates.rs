//! Requests that name one thing twice: where that is ambiguous, Kafka refuses just that thing; where it is not, once is enough.

use std::collections::BTreeSet;

/// The names that occur more than once.
pub(crate) fn named_twice<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    names.filter(|&name| !seen.insert(name)).map(str::to_owned).collect()
}

/// The items whose key comes for the first time. To name something again costs a client some bytes, and would cost this broker
/// all that there is to say of it.
pub(crate) fn each_once<'a, T, K: Ord>(items: &'a [T], key: impl Fn(&'a T) -> K) -> impl Iterator<Item = &'a T> {
    let mut seen = BTreeSet::new();
    items.iter().filter(move |item| seen.insert(key(item)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_name_stays_in_its_place() {
        let names = ["b", "a", "b", "c", "a"];
        assert_eq!(each_once(&names, |name| *name).copied().collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(named_twice(names.into_iter()), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    }
}
