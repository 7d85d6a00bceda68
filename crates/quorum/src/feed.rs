//! The committed metadata of this controller, for those who follow it: the newest image and the latest changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use highwater_metadata::{MetadataDelta, MetadataImage};
use highwater_types::MetadataOffset;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Changes kept for followers that are a little behind: more than a follower misses while it reconnects, few enough that
/// the images they hold (which share what did not change) stay small.
const KEPT_CHANGES: usize = 1024;
/// Bytes of records kept: a follower further behind is served a snapshot, which is then cheaper.
const KEPT_BYTES: usize = 8 * 1024 * 1024;

/// One committed entry and what it did.
#[derive(Debug)]
pub(crate) struct Change {
    /// Where the metadata log ended before.
    pub(crate) base: MetadataOffset,
    /// The records as they are in the log.
    pub(crate) records: Bytes,
    /// The image afterwards.
    pub(crate) image: Arc<MetadataImage>,
    /// What changed.
    pub(crate) delta: Arc<MetadataDelta>,
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
}

impl MetadataFeed {
    pub(crate) fn new(image: Arc<MetadataImage>) -> Self {
        let end = watch::Sender::new(image.offset());
        let (elections, unclean_elections) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { image: ArcSwap::new(image), recent: Mutex::default(), end, elections, unclean_elections }
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
    pub(crate) fn push(&self, change: Change) {
        let end = change.image.offset();
        self.elections.fetch_add(change.delta.elections, Ordering::Relaxed);
        self.unclean_elections.fetch_add(change.delta.unclean_elections, Ordering::Relaxed);
        {
            let mut recent = self.recent.lock();
            recent.bytes += change.records.len();
            self.image.store(change.image.clone());
            recent.changes.push_back(Arc::new(change));
            while recent.changes.len() > KEPT_CHANGES || recent.bytes > KEPT_BYTES {
                let Some(oldest) = recent.changes.pop_front() else { break };
                recent.bytes -= oldest.records.len();
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

    /// Jumps to the image of a snapshot.
    pub(crate) fn reset(&self, image: Arc<MetadataImage>) {
        let end = image.offset();
        {
            let mut recent = self.recent.lock();
            *recent = Recent::default();
            self.image.store(image);
        }
        self.end.send_replace(end);
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
        let before = feed.image();
        let (image, delta) = before.apply(&[MetadataRecord::NoOp], MetadataOffset(before.offset().0 + 1));
        feed.push(Change {
            base: before.offset(),
            records: Bytes::from_static(b"one"),
            image: Arc::new(image),
            delta: Arc::new(delta),
        });
    }

    #[test]
    fn changes_are_found_by_where_they_begin() {
        let feed = MetadataFeed::new(Arc::new(MetadataImage::empty()));
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
        let feed = MetadataFeed::new(Arc::new(MetadataImage::empty()));
        for _ in 0..=KEPT_CHANGES {
            push(&feed);
        }
        assert!(feed.since(MetadataOffset(0)).is_none());
        assert_eq!(feed.since(MetadataOffset(1)).unwrap().len(), KEPT_CHANGES);
    }
}
