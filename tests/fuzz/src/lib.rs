//! Hostile bytes for what the log reads: damaged files of a partition, and batches of clients.
//!
//! In: inputs of an engine that looks for new paths (`run`), those of earlier runs (`seeds/`), random ones. Out: a panic where a
//! promise is broken. Does not know: nodes, the network, the protocol around a batch.
//!
//! Random bytes alone would not get past the checksums. So most targets take the input as edits of something valid, and repair
//! the checksums afterwards: what is fuzzed is what a checksum does not protect from.

mod input;
mod spoil;
mod targets;
mod world;

/// A target: what is fed with inputs.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As in `make fuzz ONLY=name`.
    pub name: &'static str,
    /// Panics where a promise is broken. Any bytes are an input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 7] = [
    Target { name: "batch_validation", run: targets::batch_validation::run },
    Target { name: "codecs", run: targets::codecs::run },
    Target { name: "leader_epoch_checkpoint", run: targets::leader_epoch_checkpoint::run },
    Target { name: "offset_index", run: targets::offset_index::run },
    Target { name: "producer_snapshot", run: targets::producer_snapshot::run },
    Target { name: "recovery", run: targets::recovery::run },
    Target { name: "time_index", run: targets::time_index::run },
];

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }
}
