//! Deadlines of a shard, as data: the caller sleeps until [`Timers::next_deadline`] and asks what is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use highwater_types::MonoMs;

/// What a deadline is for. There is at most one deadline per key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKey {
    /// A member (or a pending member) must be heard of before it: group, member.
    Heartbeat(Arc<str>, Arc<str>),
    /// The join phase of a group ends.
    Join(Arc<str>),
    /// Members that have not sent SyncGroup are removed.
    Sync(Arc<str>),
    /// Expired offsets and unused groups are removed.
    Expiration,
}

/// Deadlines by time and by key; both maps hold the same entries.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_deadline: BTreeSet<(MonoMs, TimerKey)>,
    by_key: BTreeMap<TimerKey, MonoMs>,
}

impl Timers {
    /// Sets the deadline of `key`, replacing an earlier or later one.
    pub(crate) fn schedule(&mut self, key: TimerKey, deadline: MonoMs) {
        if let Some(previous) = self.by_key.insert(key.clone(), deadline) {
            if previous == deadline {
                return;
            }
            self.by_deadline.remove(&(previous, key.clone()));
        }
        self.by_deadline.insert((deadline, key));
    }

    /// Forgets the deadline of `key`, if there is one.
    pub(crate) fn cancel(&mut self, key: &TimerKey) {
        if let Some(deadline) = self.by_key.remove(key) {
            self.by_deadline.remove(&(deadline, key.clone()));
        }
    }

    /// Whether `key` has a deadline.
    pub(crate) fn is_scheduled(&self, key: &TimerKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<MonoMs> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Removes and returns the earliest key that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: MonoMs) -> Option<TimerKey> {
        if self.next_deadline()? > now {
            return None;
        }
        let (_, key) = self.by_deadline.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// Forgets every deadline of a group.
    pub(crate) fn cancel_group(&mut self, group: &Arc<str>) {
        self.cancel(&TimerKey::Join(group.clone()));
        self.cancel(&TimerKey::Sync(group.clone()));
        let from = TimerKey::Heartbeat(group.clone(), Arc::from(""));
        let of_group = |key: &TimerKey| matches!(key, TimerKey::Heartbeat(owner, _) if owner == group);
        let keys: Vec<_> =
            self.by_key.range(from..).map(|(key, _)| key.clone()).take_while(|key| of_group(key)).collect();
        keys.iter().for_each(|key| self.cancel(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_replace_and_cancel_each_other() {
        let mut timers = Timers::default();
        let (g, h): (Arc<str>, Arc<str>) = (Arc::from("g"), Arc::from("h"));
        let heartbeat = |group: &Arc<str>, member: &str| TimerKey::Heartbeat(group.clone(), Arc::from(member));
        timers.schedule(TimerKey::Join(g.clone()), MonoMs(5));
        timers.schedule(TimerKey::Join(g.clone()), MonoMs(9));
        timers.schedule(heartbeat(&g, "a"), MonoMs(7));
        timers.schedule(heartbeat(&g, "b"), MonoMs(8));
        timers.schedule(heartbeat(&h, "a"), MonoMs(8));
        assert_eq!(timers.next_deadline(), Some(MonoMs(7)));
        assert_eq!(timers.pop_due(MonoMs(6)), None);
        assert_eq!(timers.pop_due(MonoMs(7)), Some(heartbeat(&g, "a")));
        timers.cancel_group(&g);
        assert_eq!(timers.pop_due(MonoMs(99)), Some(heartbeat(&h, "a")));
        assert_eq!(timers.next_deadline(), None);
        assert!(!timers.is_scheduled(&TimerKey::Join(g)));
    }
}
