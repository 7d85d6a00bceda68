//! The composition root: configuration in, a running node out; and the command line.
//!
//! Role: reads `server.properties` ([`config`]), opens directories and sockets, starts the layers and connects them through
//! small adapters (`wiring/`), serves metrics and health over HTTP, and stops everything in order. `cli/` is the binary's
//! command line; its client commands speak the Kafka protocol and use nothing else of this crate, but for the form of the page that
//! `highwater explain` reads ([`history_page`]).
//! In: a [`BrokerConfig`] and an [`Env`](highwater_env::Env). Out: a [`RunningBroker`].
//! It does not know: how anything is decided, stored, replicated or answered.
//!
//! Architecture invariant: this is the only crate that names more than one crate of level 4.
//! Architecture invariant: [`Broker::start`] runs unchanged in a simulation: no process-wide state, no signal, no exit here.
//! Only the command line has those.

mod announce;
mod broker;
pub mod cli;
pub mod config;
mod history_page;
mod http;
mod inspection;
mod lifecycle;
pub mod logging;
mod metrics;
mod running;
mod sockets;
mod wiring;

pub use broker::{Broker, StartError};
pub use config::BrokerConfig;
pub use inspection::{ControllerInspection, Inspector, NodeInspection};
pub use lifecycle::NodeFailure;
pub use running::RunningBroker;
