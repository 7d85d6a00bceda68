//! A disk and a key-value store in memory. Both keep what a power loss would leave apart from what a reader sees, and both
//! belong to a host rather than to a run of its node: they outlive [`SimFs::crash`] and [`SimKv::crash`].

mod disk;
mod fault;
mod file_image;
mod fs;
mod kv;

pub use fault::DiskFault;
pub use fs::SimFs;
pub(crate) use fs::{SimFile, SimLock};
pub use kv::SimKv;

/// What a crash does to writes that were not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashMode {
    /// All are kept: the process died, the machine did not.
    Keep,
    /// All are lost.
    Drop,
    /// Each file loses all, none, a suffix with the last write torn at a 512-byte sector, or random sectors; each directory
    /// loses a suffix of its changes; the key-value store a suffix of its batches. Drawn from the seed.
    Torn,
}
