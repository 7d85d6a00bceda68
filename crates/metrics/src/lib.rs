//! The table of all figures that a node shows to Prometheus, and how they are written.
//!
//! In: nothing. Out: one [`Metric`] per figure, from which its owner makes the collector, and from which the help text of a
//! scrape and `docs/metrics.md` come. It does not know what any of the figures counts or where it is kept.
//!
//! Names are those that Kafka's beans get from the common configuration of Prometheus' JMX exporter, in lower case, where
//! Kafka has such a figure; those of kafka_exporter for the lag of groups; `process_` as in Prometheus' own clients; all
//! others begin with `highwater_`.
//!
//! Architecture invariant: a collector is made from a [`Metric`] only; clippy refuses prometheus' own constructors elsewhere.
//! Architecture invariant: figures of single partitions are no collectors. They are read when asked for and written one by
//! one ([`Family`]): a hundred thousand of them take no memory between two scrapes.

mod document;
mod family;
mod metric;
mod section;
pub mod table;

pub use document::markdown;
pub use family::Family;
pub use metric::{Kind, LATENCY_MS, Metric, PHASE_MS, Presence, SIZE_BYTES};
pub use section::{Role, Section};
