//! The replies one connection owes, in the order of its requests.
//!
//! Slot states: `Waiting -> Ready -> taken`. Only the slot at the head is polled: a reply behind it could not be sent
//! anyway, and every future in here is passive after its first poll (it waits for a high watermark, a timer or another
//! member; nobody waits for it).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::timing::Timing;

/// Most requests of one connection that may await their replies: the connection is not read beyond. Stock producers keep
/// 5 in flight, librdkafka up to its socket's buffer; 64 keeps a pipe full at 1 ms per commit without letting one
/// connection park unbounded memory.
pub(crate) const MAX_IN_FLIGHT: usize = 64;

/// Most bytes of finished replies that may wait behind an unfinished one before the connection is not read any more. One
/// fetch response passes it, so that pipelined fetches cannot pile up responses; thousands of produce responses do not.
const MAX_UNSENT_BYTES: usize = 64 * 1024;

/// What a request is answered with.
#[derive(Debug)]
pub(crate) enum Reply {
    /// An encoded response, length prefix included, and the request's stop-watch.
    Send(Vec<Bytes>, Option<Timing>),
    /// Nothing: produce with acks=0.
    Nothing,
    /// The connection must close; the reason goes to the log.
    Close(String),
}

/// What handling one frame came to.
pub(crate) enum Handled {
    /// Answered at once.
    Now(Reply),
    /// The answer comes later. What the request does has been done, in request order, so the next request may start.
    Parked(BoxFuture<'static, Reply>),
    /// The answer comes later, and the next request must not start before: the effect may not have happened yet.
    Exclusive(BoxFuture<'static, Reply>),
}

enum Slot {
    Ready(Reply),
    Waiting(BoxFuture<'static, Reply>),
}

/// Replies in request order.
#[derive(Default)]
pub(crate) struct ReplyQueue {
    /// At most [`MAX_IN_FLIGHT`] slots.
    slots: VecDeque<Slot>,
    /// The newest slot holds back the next request.
    exclusive: bool,
    /// Bytes of the replies in `Ready` slots.
    unsent_bytes: usize,
}

impl Reply {
    fn len_bytes(&self) -> usize {
        match self {
            Self::Send(pieces, _) => pieces.iter().map(Bytes::len).sum(),
            Self::Nothing | Self::Close(_) => 0,
        }
    }
}

impl ReplyQueue {
    /// Takes the outcome of the newest request. A future gets its first poll here, in request order.
    pub(crate) async fn push(&mut self, handled: Handled) {
        debug_assert!(self.admits_request());
        let (mut future, exclusive) = match handled {
            Handled::Now(Reply::Nothing) => return,
            Handled::Now(reply) => return self.push_ready(reply),
            Handled::Parked(future) => (future, false),
            Handled::Exclusive(future) => (future, true),
        };
        let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        match first {
            Poll::Ready(reply) => self.push_ready(reply),
            Poll::Pending => {
                self.slots.push_back(Slot::Waiting(future));
                self.exclusive = exclusive;
            }
        }
    }

    /// Whether the connection may read and start another request.
    pub(crate) fn admits_request(&self) -> bool {
        !self.exclusive && self.slots.len() < MAX_IN_FLIGHT && self.unsent_bytes < MAX_UNSENT_BYTES
    }

    /// True when no reply is owed.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The oldest reply, if it is ready.
    pub(crate) fn pop_ready(&mut self) -> Option<Reply> {
        match self.slots.pop_front()? {
            Slot::Ready(reply) => {
                self.unsent_bytes -= reply.len_bytes();
                Some(reply)
            }
            waiting @ Slot::Waiting(_) => {
                self.slots.push_front(waiting);
                None
            }
        }
    }

    /// Waits until the oldest reply is ready; for ever when none is owed. Cancel safe.
    pub(crate) async fn head_ready(&mut self) {
        poll_fn(|context| self.poll_head(context)).await;
    }

    fn push_ready(&mut self, reply: Reply) {
        self.unsent_bytes += reply.len_bytes();
        self.slots.push_back(Slot::Ready(reply));
    }

    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(Slot::Waiting(future)) = self.slots.front_mut() else {
            return if self.slots.is_empty() { Poll::Pending } else { Poll::Ready(()) };
        };
        let Poll::Ready(reply) = future.as_mut().poll(context) else { return Poll::Pending };
        self.unsent_bytes += reply.len_bytes();
        self.slots[0] = Slot::Ready(reply);
        // An exclusive slot is always the newest: nothing starts behind it.
        if self.slots.len() == 1 {
            self.exclusive = false;
        }
        Poll::Ready(())
    }
}
