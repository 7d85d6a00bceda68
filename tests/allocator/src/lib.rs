//! An allocator that counts, for tests of what something costs: `#[global_allocator] static ALLOCATOR: Counting = Counting;`.
//!
//! Counts of one thread are for tests whose work stays on it, while other tests run beside them; counts of the process are for
//! programs that run one test at a time. It does not know what is measured.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The system's allocator, counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counting;

static OF_PROCESS: AtomicU64 = AtomicU64::new(0);
static IN_SIZE_CLASSES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static OF_THREAD: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// Blocks taken or enlarged so far, by all threads.
pub fn allocations() -> u64 {
    OF_PROCESS.load(Ordering::Relaxed)
}

/// Blocks taken or enlarged so far, by this thread.
pub fn allocations_of_thread() -> u64 {
    OF_THREAD.get()
}

/// Bytes that this thread took and did not give back. What it gave back for others counts against it.
pub fn held_by_thread() -> i64 {
    HELD.get()
}

/// Bytes that all threads took and did not give back, each block in the size that jemalloc has for it.
pub fn held_in_size_classes() -> i64 {
    IN_SIZE_CLASSES.load(Ordering::Relaxed)
}

/// The most bytes that this thread held at once during `work`, beyond what it held before.
pub fn peak_of<R>(work: impl FnOnce() -> R) -> (usize, R) {
    let before = held_by_thread();
    PEAK.set(before);
    let result = work();
    (usize::try_from(PEAK.get() - before).unwrap_or(0), result)
}

/// jemalloc's size for a block: multiples of 16 up to 128, then four sizes for each power of two.
fn size_class(bytes: usize) -> usize {
    match bytes {
        0..=8 => bytes.next_multiple_of(8),
        9..=128 => bytes.next_multiple_of(16),
        _ => bytes.next_multiple_of(bytes.next_power_of_two() / 8),
    }
}

/// Of blocks of `before` bytes, so many have `after` bytes now; 0 stands for none.
fn count(allocations: u64, before: usize, after: usize) {
    OF_PROCESS.fetch_add(allocations, Ordering::Relaxed);
    IN_SIZE_CLASSES.fetch_add(size(size_class(after)) - size(size_class(before)), Ordering::Relaxed);
    let bytes = size(after) - size(before);
    // Threads allocate while their locals are being torn down; those do not matter.
    let _ = OF_THREAD.try_with(|count| count.set(count.get() + allocations));
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// SAFETY: every call is passed on to the system allocator unchanged; counting touches only integers, and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, 0, layout.size());
        // SAFETY: the caller's promises are those of `System::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size(), 0);
        // SAFETY: the caller's promises are those of `System::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Old and new block may exist at once.
        count(1, 0, new_size);
        count(0, layout.size(), 0);
        // SAFETY: the caller's promises are those of `System::realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    #[test]
    fn sizes_are_those_of_jemalloc() {
        for (bytes, class) in [
            (0, 0),
            (1, 8),
            (8, 8),
            (9, 16),
            (128, 128),
            (129, 160),
            (513, 640),
            (712, 768),
            (1024, 1024),
            (1025, 1280),
        ] {
            assert_eq!(size_class(bytes), class, "{bytes}");
        }
    }

    #[test]
    fn blocks_and_bytes_of_this_thread_are_counted() {
        let (blocks, bytes, all) = (allocations_of_thread(), held_by_thread(), allocations());
        let mut grown: Vec<u8> = Vec::with_capacity(100);
        grown.reserve_exact(300);
        assert_eq!((allocations_of_thread() - blocks, held_by_thread() - bytes), (2, 300));
        assert!(allocations() - all >= 2);
        drop(grown);
        assert_eq!((allocations_of_thread() - blocks, held_by_thread() - bytes), (2, 0));
    }

    #[test]
    fn a_peak_is_what_is_held_at_once() {
        let (peak, kept) = peak_of(|| {
            drop(vec![0u8; 500]);
            drop(vec![0u8; 700]);
            vec![0u8; 100]
        });
        assert_eq!((peak, kept.len()), (700, 100));
    }
}
