//! Accepts connections on one listener and serves each in a task of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_env::{Conn, Listener};
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::connection::{Connection, ConnectionInfo, End, FrameHandler, Stage, until};
use crate::metrics::ListenerMetrics;

/// Pause after a failed accept (too many open files, mostly): long enough not to spin, short enough not to be noticed.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Limits shared by all listeners of the node.
pub(crate) struct ConnectionLimits {
    /// One permit per open connection.
    open: Arc<Semaphore>,
    /// `max.connections.per.ip`.
    per_ip: usize,
    /// Open connections per address; no entry is zero.
    by_ip: Mutex<BTreeMap<IpAddr, usize>>,
}

impl ConnectionLimits {
    /// At most `total` connections, and `per_ip` from one address.
    pub(crate) fn new(total: usize, per_ip: usize) -> Arc<Self> {
        let open = Arc::new(Semaphore::new(total.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { open, per_ip, by_ip: Mutex::new(BTreeMap::new()) })
    }

    /// Counts a connection from `ip`; `None` if that address has its share already.
    fn admit(self: &Arc<Self>, ip: IpAddr, permit: OwnedSemaphorePermit) -> Option<Admission> {
        let mut by_ip = self.by_ip.lock();
        let count = by_ip.get(&ip).copied().unwrap_or(0);
        if count >= self.per_ip {
            return None;
        }
        by_ip.insert(ip, count + 1);
        Some(Admission { limits: Arc::clone(self), ip, _permit: permit })
    }
}

/// A counted connection; dropping it gives the place back.
struct Admission {
    limits: Arc<ConnectionLimits>,
    ip: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut by_ip = self.limits.by_ip.lock();
        if let Some(count) = by_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                by_ip.remove(&self.ip);
            }
        }
    }
}

/// One listener at work.
pub(crate) struct Acceptor<H> {
    /// Listener name, as in `listeners`.
    pub(crate) name: Arc<str>,
    /// The bound socket.
    pub(crate) listener: Listener,
    /// What answers the frames.
    pub(crate) handler: Arc<H>,
    /// Limits of the node.
    pub(crate) limits: Arc<ConnectionLimits>,
    /// `socket.request.max.bytes`.
    pub(crate) max_request_bytes: usize,
    /// `connections.max.idle.ms`.
    pub(crate) max_idle: Duration,
    /// Figures of this listener.
    pub(crate) metrics: ListenerMetrics,
    /// Whether the node stops.
    pub(crate) stage: watch::Receiver<Stage>,
}

impl<H: FrameHandler> Acceptor<H> {
    /// Serves until the node begins to stop, then waits for all its connections to end.
    pub(crate) async fn run(self) {
        let mut connections = JoinSet::new();
        let mut stage = self.stage.clone();
        loop {
            tokio::select! {
                biased;
                () = until(&mut stage, Stage::Leaving) => break,
                Some(ended) = connections.join_next() => report_panic(ended),
                (accepted, permit) = self.accept() => match accepted {
                    Ok((conn, peer)) => self.admit(conn, peer, permit, &mut connections),
                    Err(error) => {
                        tracing::warn!(listener = %self.name, %error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }
        drop(self.listener);
        while let Some(ended) = connections.join_next().await {
            report_panic(ended);
        }
    }

    async fn accept(&self) -> (std::io::Result<(Conn, SocketAddr)>, OwnedSemaphorePermit) {
        let permit = Arc::clone(&self.limits.open).acquire_owned().await.expect("the semaphore is never closed");
        (self.listener.accept().await, permit)
    }

    fn admit(&self, conn: Conn, peer: SocketAddr, permit: OwnedSemaphorePermit, connections: &mut JoinSet<()>) {
        let Some(admission) = self.limits.admit(peer.ip(), permit) else {
            self.metrics.refused.inc();
            tracing::warn!(listener = %self.name, %peer, "closed: max.connections.per.ip reached");
            return;
        };
        let info = Arc::new(ConnectionInfo::new(Arc::clone(&self.name), peer));
        let (reader, writer) = conn.into_split();
        let handler = Arc::clone(&self.handler);
        let connection = Connection::new(info, reader, writer, handler, self.max_request_bytes);
        let serve = connection.run(self.max_idle, self.stage.clone());
        let metrics = self.metrics.clone();
        let name = Arc::clone(&self.name);
        metrics.open.inc();
        metrics.accepted.inc();
        connections.spawn(async move {
            let _counted = (admission, Decrement(metrics.open));
            let end = serve.await;
            metrics.faults.inc_by(end.is_fault().into());
            report_end(&name, peer, &end);
        });
    }
}

struct Decrement(IntGauge);

impl Drop for Decrement {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn report_end(listener: &str, peer: SocketAddr, end: &End) {
    if end.is_fault() {
        tracing::warn!(listener, %peer, reason = %end, "closed a connection");
    } else {
        tracing::debug!(listener, %peer, reason = %end, "connection ended");
    }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked; other connections go on");
    }
}
