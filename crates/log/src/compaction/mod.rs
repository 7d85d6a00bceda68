//! Log compaction (`cleanup.policy=compact`): of each key the last value stays, at its offset.
//!
//! In: segments below what is committed, decided and flushed; never the active one. Out: segments in their place that hold
//! fewer records at the same offsets, and how far the log is compacted (`cleaner-offset-checkpoint`).
//!
//! A caller asks [`Log::dirtiness`], begins with [`Log::begin_compaction`], lets [`Compaction::advance`] work in slices
//! without any lock of the log, and puts each finished segment in place with [`Log::install_compacted`].
//!
//! Architecture invariant: a crash at any point keeps the last value of each key (see `swap.rs`).
//! Architecture invariant: readers see a segment as it was or as it became, whole.
//! Architecture invariant: memory is bounded by the map, one batch, and what the producer state remembers.

mod cleaned_segment;
mod dirtiness;
mod filter;
mod install;
mod offset_map;
mod pass;
mod transactions;

pub use dirtiness::Dirtiness;
pub use pass::{Compaction, CompactionSettings, CompactionStats, CompactionStep};

#[cfg(test)]
mod tests;
