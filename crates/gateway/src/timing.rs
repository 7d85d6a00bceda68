//! Where the time of a request goes.
//!
//! ```text
//! frame complete -> decoded -> (work, wait, work, ...) -> ready -> begins to be sent -> sent
//!             queue         local and remote               response queue         send
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use highwater_env::clock::mono_us;

use crate::metrics::{ApiMetrics, Phases};

/// The stop-watch of one request; times are those of [`mono_us`].
#[derive(Debug)]
pub(crate) struct Timing {
    metrics: Arc<ApiMetrics>,
    started: u64,
    decoded: u64,
    /// Time spent working so far.
    local: u64,
    /// When the response was encoded; begins to be sent, later.
    ready: u64,
    response_queue: u64,
}

impl Timing {
    /// Starts when the handler starts; the frame was complete at `started`.
    pub(crate) fn new(metrics: Arc<ApiMetrics>, started: u64) -> Self {
        Self { metrics, started, decoded: mono_us(), local: 0, ready: 0, response_queue: 0 }
    }

    /// Figures of the API.
    pub(crate) fn metrics(&self) -> &ApiMetrics {
        &self.metrics
    }

    /// Runs `work` as time of this node's own.
    pub(crate) fn working<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        let before = mono_us();
        let result = work(self);
        self.local += mono_us().saturating_sub(before);
        result
    }

    /// Runs `future` to its end; only the time within its polls counts as work.
    pub(crate) async fn while_waiting<R>(&mut self, future: BoxFuture<'_, R>) -> R {
        Polled { future, local: &mut self.local }.await
    }

    /// The response is encoded.
    pub(crate) fn on_ready(&mut self) {
        self.ready = mono_us();
    }

    /// It begins to be sent.
    pub(crate) fn on_sending(&mut self, now: u64) {
        self.response_queue = now.saturating_sub(self.ready);
        self.ready += self.response_queue;
    }

    /// All of it was sent, or there was nothing to send.
    pub(crate) fn on_sent(self, now: u64) {
        let until_ready = self.ready - self.response_queue;
        self.metrics.on_done(Phases {
            queue: self.decoded.saturating_sub(self.started),
            local: self.local,
            remote: until_ready.saturating_sub(self.decoded + self.local),
            response_queue: self.response_queue,
            send: now.saturating_sub(self.ready),
            total: now.saturating_sub(self.started),
        });
    }
}

/// Adds up the time within the polls of a future.
struct Polled<'a, 'f, R> {
    future: BoxFuture<'f, R>,
    local: &'a mut u64,
}

impl<R> Future for Polled<'_, '_, R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let before = mono_us();
        let polled = self.future.as_mut().poll(context);
        *self.local += mono_us().saturating_sub(before);
        polled
    }
}
