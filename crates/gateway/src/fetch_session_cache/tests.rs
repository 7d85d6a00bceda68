//! Who is kept, as scripts of (second, what happens).

use super::*;

/// A cache whose ids count up.
struct Script {
    cache: FetchSessionCache<()>,
    next: u32,
}

impl Script {
    fn new(slots: usize) -> Self {
        Self { cache: FetchSessionCache::new(slots), next: 0 }
    }

    /// Makes a session at that second; ids are 1, 2, 3, ...
    fn insert(&mut self, second: u64, size: usize) -> Option<i32> {
        let next = &mut self.next;
        let draw = || {
            *next += 2;
            *next
        };
        self.cache.insert(MonoMs(second * 1000), size, draw, || ()).map(|id| id.0)
    }

    fn touch(&mut self, second: u64, id: i32, size: usize) {
        self.cache.touch(SessionId(id), MonoMs(second * 1000), size);
    }

    fn ids(&self) -> Vec<i32> {
        self.cache.sessions.keys().map(|id| id.0).collect()
    }
}

#[test]
fn a_full_cache_of_young_sessions_takes_no_more() {
    let mut script = Script::new(2);
    assert_eq!((script.insert(0, 1), script.insert(0, 1)), (Some(1), Some(2)));
    // However large, and up to the very second.
    assert_eq!(script.insert(120, 1000), None);
    assert_eq!((script.ids(), script.cache.partitions(), script.cache.evictions()), (vec![1, 2], 2, 0));
}

#[test]
fn the_session_unused_for_longest_goes_after_two_minutes() {
    let mut script = Script::new(2);
    script.insert(0, 50);
    script.insert(1, 1);
    script.touch(5, 1, 50);
    assert_eq!(script.insert(122, 1), Some(3));
    assert_eq!((script.ids(), script.cache.evictions()), (vec![1, 3], 1));
}

#[test]
fn a_session_in_use_goes_for_a_larger_one_once_it_is_two_minutes_old() {
    let mut script = Script::new(3);
    for size in [5, 3, 9] {
        script.insert(0, size);
    }
    for id in 1..=3 {
        script.touch(100, id, [5, 3, 9][id as usize - 1]);
    }
    // Not for one that is as large as the smallest; and the newest is safe although it is the smallest then.
    assert_eq!(script.insert(121, 3), None);
    assert_eq!(script.insert(121, 4), Some(4));
    assert_eq!(script.ids(), [1, 3, 4]);
    assert_eq!(script.insert(121, 6), Some(5));
    assert_eq!((script.ids(), script.cache.partitions()), (vec![3, 4, 5], 9 + 4 + 6));
}

#[test]
fn sizes_follow_their_sessions() {
    let mut script = Script::new(3);
    script.insert(0, 5);
    script.insert(0, 7);
    script.touch(1, 1, 2);
    assert_eq!(script.cache.partitions(), 9);
    script.cache.remove(SessionId(2));
    script.cache.remove(SessionId(2));
    script.touch(2, 2, 100);
    assert_eq!((script.cache.partitions(), script.cache.len()), (2, 1));
}

#[test]
fn ids_are_never_zero_nor_taken() {
    let mut cache = FetchSessionCache::new(9);
    let mut numbers = [0, 1, 14, 15, 14, u32::MAX, 6].into_iter();
    let mut insert = || cache.insert(MonoMs(0), 1, || numbers.next().unwrap(), || ()).map(|id| id.0);
    assert_eq!([insert(), insert(), insert()], [Some(7), Some(i32::MAX), Some(3)]);
}

#[test]
fn a_cache_without_slots_makes_none() {
    assert_eq!(Script::new(0).insert(0, 1), None);
}
