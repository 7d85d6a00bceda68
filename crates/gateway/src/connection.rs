//! One client connection: reads frames, starts requests in order, writes replies in that order.
//!
//! One task per connection owns everything here, so there is no queue between reader and writer and no lock. Requests
//! are started strictly in the order received. While a reply waits (acks=all, a long poll), the next requests are read
//! and started, up to [`crate::reply_queue::MAX_IN_FLIGHT`]. While the socket does not take what is to be written,
//! nothing is read: a client that does not read its replies stalls itself only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use highwater_env::clock;
use highwater_types::MonoMs;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::frame::{FrameError, FrameReader};
use crate::output::Output;
use crate::reply_queue::{Handled, Reply, ReplyQueue};
use crate::timing::Timing;

/// A client that is told to go elsewhere and then asks nothing for so long has gone. Clients pause about 100 ms before they try
/// again (`retry.backoff.ms`).
const MOVED_ON: Duration = Duration::from_millis(200);

/// What a request may know about the connection it came on.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    /// Name of the listener that accepted the connection, as in `listeners`: decides which endpoints the client is told.
    pub(crate) listener: Arc<str>,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// When the connection last completed a frame or a reply.
    last_active: AtomicU64,
    /// Whether the client has asked for the metadata of topics on it.
    asked_metadata: AtomicBool,
    /// Whether the client said that it is librdkafka, or stands on it.
    librdkafka: AtomicBool,
    /// Whether the client has fetched on it.
    fetched: AtomicBool,
}

impl ConnectionInfo {
    /// Facts of a connection accepted now.
    pub(crate) fn new(listener: Arc<str>, peer: SocketAddr) -> Self {
        Self {
            listener,
            peer,
            last_active: AtomicU64::new(clock::mono_ms().0),
            asked_metadata: AtomicBool::new(false),
            librdkafka: AtomicBool::new(false),
            fetched: AtomicBool::new(false),
        }
    }

    /// The client asks for the metadata of topics. True if it did so before.
    pub(crate) fn asks_metadata_again(&self) -> bool {
        self.asked_metadata.swap(true, Ordering::Relaxed)
    }

    /// The client tells what it is (KIP-511). Clients that stand on librdkafka put its name into their version, some without "lib".
    pub(crate) fn is_used_by(&self, software: &str, version: &str) {
        self.librdkafka.store([software, version].iter().any(|text| text.contains("rdkafka")), Ordering::Relaxed);
    }

    /// Whether the client is librdkafka, or stands on it.
    pub(crate) fn is_librdkafka(&self) -> bool {
        self.librdkafka.load(Ordering::Relaxed)
    }

    /// Whether it is, and no consumer, as far as it has shown on this connection.
    pub(crate) fn is_librdkafka_producer(&self) -> bool {
        self.is_librdkafka() && !self.fetched.load(Ordering::Relaxed)
    }

    /// The client fetches.
    pub(crate) fn fetches(&self) {
        self.fetched.store(true, Ordering::Relaxed);
    }

    fn touch(&self) {
        self.last_active.store(clock::mono_ms().0, Ordering::Relaxed);
    }

    /// How long nothing has happened.
    fn idle_for(&self) -> Duration {
        clock::mono_ms() - MonoMs(self.last_active.load(Ordering::Relaxed))
    }
}

/// Turns a frame into an outcome. The connection knows nothing of what is inside.
pub(crate) trait FrameHandler: Send + Sync + 'static {
    /// Starts the request in `frame`; called in the order the frames arrived.
    fn handle(&self, frame: Bytes, connection: &Arc<ConnectionInfo>) -> Handled;
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The client closed it between two requests.
    #[error("closed by the client")]
    ClosedByClient,
    /// The frame could not be read.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A request could not be answered in a way the client would understand.
    #[error("{0}")]
    Refused(String),
    /// Writing failed.
    #[error("write failed: {0}")]
    Write(std::io::Error),
    /// Nothing happened for `connections.max.idle.ms`.
    #[error("idle for longer than connections.max.idle.ms")]
    Idle,
    /// This node stops.
    #[error("this node is shutting down")]
    ShuttingDown,
}

impl End {
    /// Whether the client did something wrong that an operator should see.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Frame(error) => matches!(error, FrameError::Negative(_) | FrameError::TooLarge { .. }),
            Self::ClosedByClient | Self::Write(_) | Self::Idle | Self::ShuttingDown => false,
        }
    }
}

/// A connection being served.
pub(crate) struct Connection<R, W, H> {
    info: Arc<ConnectionInfo>,
    reader: R,
    writer: W,
    handler: Arc<H>,
    frames: FrameReader,
    replies: ReplyQueue,
    output: Output,
    /// Stop-watches of the responses in `output`.
    unsent: Vec<Timing>,
}

impl<R, W, H> Connection<R, W, H>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    H: FrameHandler,
{
    /// A connection over `reader` and `writer`; frames longer than `max_frame_bytes` end it.
    pub(crate) fn new(
        info: Arc<ConnectionInfo>,
        reader: R,
        writer: W,
        handler: Arc<H>,
        max_frame_bytes: usize,
    ) -> Self {
        Self {
            info,
            reader,
            writer,
            handler,
            frames: FrameReader::new(max_frame_bytes),
            replies: ReplyQueue::default(),
            output: Output::default(),
            unsent: Vec::new(),
        }
    }

    /// Serves requests until the connection ends, and says why it did.
    pub(crate) async fn run(mut self, max_idle: Duration, mut stage: watch::Receiver<Stage>) -> End {
        let info = Arc::clone(&self.info);
        let mut leaving = stage.clone();
        let left = async {
            until(&mut leaving, Stage::Leaving).await;
            until_idle(&info, MOVED_ON).await;
        };
        tokio::select! {
            biased;
            () = until(&mut stage, Stage::Stopped) => End::ShuttingDown,
            end = self.serve() => end,
            () = left => End::ShuttingDown,
            () = until_idle(&info, max_idle) => End::Idle,
        }
    }

    async fn serve(&mut self) -> End {
        loop {
            if let Err(end) = self.write_ready_replies().await {
                return end;
            }
            let may_read = self.replies.admits_request();
            tokio::select! {
                biased;
                () = self.replies.head_ready(), if !self.replies.is_empty() => {}
                frame = self.frames.next_frame(&mut self.reader), if may_read => match frame {
                    Ok(Some(frame)) => {
                        self.info.touch();
                        let handled = self.handler.handle(frame, &self.info);
                        self.replies.push(handled).await;
                    }
                    Ok(None) => return End::ClosedByClient,
                    Err(error) => return End::Frame(error),
                },
            }
        }
    }

    /// Writes every reply that is ready at the head of the queue.
    async fn write_ready_replies(&mut self) -> Result<(), End> {
        let mut refused = None;
        while let Some(reply) = self.replies.pop_ready() {
            match reply {
                Reply::Send(pieces, timing) => {
                    pieces.into_iter().for_each(|piece| self.output.push(piece));
                    self.unsent.extend(timing);
                }
                Reply::Nothing => {}
                Reply::Close(reason) => {
                    refused = Some(reason);
                    break;
                }
            }
        }
        if !self.output.is_empty() {
            let now = clock::mono_us();
            self.unsent.iter_mut().for_each(|timing| timing.on_sending(now));
            self.output.write_to(&mut self.writer).await.map_err(End::Write)?;
            self.info.touch();
            let now = clock::mono_us();
            self.unsent.drain(..).for_each(|timing| timing.on_sent(now));
        }
        refused.map_or(Ok(()), |reason| Err(End::Refused(reason)))
    }
}

/// How far a node has come with stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It serves clients.
    Serving,
    /// Others have taken over what it did: no new connections, and each that is there ends once its client has moved on.
    Leaving,
    /// All connections end.
    Stopped,
}

/// Returns once the node has come so far, also when it went away without saying so.
pub(crate) async fn until(stage: &mut watch::Receiver<Stage>, reached: Stage) {
    let _ = stage.wait_for(|stage| *stage >= reached).await;
}

/// Returns once the connection has been idle for `max_idle`; for ever if that is zero.
async fn until_idle(info: &ConnectionInfo, max_idle: Duration) {
    if max_idle.is_zero() {
        return std::future::pending().await;
    }
    loop {
        let idle = info.idle_for();
        match max_idle.checked_sub(idle) {
            Some(rest) if !rest.is_zero() => tokio::time::sleep(rest).await,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests;
