//! The last offset of each key in the part of a log that is being compacted, within a bounded number of bytes.
//!
//! Keys are known by a 128-bit keyed hash. Two keys with one hash would cost the older one its last value; with a random key
//! per pass nobody can look for such a pair, and by chance it needs about 2^64 keys.

use std::hash::Hasher as _;

use highwater_types::Offset;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Bytes of memory per slot, as in Kafka's map: 16 of the hash and 8 of the offset.
pub(crate) const SLOT_BYTES: usize = size_of::<Slot>();

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: [u64; 2],
    /// Negative for an empty slot.
    offset: i64,
}

/// See the top of this file. Open addressing, linear probing; nothing is ever taken out.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    slots: Vec<Slot>,
    length: usize,
    capacity: usize,
    hash_key: (u64, u64),
}

impl OffsetMap {
    /// A map in at most `max_bytes`, of which `load_factor` (above 0, at most 1) may be used; smaller if no more than
    /// `records` keys can come.
    pub(crate) fn new(max_bytes: usize, load_factor: f64, records: usize, hash_key: (u64, u64)) -> Self {
        let load_factor = load_factor.clamp(0.1, 0.95);
        let wanted = (records as f64 / load_factor).ceil() as usize + 1;
        let slots = (max_bytes / SLOT_BYTES).min(wanted).max(2);
        let capacity = ((slots as f64 * load_factor) as usize).clamp(1, slots - 1);
        Self { slots: vec![Slot { hash: [0; 2], offset: -1 }; slots], length: 0, capacity, hash_key }
    }

    /// Whether so many more keys surely fit.
    pub(crate) fn has_room_for(&self, keys: usize) -> bool {
        self.length + keys <= self.capacity
    }

    /// Bytes of the keys that it holds.
    pub(crate) fn used_bytes(&self) -> usize {
        self.length * SLOT_BYTES
    }

    /// Notes that the newest record of `key` so far is at `offset`. A map without room grows: only its caller knows whether
    /// it may go without the key.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) {
        if self.length + 1 >= self.slots.len() {
            self.grow();
        }
        let hash = self.hash(key);
        let slot = self.find(hash);
        self.length += usize::from(self.slots[slot].offset < 0);
        self.slots[slot] = Slot { hash, offset: offset.get() };
    }

    /// The offset of the newest record of `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots[self.find(self.hash(key))];
        (slot.offset >= 0).then_some(Offset(slot.offset))
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let mut hasher = SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1);
        hasher.write(key);
        let hash = hasher.finish128();
        [hash.h1, hash.h2]
    }

    /// The slot of that hash, or the empty one where it belongs. There always is an empty one.
    fn find(&self, hash: [u64; 2]) -> usize {
        let mut slot = (hash[0] % self.slots.len() as u64) as usize;
        while self.slots[slot].offset >= 0 && self.slots[slot].hash != hash {
            slot = if slot + 1 == self.slots.len() { 0 } else { slot + 1 };
        }
        slot
    }

    fn grow(&mut self) {
        let empty = Slot { hash: [0; 2], offset: -1 };
        let larger = vec![empty; self.slots.len() * 2];
        for slot in std::mem::replace(&mut self.slots, larger).into_iter().filter(|slot| slot.offset >= 0) {
            let place = self.find(slot.hash);
            self.slots[place] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn it_agrees_with_a_map_at_every_size() {
        let mut rng = SmallRng::seed_from_u64(3);
        for (bytes, records) in [(0, 10), (SLOT_BYTES * 64, 1000), (1 << 20, 500), (1 << 20, 0)] {
            let mut map = OffsetMap::new(bytes, 0.9, records, (1, 2));
            let mut model = BTreeMap::new();
            for offset in 0..1000 {
                let key: [u8; 2] = [rng.random_range(0..8), rng.random_range(0..32)];
                map.put(&key, Offset(offset));
                model.insert(key, Offset(offset));
            }
            for first in 0..9 {
                for second in 0..33 {
                    assert_eq!(map.get(&[first, second]), model.get(&[first, second]).copied());
                }
            }
        }
    }

    #[test]
    fn it_stays_within_its_bytes() {
        let mut map = OffsetMap::new(SLOT_BYTES * 100, 0.9, usize::MAX / 2, (1, 2));
        let mut keys = 0_u64;
        while map.has_room_for(1) {
            map.put(&keys.to_be_bytes(), Offset(1));
            keys += 1;
        }
        assert_eq!((keys, map.slots.len(), SLOT_BYTES), (90, 100, 24));
    }
}
