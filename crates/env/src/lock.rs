//! The locks of all crates, which can be counted.
//!
//! With the feature `counted-locks`, which only a test that counts what a request costs asks for, each acquisition adds one to a
//! counter of the process; without it these are the locks of `parking_lot`, and nothing is between.

#[cfg(not(feature = "counted-locks"))]
pub use parking_lot::{Mutex, RwLock};

#[cfg(feature = "counted-locks")]
pub use counted::{Mutex, RwLock, acquisitions};

#[cfg(feature = "counted-locks")]
mod counted {
    use std::sync::atomic::{AtomicU64, Ordering};

    use parking_lot::lock_api;

    static ACQUISITIONS: AtomicU64 = AtomicU64::new(0);

    /// `parking_lot`'s, counted.
    pub type Mutex<T> = lock_api::Mutex<Counted<parking_lot::RawMutex>, T>;
    /// `parking_lot`'s, counted.
    pub type RwLock<T> = lock_api::RwLock<Counted<parking_lot::RawRwLock>, T>;

    /// How often a lock was acquired in this process, whichever it was.
    pub fn acquisitions() -> u64 {
        ACQUISITIONS.load(Ordering::Relaxed)
    }

    /// A lock that counts.
    pub struct Counted<R>(R);

    fn count() {
        ACQUISITIONS.fetch_add(1, Ordering::Relaxed);
    }

    // SAFETY: each method is the inner lock's, which keeps the promises of the trait.
    unsafe impl<R: lock_api::RawMutex> lock_api::RawMutex for Counted<R> {
        const INIT: Self = Self(R::INIT);
        type GuardMarker = R::GuardMarker;

        fn lock(&self) {
            count();
            self.0.lock();
        }

        fn try_lock(&self) -> bool {
            count();
            self.0.try_lock()
        }

        unsafe fn unlock(&self) {
            // SAFETY: the caller holds the lock.
            unsafe { self.0.unlock() }
        }
    }

    // SAFETY: as above.
    unsafe impl<R: lock_api::RawRwLock> lock_api::RawRwLock for Counted<R> {
        const INIT: Self = Self(R::INIT);
        type GuardMarker = R::GuardMarker;

        fn lock_shared(&self) {
            count();
            self.0.lock_shared();
        }

        fn try_lock_shared(&self) -> bool {
            count();
            self.0.try_lock_shared()
        }

        unsafe fn unlock_shared(&self) {
            // SAFETY: the caller holds the lock.
            unsafe { self.0.unlock_shared() }
        }

        fn lock_exclusive(&self) {
            count();
            self.0.lock_exclusive();
        }

        fn try_lock_exclusive(&self) -> bool {
            count();
            self.0.try_lock_exclusive()
        }

        unsafe fn unlock_exclusive(&self) {
            // SAFETY: the caller holds the lock.
            unsafe { self.0.unlock_exclusive() }
        }
    }
}
