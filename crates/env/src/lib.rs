//! Everything a node takes from the world it runs in: sockets, files, a key-value store, two clocks, randomness and
//! blocking work, each in a real and a simulated form behind one enum.
//!
//! In: nothing but what the operating system (or the simulation) offers. Out: [`Env`], handed to `Broker::start` and from
//! there downwards. Does not know: Kafka, records, logs, Raft, which node it serves.
//!
//! The in-memory disk ([`SimFs`]) and key-value store ([`SimKv`]) are always compiled, because unit tests of `log` and
//! `quorum` want them without a simulated network: a real build pays one predictable branch beside each system call. The
//! simulated network is behind the feature `sim`; without it [`Conn`] is as large as a `TcpStream`.
//!
//! Architecture invariant: nothing outside this crate touches the clock, randomness, sockets, files or threads.
//! Architecture invariant: no state is global to the process except the anchor of the monotonic clock (and the counter of
//! [`lock`], where it is asked for); several nodes share
//! one thread in simulation, and each has its own [`Env`].
//! Architecture invariant: a simulated method that a real node would block in either returns at once or waits on virtual
//! time; nothing here waits for another task.

#[cfg(all(feature = "sim", not(tokio_unstable)))]
compile_error!(
    "the feature `sim` needs `--cfg tokio_unstable`, which `.cargo/config.toml` sets: a RUSTFLAGS variable in your \
     environment overrides that file; unset it or add the flag to it"
);

mod blocking;
pub mod clock;
mod file_terms;
mod fs;
mod grpc;
mod grpc_executor;
mod kv;
pub mod lock;
mod net;
pub mod rng;
mod sim;

use std::sync::Arc;

pub use blocking::{
    FlushLatency, install_flush_latency, rest_blocking, run_blocking, run_in_background, start_blocking,
};
pub use file_terms::{DirEntry, OpenMode};
pub use fs::{DirLock, File, Fs, SyncPoint};
pub use grpc::{GRPC_MAX_MESSAGE_BYTES, GrpcOptions, grpc_channel, grpc_serve};
pub use kv::{Kv, KvEntry, KvOp, KvOpener};
pub use net::{Conn, ConnReader, ConnWriter, Listener, Net};
pub use rng::EnvRng;
pub use sim::{CrashMode, DiskFault, SimFs, SimKv};

/// What one node has of the world. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// Sockets.
    pub net: Net,
    /// Files.
    pub fs: Fs,
    /// Key-value store for the metadata quorum.
    pub kv: Arc<dyn KvOpener>,
}

impl Env {
    /// The real world, with `kv` as its key-value store.
    pub fn real(kv: Arc<dyn KvOpener>) -> Self {
        Self { net: Net::Tcp, fs: Fs::Real, kv }
    }

    /// Real sockets over a disk in memory, for tests of whole nodes outside a simulation.
    pub fn in_memory(disk: SimFs, kv: SimKv) -> Self {
        Self { net: Net::Tcp, fs: Fs::Sim(disk), kv: Arc::new(kv) }
    }

    /// A host of a running turmoil simulation. The disk and the store belong to the host and outlive its crashes.
    #[cfg(feature = "sim")]
    pub fn simulated(disk: SimFs, kv: SimKv) -> Self {
        clock::look_for_simulation();
        Self { net: Net::Sim, fs: Fs::Sim(disk), kv: Arc::new(kv) }
    }
}
