//! The `highwater` binary: the command line over the real world.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use highwater_broker::cli::{Cli, run};
use highwater_kv_rocksdb::RocksDb;

/// One allocator for Rust and RocksDB: it returns memory to the system, and reserves large claims lazily.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse(), Arc::new(RocksDb)).await
}
