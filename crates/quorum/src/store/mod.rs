//! The Raft log and the metadata state of one controller, in one key-value database.
//!
//! | column family | key | value |
//! |---|---|---|
//! | `raft_log` | index, big-endian | entry |
//! | `raft_meta` | `vote`, `purged`, `committed`, `directory_id`, `agreed` or `joined`, `cluster_id` | one each |
//! | `sm_meta` | `applied`, `membership`, `offset` | one each |
//! | `sm_data` | see [`image_keys`] | one metadata record each |
//!
//! What is durable when: a vote before [`LogStore::save_vote`](openraft::storage::RaftLogStorage::save_vote) returns; an
//! appended entry before its flush callback; everything else with the next of those, because all of it goes through one
//! write-ahead log in order. A crash therefore loses a suffix of what was written, and never an entry below something kept.

mod flusher;
mod identity;
mod image_keys;
mod log_store;
mod snapshot_file;
mod state_machine;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

use highwater_env::{Env, Kv};

pub(crate) use identity::{AgreedDirectories, Identity, agreed_from_pb};
pub(crate) use log_store::{LogReader, LogStore};
pub(crate) use snapshot_file::SnapshotDir;
pub use state_machine::{SnapshotBytes, StateMachine};

pub(crate) const RAFT_LOG: &str = "raft_log";
pub(crate) const RAFT_META: &str = "raft_meta";
pub(crate) const SM_META: &str = "sm_meta";
pub(crate) const SM_DATA: &str = "sm_data";
const COLUMN_FAMILIES: [&str; 4] = [RAFT_LOG, RAFT_META, SM_META, SM_DATA];

/// Name of the database directory inside the metadata directory.
const DATABASE: &str = "db";

/// Opens the database of `metadata_dir`, creating both if need be.
pub(crate) fn open_database(env: &Env, metadata_dir: &Path) -> io::Result<Arc<dyn Kv>> {
    env.fs.create_dir_all(metadata_dir)?;
    env.kv.open(&metadata_dir.join(DATABASE), &COLUMN_FAMILIES)
}
