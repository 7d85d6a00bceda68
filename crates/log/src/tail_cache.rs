//! The newest small batches of busy logs, in memory: a follower that is pushed to and a consumer at the tail want them at
//! once, and finding them in the file costs several system calls each.
//!
//! All logs of a directory share one budget of bytes; what came first goes first. A log holds neighbouring batches only, up
//! to its end: a batch that is too large to be kept empties it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use highwater_env::lock::Mutex;
use highwater_types::Offset;

/// Bytes of one directory's cache: several times what two cores can replicate in the time between an append and its push.
const BUDGET_BYTES: usize = 8 * 1024 * 1024;
/// A larger batch is read from its file: there the system calls cost little beside the bytes, and a copy would not be free.
const LARGEST_BATCH_BYTES: usize = 64 * 1024;
/// What an entry costs besides the bytes of its batch.
const ENTRY_BYTES: usize = 160;

/// The cache of one directory.
#[derive(Debug, Default)]
pub(crate) struct TailCache {
    /// Entries of all logs, oldest first. One may be gone from its log already.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<(Weak<Tail>, Offset, usize)>,
    bytes: usize,
}

/// What the cache holds of one log.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: Mutex<VecDeque<TailBatch>>,
}

#[derive(Debug)]
struct TailBatch {
    base: Offset,
    next: Offset,
    bytes: Bytes,
}

/// Whole neighbouring batches.
#[derive(Debug)]
pub(crate) struct TailRead {
    pub(crate) bytes: Bytes,
    /// The offset behind the last of them.
    pub(crate) next: Offset,
    /// Whether the reader stopped them, and not the end of what is cached.
    pub(crate) complete: bool,
}

impl TailCache {
    /// A batch with offsets `base..next`, in pieces, was appended to the log of `tail`.
    pub(crate) fn append(&self, tail: &Arc<Tail>, base: Offset, next: Offset, pieces: [&[u8]; 2]) {
        let size = pieces[0].len() + pieces[1].len();
        if size > LARGEST_BATCH_BYTES {
            return tail.clear();
        }
        let mut bytes = BytesMut::with_capacity(size);
        pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
        tail.batches.lock().push_back(TailBatch { base, next, bytes: bytes.freeze() });
        let mut kept = self.kept.lock();
        kept.entries.push_back((Arc::downgrade(tail), base, size + ENTRY_BYTES));
        kept.bytes += size + ENTRY_BYTES;
        while kept.bytes > BUDGET_BYTES {
            let Some((tail, base, size)) = kept.entries.pop_front() else { break };
            kept.bytes -= size;
            if let Some(tail) = tail.upgrade() {
                tail.drop_oldest(base);
            }
        }
    }

    /// Gives up the entries of logs that are closed, and room that is not used. To be called every few seconds: it looks at every
    /// entry.
    pub(crate) fn forget_closed(&self) {
        let mut kept = self.kept.lock();
        let Kept { entries, bytes } = &mut *kept;
        entries.retain(|(tail, _, size)| {
            let is_open = tail.strong_count() > 0;
            *bytes -= if is_open { 0 } else { *size };
            is_open
        });
        if entries.len() < entries.capacity() / 4 {
            entries.shrink_to_fit();
        }
    }
}

impl Tail {
    /// Forgets everything, for a batch that is not kept, before the log is cut, and when nobody uses the log.
    pub(crate) fn clear(&self) {
        *self.batches.lock() = VecDeque::new();
    }

    fn drop_oldest(&self, base: Offset) {
        let mut batches = self.batches.lock();
        if batches.front().is_some_and(|batch| batch.base == base) {
            batches.pop_front();
            if batches.is_empty() {
                *batches = VecDeque::new();
            }
        }
    }

    /// The batches from the one that holds `from`, as [`crate::LogReader::read`] limits them; `None` if that one is not
    /// here.
    pub(crate) fn read(&self, from: Offset, up_to: Offset, max_bytes: usize, min_one_batch: bool) -> Option<TailRead> {
        let batches = self.batches.lock();
        let first = batches.partition_point(|batch| batch.next <= from);
        batches.get(first).filter(|batch| batch.base <= from)?;
        let (mut last, mut size, mut complete) = (first, 0, false);
        for batch in batches.range(first..) {
            let fits = size + batch.bytes.len() <= max_bytes || (min_one_batch && size == 0);
            complete = batch.next > up_to || !fits;
            if complete {
                break;
            }
            size += batch.bytes.len();
            last += 1;
        }
        let next = if last > first { batches[last - 1].next } else { from };
        let bytes = match last - first {
            0 => Bytes::new(),
            1 => batches[first].bytes.clone(),
            _ => {
                let mut joined = BytesMut::with_capacity(size);
                batches.range(first..last).for_each(|batch| joined.extend_from_slice(&batch.bytes));
                joined.freeze()
            }
        };
        Some(TailRead { bytes, next, complete })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(cache: &TailCache, tail: &Arc<Tail>, base: i64, size: usize) {
        let bytes = vec![u8::try_from(base % 251).unwrap(); size];
        cache.append(tail, Offset(base), Offset(base + 10), [&bytes[..1], &bytes[1..]]);
    }

    fn read(tail: &Tail, from: i64, up_to: i64, max_bytes: usize) -> Option<(usize, i64, bool)> {
        let read = tail.read(Offset(from), Offset(up_to), max_bytes, true)?;
        Some((read.bytes.len(), read.next.get(), read.complete))
    }

    #[test]
    fn whole_batches_from_the_middle_of_one() {
        let (cache, tail) = (TailCache::default(), Arc::default());
        for base in [100, 110, 120] {
            append(&cache, &tail, base, 50);
        }
        assert_eq!(read(&tail, 99, 130, 1000), None, "an older batch is in the file only");
        assert_eq!(read(&tail, 100, 130, 1000), Some((150, 130, false)));
        assert_eq!(read(&tail, 115, 130, 1000), Some((100, 130, false)));
        assert_eq!(read(&tail, 115, 129, 1000), Some((50, 120, true)), "the last one is not visible whole");
        assert_eq!(read(&tail, 100, 130, 100), Some((100, 120, true)));
        assert_eq!(read(&tail, 100, 130, 1), Some((50, 110, true)), "one at least");
        assert_eq!(read(&tail, 130, 130, 1000), None);
        tail.clear();
        assert_eq!(read(&tail, 100, 130, 1000), None);
    }

    #[test]
    fn a_large_batch_leaves_no_gap_behind() {
        let (cache, tail) = (TailCache::default(), Arc::default());
        append(&cache, &tail, 100, 50);
        append(&cache, &tail, 110, LARGEST_BATCH_BYTES + 1);
        append(&cache, &tail, 120, 50);
        assert_eq!(read(&tail, 100, 130, 1000), None);
        assert_eq!(read(&tail, 120, 130, 1000), Some((50, 130, false)));
    }

    #[test]
    fn the_budget_is_shared_and_the_oldest_goes_first() {
        let cache = TailCache::default();
        let (idle, busy) = (Arc::<Tail>::default(), Arc::<Tail>::default());
        append(&cache, &idle, 0, 50);
        let many = i64::try_from(2 * BUDGET_BYTES / 10_000).unwrap();
        for number in 0..many {
            append(&cache, &busy, number * 10, 10_000);
        }
        assert_eq!(read(&idle, 0, 10, 1000), None);
        assert!(cache.kept.lock().bytes <= BUDGET_BYTES);
        let held: usize = busy.batches.lock().iter().map(|batch| batch.bytes.len()).sum();
        assert!(held <= BUDGET_BYTES && held > BUDGET_BYTES / 2, "{held}");
        drop(busy);
        append(&cache, &idle, 10, 50);
        assert_eq!(read(&idle, 10, 20, 1000), Some((50, 20, false)));
        cache.forget_closed();
        assert_eq!(read(&idle, 10, 20, 1000), Some((50, 20, false)));
        let kept = cache.kept.lock();
        assert_eq!((kept.entries.len(), kept.bytes), (1, 50 + ENTRY_BYTES), "of the busy log, nothing is left");
        assert!(kept.entries.capacity() < 16);
    }
}
