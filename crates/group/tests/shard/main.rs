//! Tests of one shard through its public interface.

mod harness;
mod random;
mod scripts;
