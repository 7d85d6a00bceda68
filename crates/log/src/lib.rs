//! Partition logs on disk, in Kafka's formats: segments, sparse indexes, leader epochs, producer state, checkpoints.
//!
//! In: validated batches from a leader's clients ([`Log::append_leader`]), batches as another replica has them
//! ([`Log::append_follower`]), the files that an earlier process left. Out: ranges of batches and look-ups
//! ([`LogReader`]), what is durable ([`FlushTarget`], [`SyncScheduler`]), and the same files.
//!
//! Does not know: who leads, what is committed (high watermarks are the caller's, here they are only checkpointed), topics'
//! configuration beyond [`LogConfig`], Kafka's protocol, the network.
//!
//! One [`LogDirectory`] per entry of `log.dirs` makes the logs in it. A [`Log`] has one writer, by `&mut`; readers and the
//! flusher share it without its lock. Every method is synchronous; those that wait for the disk say so.
//!
//! Architecture invariant: recovery returns a prefix of what was appended that holds every flushed batch (S1).
//! Architecture invariant: no answer depends on how a batch came into the log, nor on indexes or snapshots being there (S7).
//! Architecture invariant: nothing is flushed under a lock that an append needs, except where a log is cut.
//! Architecture invariant: an I/O error takes the directory out of service; nothing is tried again (S4).
//! Architecture invariant: no memory map, no task or timer of an idle log.

mod aborted_transaction;
mod batch_scan;
mod checkpoints;
mod compaction;
mod config;
mod directory_health;
mod disk_space;
mod doomed_files;
mod error;
mod file_names;
mod flush_stage;
mod flush_target;
mod header_walk;
pub mod inspection;
mod leader_epochs;
mod log;
mod log_directory;
mod log_reader;
mod log_summary;
mod offset_checkpoint;
mod partition_files;
mod producers;
mod properties;
#[cfg(test)]
mod read_committed;
mod recovery;
mod relocation;
mod room;
mod segment;
mod segment_index;
mod swap;
mod sync_scheduler;
mod tail_cache;
mod text_file;
mod time_lookup;
mod transaction_index;
mod transaction_scan;

pub use aborted_transaction::AbortedTransaction;
pub use compaction::{Compaction, CompactionSettings, CompactionStats, CompactionStep, Dirtiness};
pub use config::LogConfig;
pub use disk_space::{DiskSpace, SpaceUse};
pub use error::{AppendError, CompactionError, LogError, ReadError};
pub use flush_target::{FlushListener, FlushTarget};
pub use log::{FollowerAppend, LeaderAppend, Log, Retention};
pub use log_directory::{Identity, LogDirectory, LogDirectoryError};
pub use log_reader::{LogRead, LogReader};
pub use log_summary::LogSummary;
pub use producers::ActiveProducer;
pub use relocation::{Relocation, RelocationStage};
pub use sync_scheduler::SyncScheduler;
pub use text_file::Malformed;
pub use time_lookup::TimestampOffset;
