//! The Kafka protocol as clients see it: listeners, connections, framing, and one file per Kafka API.
//!
//! In: bytes of clients. Out: requests to the replicas on this node, to its group coordinator and to the active controller,
//! and their answers as bytes; figures per API and per topic.
//! This crate knows nothing of how records are stored or replicated, how groups balance, or how metadata is decided.
//!
//! The way of a request: [`connection`] cuts frames and keeps the order, [`dispatch`] decodes, calls the handler under
//! [`api`] and encodes, [`reply_queue`] holds what is not answered yet, [`output`] writes.
//!
//! Architecture invariant: record bytes of a produce request are slices of the frame's buffer, and record bytes of a fetch
//! response leave as the slices the log gave out; nothing in here copies them.
//! Architecture invariant: a connection costs no more memory than a constant and a small multiple of the bytes it sent.
//! Architecture invariant: requests of one connection start in the order received and are answered in that order.
//! Architecture invariant: no lock is held across an await, except the one that queues for producer ids.
//! Architecture invariant: what cannot be decoded closes its own connection, with one line in the log, and nothing else.

mod answer;
mod api;
mod authorized_operations;
mod config;
mod config_changes;
mod config_resource;
mod connection;
mod controller;
mod departures;
mod dispatch;
mod duplicates;
mod endpoints;
mod fetch_plan;
mod fetch_session;
mod fetch_session_cache;
mod fetch_sessions;
mod fetch_targets;
mod frame;
mod gateway;
mod known_errors;
mod listener;
mod metrics;
mod output;
mod producer_ids;
mod reply_queue;
mod response_errors;
mod state;
mod timing;
mod topic_configs;
mod topic_creation;
mod topic_metrics;
mod wire;

pub use config::{GatewayConfig, ListenerConfig};
pub use controller::{Controller, Metadata};
pub use gateway::{BoundGateway, Gateway, StartError};
pub use state::Services;
