//! The metadata quorum: which commands are decided, in which order, who may decide, and who gets to know.
//!
//! Role: Raft among controllers (openraft), the active controller's single write loop around the pure
//! [`decide`](highwater_controller::decide), broker sessions with leases, and the stream by which every node follows the
//! committed metadata.
//! In: commands, broker registrations and heartbeats, the messages of `quorum.proto`. Out: committed metadata images with
//! what changed ([`MetadataPublisher`]), command responses, leases, metrics.
//! It does not know: what a command means (crate `controller`), partitions' data, the Kafka protocol.
//!
//! | file | what |
//! |---|---|
//! | `node` | [`ControllerNode`]: one controller, from opening its directory to shutdown |
//! | `bootstrap` | how voters form a quorum once, and refuse an emptied disk (`docs/adr/0002-bootstrap.md`) |
//! | `store/` | Raft log, vote, state machine and snapshots on `env`'s key-value store and files |
//! | `peers`, `raft_service` | Raft over gRPC, sending and receiving side |
//! | `members`, `credentials` | whom Raft's messages are for and from |
//! | `voters`, `observer`, `admission` | controllers join, get a vote, lose it (`docs/adr/0078-voters-join-and-leave.md`) |
//! | `election` | a broken connection to the leader starts an election at once |
//! | `controller_core` | what the parts of one controller share |
//! | `write_loop`, `submission`, `dedup` | the active controller: take queued commands, decide, commit, reply |
//! | `sessions`, `session_service` | broker leases: the rules, and the stream that carries them |
//! | `past_leases` | until when leases of earlier controllers may last |
//! | `feed`, `controller_service` | committed changes for followers |
//! | `client`, `finder` | commands from any node |
//! | `broker_link/` | a broker's side: metadata in, lease kept |
//!
//! Architecture invariant: only this crate names openraft.
//! Architecture invariant: the metadata image changes only in the state machine's `apply` and `install_snapshot`.
//! Architecture invariant: a command is decided only by the write loop, only over an image that contains every entry
//! committed before its term, and its records take effect only at the offset they were decided for.
//! Architecture invariant: a founder never takes part in Raft before it and all founders agreed on each other's directories; any
//! other controller is known to Raft by its directory.

mod admission;
mod bootstrap;
mod broker_link;
mod client;
mod config;
mod controller_core;
mod controller_service;
mod credentials;
mod dedup;
mod describe_quorum;
mod election;
mod error;
mod event_times;
mod feed;
mod finder;
mod history;
mod members;
mod metadata_handle;
mod metrics;
mod node;
mod observer;
mod past_leases;
mod peers;
mod raft_service;
mod raft_types;
mod runtime;
mod session_service;
mod sessions;
mod store;
mod submission;
#[cfg(test)]
mod tests;
mod voters;
mod waiting;
mod wire;
mod write_loop;

pub use broker_link::BrokerLink;
pub use client::ControllerClient;
pub use config::{FatalHandler, QuorumConfig, Voter};
pub use error::QuorumError;
/// What travels through [`ControllerClient`], so that callers need not name the deciding crate.
pub use highwater_controller::{
    Command, CommandError, CommandResponse, QuorumDescription, QuorumReplica, RegisterBroker, VoterChange, VoterKey,
};
pub use history::KnownHistory;
pub use metadata_handle::{MetadataHandle, MetadataPublisher};
pub use node::ControllerNode;
