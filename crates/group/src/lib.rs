//! Kafka's classic consumer groups and committed offsets, as a pure state machine.
//!
//! In: requests of clients with a token each, deadlines that have passed, outcomes of appends, records read back from a
//! partition of `__consumer_offsets`; `now` and randomness as arguments. Out: records to append, answers by token with
//! the condition for sending them, the next deadline. One [`GroupCoordinatorShard`] holds the groups of one partition.
//!
//! It does not know how records are appended or replicated, who the clients are, whether they may do what they ask, which
//! topics exist, or the wire format of requests.
//!
//! Architecture invariant: no async, no I/O, no clock, no ambient randomness; equal inputs give equal outputs.
//! Architecture invariant: stored state changes only when an append is reported to have succeeded, or on replay.
//! Architecture invariant: every token is answered exactly once, unless the shard is dropped.
//! Architecture invariant: records are Kafka 4.3's, byte for byte (see `schema`).

mod api;
mod classic;
mod config;
mod consumer_protocol;
mod effects;
mod member;
mod offsets;
mod output;
pub mod schema;
mod shard;
mod state;
mod timers;

pub use api::*;
pub use config::GroupConfig;
pub use output::{
    Now, Output, Reply, Response, SendWhen, Token, Write, WriteId, coordinator_error, offset_fetch_error,
};
pub use schema::CoordinatorRecord;
pub use shard::{GroupCoordinatorShard, ReplayError, Request};
pub use state::GroupState;
