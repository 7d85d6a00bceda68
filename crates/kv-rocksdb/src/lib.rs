//! The metadata store of a real node: `env`'s key-value trait on RocksDB.
//!
//! Role: the only crate that links RocksDB, so that nothing else waits for its compilation.
//! In: batches of puts and deletes, reads. Out: the guarantees of [`Kv`]: atomic batches, one write-ahead log for all
//! column families, durability when asked for.
//! It does not know: Raft, metadata, which thread it is called on.
//!
//! Architecture invariant: calls run on the caller's thread. A write without sync ends in the page cache and is quick;
//! whoever syncs does so where blocking is allowed.
//! Architecture invariant: every batch goes through the write-ahead log, so a crash loses a suffix of the batches, never
//! one in between.

mod options;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

use highwater_env::{Kv, KvEntry, KvOp, KvOpener};
use rocksdb::{ColumnFamily, DB, Direction, ErrorKind, IteratorMode, ReadOptions, WriteBatch, WriteOptions};

/// Opens RocksDB databases.
#[derive(Debug, Clone, Copy, Default)]
pub struct RocksDb;

/// One open database.
struct OpenDb {
    db: DB,
}

impl KvOpener for RocksDb {
    fn open(&self, path: &Path, column_families: &[&'static str]) -> io::Result<Arc<dyn Kv>> {
        let (database, families) = options::for_metadata(column_families);
        let db = DB::open_cf_descriptors(&database, path, families).map_err(to_io)?;
        Ok(Arc::new(OpenDb { db }))
    }
}

impl OpenDb {
    fn family(&self, name: &str) -> io::Result<&ColumnFamily> {
        self.db
            .cf_handle(name)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("the store has no column family {name}")))
    }

    fn batch(&self, ops: Vec<KvOp>) -> io::Result<WriteBatch> {
        let mut batch = WriteBatch::default();
        for op in ops {
            match op {
                KvOp::Put { cf, key, value } => batch.put_cf(self.family(cf)?, key, value),
                KvOp::Delete { cf, key } => batch.delete_cf(self.family(cf)?, key),
                // RocksDB refuses a range that ends before it begins; it holds nothing.
                KvOp::DeleteRange { from, to, .. } if from >= to => {}
                KvOp::DeleteRange { cf, from, to } => batch.delete_range_cf(self.family(cf)?, from, to),
            }
        }
        Ok(batch)
    }
}

impl Kv for OpenDb {
    fn get(&self, column_family: &'static str, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.db.get_cf(self.family(column_family)?, key).map_err(to_io)
    }

    fn scan(
        &self,
        column_family: &'static str,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> io::Result<Vec<KvEntry>> {
        let mut read = ReadOptions::default();
        if let Some(to) = to {
            if from >= to {
                return Ok(Vec::new());
            }
            read.set_iterate_upper_bound(to);
        }
        let start = IteratorMode::From(from, Direction::Forward);
        let entries = self.db.iterator_cf_opt(self.family(column_family)?, read, start);
        entries.take(limit).map(|entry| entry.map(owned).map_err(to_io)).collect()
    }

    fn last(&self, column_family: &'static str) -> io::Result<Option<KvEntry>> {
        let mut entries = self.db.iterator_cf(self.family(column_family)?, IteratorMode::End);
        entries.next().map(|entry| entry.map(owned).map_err(to_io)).transpose()
    }

    fn write(&self, ops: Vec<KvOp>, sync: bool) -> io::Result<()> {
        let mut write = WriteOptions::default();
        write.set_sync(sync);
        self.db.write_opt(self.batch(ops)?, &write).map_err(to_io)
    }

    fn sync_wal(&self) -> io::Result<()> {
        self.db.flush_wal(true).map_err(to_io)
    }
}

fn owned((key, value): (Box<[u8]>, Box<[u8]>)) -> KvEntry {
    (key.into_vec(), value.into_vec())
}

fn to_io(error: rocksdb::Error) -> io::Error {
    let kind = match error.kind() {
        ErrorKind::Corruption => io::ErrorKind::InvalidData,
        ErrorKind::NotFound => io::ErrorKind::NotFound,
        ErrorKind::InvalidArgument => io::ErrorKind::InvalidInput,
        ErrorKind::Busy | ErrorKind::TryAgain => io::ErrorKind::ResourceBusy,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
