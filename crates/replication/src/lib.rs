//! Replicas of partitions on one broker: the registry, the append and read paths, the replication streams between brokers,
//! and the proposals of ISR changes.
//!
//! In: metadata images ([`Replicas::apply_metadata`]), validated batches ([`Replicas::append`]), reads, and the gRPC streams
//! of followers. Out: acknowledgements once the high watermark passes, records, offsets, frames to followers and from
//! leaders, proposals to the controller ([`AlterPartitionSender`]), and metrics.
//! The rules (who counts, when the high watermark moves, what is truncated) are those of the pure crate
//! `highwater-partition`; this crate feeds it events and carries out its actions.
//! It does not know the Kafka protocol, how the controller is reached, or what a consumer group is.
//!
//! Architecture invariant: no lock is held across an await, and none while the disk is flushed.
//! Architecture invariant: the high watermark is set in one place only, `highwater_partition::Replica::step`.
//! Architecture invariant: a stream error affects that stream only; partitions notice nothing but the silence.

mod aftermath;
mod append;
mod background;
mod backoff;
mod cleaner;
mod cleaner_metrics;
mod cleaner_progress;
mod config;
mod context;
mod deletion;
mod directory_failures;
mod directory_metrics;
mod directory_reports;
mod fetch;
mod follower_stream;
mod following;
mod future_log;
mod home;
mod isr;
mod isr_proposals;
mod leader_service;
mod leading;
mod lease;
mod link;
mod link_slot;
mod link_task;
mod log_directories;
mod log_slot;
mod log_work;
mod log_worker;
mod metadata;
mod metrics;
mod node;
mod offsets;
mod on_flushed;
mod parked_acks;
mod partition;
mod placement;
mod reader;
mod registry;
mod relocating;
mod relocation;
mod relocator;
mod replicas;
mod snapshot;
mod status;
mod stop;
mod throttle;
mod throttles;
mod topic_settings;
mod totals;
mod waiter;
mod waiter_registration;
mod window;

pub use highwater_log::{AbortedTransaction, ActiveProducer};

pub use append::{Acks, AppendOutcome, HighWatermarkWait, ProduceError};
pub use config::ReplicationConfig;
pub use directory_reports::{DirectoryReporter, FailedLogDirectory};
pub use fetch::{DivergingEpoch, FetchError, FetchRead, FetchResult, Isolation, LeaderHint};
pub use isr::{AlterPartitionOutcome, AlterPartitionSender, IsrProposal};
pub use lease::Lease;
pub use log_directories::{FutureReplicaStatus, LogDirectories, LogDirectoryStatus};
pub use offsets::{ListedOffset, OffsetSpec};
pub use replicas::{Replicas, StartError};
pub use status::{PartitionFigures, PartitionRole, PartitionStatus};
pub use waiter::FetchWaiter;
pub use waiter_registration::WaiterRegistration;
