//! The key-value store under the metadata quorum: ordered keys in column families, atomic batches, one write-ahead log.

use std::io;
use std::path::Path;
use std::sync::Arc;

/// Opens stores. One store serves one node's metadata directory.
pub trait KvOpener: Send + Sync {
    /// Opens the store at `path`, creating it and any missing column family. A store is open at most once at a time.
    ///
    /// # Errors
    /// When the store is open elsewhere, damaged, or the disk fails.
    fn open(&self, path: &Path, column_families: &[&'static str]) -> io::Result<Arc<dyn Kv>>;
}

/// One key with its value.
pub type KvEntry = (Vec<u8>, Vec<u8>);

/// An open store. Every method is synchronous; only those that sync can take milliseconds.
pub trait Kv: Send + Sync {
    /// The value of `key`, or `None`.
    fn get(&self, column_family: &'static str, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Up to `limit` entries in ascending key order, with `from <= key` and, if `to` is given, `key < to`.
    fn scan(
        &self,
        column_family: &'static str,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> io::Result<Vec<KvEntry>>;

    /// The entry with the highest key.
    fn last(&self, column_family: &'static str) -> io::Result<Option<KvEntry>>;

    /// Applies all of `ops` in order, or none. Readable on return; durable on return only with `sync`, otherwise by the
    /// next synced write or [`Kv::sync_wal`]. A crash loses unsynced batches from the newest backwards, never one in between.
    fn write(&self, ops: Vec<KvOp>, sync: bool) -> io::Result<()>;

    /// Makes every batch written so far durable.
    fn sync_wal(&self) -> io::Result<()>;
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvOp {
    /// Sets `key` to `value`.
    Put {
        /// Column family.
        cf: &'static str,
        /// Key.
        key: Vec<u8>,
        /// Value.
        value: Vec<u8>,
    },
    /// Removes `key`; nothing happens if it is absent.
    Delete {
        /// Column family.
        cf: &'static str,
        /// Key.
        key: Vec<u8>,
    },
    /// Removes all keys with `from <= key < to`.
    DeleteRange {
        /// Column family.
        cf: &'static str,
        /// First key removed.
        from: Vec<u8>,
        /// First key kept.
        to: Vec<u8>,
    },
}
