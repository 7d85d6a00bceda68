//! The committed metadata of this controller, for those who follow it: the newest image and the latest changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use highwater_env::lock::Mutex;
use highwater_metadata::{MetadataDelta, MetadataImage};
use highwater_types::{MetadataOffset, Timestamp};
use tokio::sync::watch;

/// Changes kept for followers that are a little behind: more than a follower misses while it reconnects.
const KEPT_CHANGES: usize = 1024;
/// Bytes of records kept, or the newest entry where that is larger. A follower further behind is served a snapshot.
const KEPT_BYTES: usize = 1024 * 1024;

/// One committed entry and what it did.
#[derive(Debug)]
pub(crate) struct Change {
    /// Where the metadata log ended before.
    pub(crate) base: MetadataOffset,
    /// Where it ends afterwards.
    pub(crate) end: MetadataOffset,
    /// The records as they are in the log.
    pub(crate) records: Bytes,
    /// What they did; `None` once it was taken. An old image holds the former state of all that has changed since.
    effect: Mutex<Option<Effect>>,
    /// Index of the entry in the Raft log.
    pub(crate) index: u64,
    /// When this node applied it.
    pub(crate) applied: Timestamp,
}

/// What the records of an entry did.
#[derive(Debug)]
pub(crate) struct Effect {
    /// The image afterwards.
    pub(crate) image: Arc<MetadataImage>,
    /// What changed.
    pub(crate) delta: MetadataDelta,
}

impl Change {
    /// Records that were in the entry at `index`, and what they did.
    pub(crate) fn new(records: Bytes, index: u64, applied: Timestamp, effect: Effect) -> Self {
        let (base, end) = (effect.delta.from, effect.delta.to);
        Self { base, end, records, effect: Mutex::new(Some(effect)), index, applied }
    }

    /// Takes out what the records did: for the broker of this node, which follows alone. The others are sent the records.
    pub(crate) fn take_effect(&self) -> Option<Effect> {
        self.effect.lock().take()
    }
}

/// Where a log ends that has all up to a certain entry, and since when more was there to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    /// `None`: it ends before the changes that are kept.
    pub(crate) end: Option<MetadataOffset>,
    /// When the first change that it lacks was applied; `None` when it lacks nothing, or that is not kept.
    pub(crate) lacks_since: Option<Timestamp>,
}

/// Written by the state machine alone; read by everybody.
pub(crate) struct MetadataFeed {
    image: ArcSwap<MetadataImage>,
    recent: Mutex<Recent>,
    end: watch::Sender<MetadataOffset>,
    elections: AtomicU64,
    unclean_elections: AtomicU64,
}

/// Invariant: the changes follow each other without a gap and end at the newest image.
#[derive(Default)]
struct Recent {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
    /// Every entry behind this index that changed something is among `changes`.
    after: u64,
}

impl MetadataFeed {
    /// `applied` is the index of the last entry that made `image`.
    pub(crate) fn new(image: Arc<MetadataImage>, applied: u64) -> Self {
        let end = watch::Sender::new(image.offset());
        let recent = Mutex::new(Recent { after: applied, ..Recent::default() });
        let (elections, unclean_elections) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { image: ArcSwap::new(image), recent, end, elections, unclean_elections }
    }

    /// The newest committed image that this node has applied.
    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// Tells when the metadata log grows.
    pub(crate) fn subscribe(&self) -> watch::Receiver<MetadataOffset> {
        self.end.subscribe()
    }

    /// Adds the next change.
    pub(crate) fn push(&self, mut change: Change) {
        let end = change.end;
        {
            let mut recent = self.recent.lock();
            recent.bytes += change.records.len();
            if let Some(Effect { image, delta }) = change.effect.get_mut() {
                self.elections.fetch_add(delta.elections, Ordering::Relaxed);
                self.unclean_elections.fetch_add(delta.unclean_elections, Ordering::Relaxed);
                self.image.store(image.clone());
            }
            recent.changes.push_back(Arc::new(change));
            while recent.changes.len() > 1 && (recent.changes.len() > KEPT_CHANGES || recent.bytes > KEPT_BYTES) {
                let Some(oldest) = recent.changes.pop_front() else { break };
                recent.bytes -= oldest.records.len();
                recent.after = oldest.index;
            }
        }
        self.end.send_replace(end);
    }

    /// Elections in the changes so far, since the start of the process.
    pub(crate) fn elections(&self) -> u64 {
        self.elections.load(Ordering::Relaxed)
    }

    /// Unclean elections in the changes so far, since the start of the process.
    pub(crate) fn unclean_elections(&self) -> u64 {
        self.unclean_elections.load(Ordering::Relaxed)
    }

    /// Jumps to the image of a snapshot that covers the entries up to `applied`.
    pub(crate) fn reset(&self, image: Arc<MetadataImage>, applied: u64) {
        let end = image.offset();
        {
            let mut recent = self.recent.lock();
            *recent = Recent { after: applied, ..Recent::default() };
            self.image.store(image);
        }
        self.end.send_replace(end);
    }

    /// Where a log ends that has all entries up to and with `index`.
    pub(crate) fn reached(&self, index: u64) -> Reached {
        let recent = self.recent.lock();
        let first_lacking = recent.changes.iter().find(|change| change.index > index);
        let end = first_lacking.map_or_else(|| self.image.load().offset(), |change| change.base);
        let known = index >= recent.after;
        Reached { end: known.then_some(end), lacks_since: first_lacking.filter(|_| known).map(|change| change.applied) }
    }

    /// As [`Self::reached`], for a log that ends at `offset`.
    pub(crate) fn reached_offset(&self, offset: MetadataOffset) -> Reached {
        let recent = self.recent.lock();
        let known = recent.changes.front().is_none_or(|oldest| oldest.base <= offset);
        let first_lacking = recent.changes.iter().find(|change| change.base >= offset);
        Reached { end: Some(offset), lacks_since: first_lacking.filter(|_| known).map(|change| change.applied) }
    }

    /// The changes from `offset` on, oldest first. `None` when they are not kept any more, or `offset` is not one where a
    /// change begins: then the follower needs the image.
    pub(crate) fn since(&self, offset: MetadataOffset) -> Option<Vec<Arc<Change>>> {
        let recent = self.recent.lock();
        if offset == self.image.load().offset() {
            return Some(Vec::new());
        }
        let start = recent.changes.iter().position(|change| change.base == offset)?;
        Some(recent.changes.iter().skip(start).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_metadata::MetadataRecord;

    fn push(feed: &MetadataFeed) {
        push_records(feed, Bytes::from_static(b"one"));
    }

    fn push_records(feed: &MetadataFeed, records: Bytes) {
        let before = feed.image();
        let (image, delta) = before.apply(&[MetadataRecord::NoOp], MetadataOffset(before.offset().0 + 1));
        // Every other entry of the log changes nothing.
        let index = 2 * u64::try_from(before.offset().0).unwrap() + 1;
        let applied = Timestamp(before.offset().0 * 100);
        let effect = Effect { image: Arc::new(image), delta };
        feed.push(Change::new(records, index, applied, effect));
    }

    #[test]
    fn changes_are_found_by_where_they_begin() {
        let feed = MetadataFeed::new(Arc::new(MetadataImage::empty()), 0);
        for _ in 0..5 {
            push(&feed);
        }
        let bases: Vec<i64> = feed.since(MetadataOffset(2)).unwrap().iter().map(|change| change.base.0).collect();
        assert_eq!(bases, [2, 3, 4]);
        assert!(feed.since(MetadataOffset(5)).unwrap().is_empty());
        assert!(feed.since(MetadataOffset(6)).is_none());
    }

    #[test]
    fn old_changes_are_forgotten() {
        let feed = MetadataFeed::new(Arc::new(MetadataImage::empty()), 0);
        for _ in 0..=KEPT_CHANGES {
            push(&feed);
        }
        assert!(feed.since(MetadataOffset(0)).is_none());
        assert_eq!(feed.since(MetadataOffset(1)).unwrap().len(), KEPT_CHANGES);
    }

    #[test]
    fn the_newest_change_is_kept_however_large() {
        let feed = MetadataFeed::new(Arc::new(MetadataImage::empty()), 0);
        push(&feed);
        push_records(&feed, vec![0; KEPT_BYTES + 1].into());
        assert!(feed.since(MetadataOffset(0)).is_none());
        assert_eq!(feed.since(MetadataOffset(1)).unwrap().len(), 1);
        push(&feed);
        assert!(feed.since(MetadataOffset(1)).is_none());
        assert_eq!(feed.since(MetadataOffset(2)).unwrap().len(), 1);
    }

    #[test]
    fn how_far_a_log_is_follows_from_its_last_entry() {
        let feed = MetadataFeed::new(Arc::new(MetadataImage::empty()), 0);
        for _ in 0..3 {
            push(&feed);
        }
        // Entries 1, 3 and 5 hold one record each.
        let reached = |index| {
            let reached = feed.reached(index);
            (reached.end.map(|end| end.0), reached.lacks_since.map(|since| since.0))
        };
        assert_eq!(reached(0), (Some(0), Some(0)));
        assert_eq!(reached(1), (Some(1), Some(100)));
        assert_eq!(reached(2), (Some(1), Some(100)));
        assert_eq!(reached(5), (Some(3), None));
        assert_eq!(reached(9), (Some(3), None), "entries that are not applied yet");
        let behind = feed.reached_offset(MetadataOffset(1));
        assert_eq!(behind.lacks_since, Some(Timestamp(100)));
        assert_eq!(feed.reached_offset(MetadataOffset(3)).lacks_since, None);
        feed.reset(feed.image(), 40);
        assert_eq!(reached(39), (None, None), "before the snapshot");
        assert_eq!(reached(40), (Some(3), None));
    }
}
