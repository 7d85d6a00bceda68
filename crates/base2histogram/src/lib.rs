//! Histograms for openraft's statistics, in the place of the published crate of this name (`[patch.crates-io]`).
//!
//! In: samples. Out: how many there were, and percentiles of them. It does not know what is counted, nor openraft.
//!
//! It exists because the published crate (0.2.3) fills lookup tables for sixteen precisions, 26 MiB, as soon as the first
//! histogram is made, while openraft uses one precision (docs/adr/0086-openrafts-histograms-are-computed.md). It can go when
//! the published one makes its tables on demand. It has what openraft compiles against
//! without its feature `runtime-stats`, and nothing else.
//!
//! Architecture invariant: nothing is looked up. The bucket of a sample follows from its leading bits.

mod bucket;
mod chart;
mod histogram;
mod percentiles;

pub use chart::AsciiChart;
pub use histogram::Histogram;
pub use percentiles::PercentileStats;
