//! What clients saw, and whether a Kafka cluster may show it.
//!
//! In: events in the order in which they happened, from a simulation or from real clients, one JSON object per line when they
//! are kept. Out: a [`Verdict`] with every [`Anomaly`], and how long each partition acknowledged nothing. The anomalies are those of
//! Jepsen's Kafka workload (`jepsen.tests.kafka`, and the report on Redpanda 21.10).
//!
//! Architecture invariant: it knows no broker, no client and no clock. Whoever records says when.

mod anomaly;
mod checks;
mod event;
mod facts;
mod gaps;
mod recorder;
mod verdict;

pub use anomaly::{Anomaly, AnomalyKind};
pub use event::{
    Event, Isolation, Key, Operation, Outcome, Poll, Process, Record, Send, TransactionId, read_json_lines,
};
pub use gaps::{Gaps, longest_gaps};
pub use recorder::{Clock, Recorder};
pub use verdict::{Coverage, Verdict, check};
