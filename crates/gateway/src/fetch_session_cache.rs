//! Which fetch sessions are kept: a bounded number, and who has to go when there are more (KIP-227).
//!
//! Pure; knows sessions only by their sizes and ages. When all slots are taken, a new session takes the place of the one that
//! was unused for longest, if that is longer than [`EVICTION`]; else of the smallest among those made longer ago than that, if
//! the new one is larger. Else there is no new session, and its client goes on with full fetches.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_types::MonoMs;

/// How long a session is safe from others, counted from when it was made or last used. Kafka's number.
pub(crate) const EVICTION: Duration = Duration::from_secs(120);

/// Name of a session; never 0, which stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) i32);

/// The sessions of this broker, of type `S`.
#[derive(Debug)]
pub(crate) struct FetchSessionCache<S> {
    slots: usize,
    sessions: BTreeMap<SessionId, Slot<S>>,
    /// Sum of all sizes.
    partitions: usize,
    /// How many sessions had to go for others.
    evictions: u64,
}

#[derive(Debug)]
struct Slot<S> {
    session: S,
    /// Partitions.
    size: usize,
    created: MonoMs,
    last_used: MonoMs,
}

impl<S> FetchSessionCache<S> {
    /// An empty cache for so many sessions.
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots, sessions: BTreeMap::new(), partitions: 0, evictions: 0 }
    }

    /// Makes a session of `size` partitions, if there is room or can be; `draw` gives random numbers for its id.
    pub(crate) fn insert(
        &mut self,
        now: MonoMs,
        size: usize,
        mut draw: impl FnMut() -> u32,
        make: impl FnOnce() -> S,
    ) -> Option<SessionId> {
        if self.sessions.len() >= self.slots {
            let victim = self.victim(now, size)?;
            self.remove(victim);
            self.evictions += 1;
        }
        let id = loop {
            let id = SessionId(i32::try_from(draw() >> 1).unwrap_or(0));
            if id.0 != 0 && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        self.partitions += size;
        self.sessions.insert(id, Slot { session: make(), size, created: now, last_used: now });
        Some(id)
    }

    /// Whom a new session of that size replaces.
    fn victim(&self, now: MonoMs, size: usize) -> Option<SessionId> {
        let (stalest, slot) = self.sessions.iter().min_by_key(|(_, slot)| slot.last_used)?;
        if now - slot.last_used > EVICTION {
            return Some(*stalest);
        }
        let settled = self.sessions.iter().filter(|(_, slot)| now - slot.created > EVICTION);
        let (smallest, slot) = settled.min_by_key(|(_, slot)| slot.size)?;
        (slot.size < size).then_some(*smallest)
    }

    /// The session of that id.
    pub(crate) fn get(&self, id: SessionId) -> Option<&S> {
        self.sessions.get(&id).map(|slot| &slot.session)
    }

    /// A session was used, and has so many partitions now. It may be gone meanwhile.
    pub(crate) fn touch(&mut self, id: SessionId, now: MonoMs, size: usize) {
        if let Some(slot) = self.sessions.get_mut(&id) {
            slot.last_used = now;
            self.partitions = self.partitions + size - slot.size;
            slot.size = size;
        }
    }

    /// Ends a session, if it is there.
    pub(crate) fn remove(&mut self, id: SessionId) {
        if let Some(slot) = self.sessions.remove(&id) {
            self.partitions -= slot.size;
        }
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// How many partitions all sessions have together.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions
    }

    /// How many sessions had to go for others so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
mod tests;
