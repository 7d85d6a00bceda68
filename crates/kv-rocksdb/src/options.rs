//! RocksDB's settings: the metadata of a cluster is small, and a node's memory is for page cache.

use rocksdb::{BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel, Options};

const MIB: usize = 1024 * 1024;
/// Writes kept in memory by all column families together, before they become files.
const WRITE_BUFFERS: usize = 4 * MIB;
/// Writes kept in memory by one column family.
const WRITE_BUFFER: usize = 2 * MIB;
/// Blocks of files kept in memory. What is read again and again (the tail of the log, the vote) is in the write buffers or
/// in the callers' own memory.
const BLOCK_CACHE: usize = 2 * MIB;
/// Write-ahead log after which write buffers are written out, so that a restart has little to replay.
const WAL: u64 = 32 * MIB as u64;
/// Open files. A metadata store has a few dozen.
const OPEN_FILES: i32 = 128;
/// RocksDB's own log.
const INFO_LOG: usize = MIB;

/// Settings of the database and of each of its column families.
pub(crate) fn for_metadata(column_families: &[&'static str]) -> (Options, Vec<ColumnFamilyDescriptor>) {
    let mut database = Options::default();
    database.create_if_missing(true);
    database.create_missing_column_families(true);
    database.set_db_write_buffer_size(WRITE_BUFFERS);
    database.set_max_total_wal_size(WAL);
    database.set_max_open_files(OPEN_FILES);
    database.set_max_background_jobs(2);
    database.set_keep_log_file_num(2);
    database.set_max_log_file_size(INFO_LOG);
    database.set_log_level(LogLevel::Warn);
    // After a power loss the part of the log that was never synced may be torn anywhere: keep what is before it.
    database.set_wal_recovery_mode(DBRecoveryMode::PointInTime);

    let cache = Cache::new_lru_cache(BLOCK_CACHE);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&cache);
    let mut family = Options::default();
    family.set_write_buffer_size(WRITE_BUFFER);
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_block_based_table_factory(&table);
    let families = column_families.iter().map(|&name| ColumnFamilyDescriptor::new(name, family.clone())).collect();
    (database, families)
}
