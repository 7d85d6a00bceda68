//! Group commit of the Raft log: one sync of the write-ahead log answers every append that waited for it.

use std::io;
use std::sync::Arc;

use highwater_env::{Kv, run_blocking};
use openraft::storage::IOFlushed;
use tokio::sync::mpsc;

use crate::raft_types::TypeConfig;

/// Appends that may wait for a sync. openraft keeps a few batches in flight; a longer queue only means a stuck disk, and
/// then the caller had better wait.
const QUEUE: usize = 1024;

/// The appending side. Dropping it ends the flusher.
pub(crate) struct Flusher {
    waiting: mpsc::Sender<IOFlushed<TypeConfig>>,
}

impl Flusher {
    /// Starts the flusher of `kv` on the current runtime.
    pub(crate) fn start(kv: Arc<dyn Kv>) -> Self {
        let (waiting, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(kv, queue));
        Self { waiting }
    }

    /// Has `callback` called once everything written so far is durable, after all callbacks handed in before.
    pub(crate) async fn flush(&self, callback: IOFlushed<TypeConfig>) {
        if let Err(mpsc::error::SendError(callback)) = self.waiting.send(callback).await {
            callback.io_completed(Err(io::Error::other("the flusher of the metadata log has stopped")));
        }
    }
}

async fn run(kv: Arc<dyn Kv>, mut queue: mpsc::Receiver<IOFlushed<TypeConfig>>) {
    let mut failed: Option<(io::ErrorKind, String)> = None;
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, QUEUE).await > 0 {
        // After a failed sync the operating system may have dropped the dirty pages: a later success would prove nothing.
        if failed.is_none() {
            let kv = kv.clone();
            if let Err(error) = run_blocking(move || kv.sync_wal()).await {
                tracing::error!(%error, "cannot flush the metadata log; this controller stops");
                failed = Some((error.kind(), error.to_string()));
            }
        }
        for callback in batch.drain(..) {
            callback.io_completed(match &failed {
                None => Ok(()),
                Some((kind, message)) => Err(io::Error::new(*kind, message.clone())),
            });
        }
    }
}
