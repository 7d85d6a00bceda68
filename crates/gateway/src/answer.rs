//! What a handler returns.

use std::future::Future;

use futures::FutureExt;
use futures::future::BoxFuture;
use highwater_protocol::ResponseBody;

/// How a request is answered, and when.
pub(crate) enum Answer {
    /// Answered at once.
    Now(ResponseBody),
    /// Produce with acks=0: no response.
    Silent,
    /// The only way to tell the client is to close the connection.
    Close(String),
    /// Later; the next request of the connection may start meanwhile (see [`Handled::Parked`](crate::reply_queue::Handled::Parked)).
    Parked(BoxFuture<'static, ResponseBody>),
    /// Later; the next request waits (see [`Handled::Exclusive`](crate::reply_queue::Handled::Exclusive)).
    Exclusive(BoxFuture<'static, ResponseBody>),
}

impl Answer {
    pub(crate) fn now(body: impl Into<ResponseBody>) -> Self {
        Self::Now(body.into())
    }

    pub(crate) fn parked<B: Into<ResponseBody> + 'static>(body: impl Future<Output = B> + Send + 'static) -> Self {
        Self::Parked(body.map(Into::into).boxed())
    }

    pub(crate) fn exclusive<B: Into<ResponseBody> + 'static>(body: impl Future<Output = B> + Send + 'static) -> Self {
        Self::Exclusive(body.map(Into::into).boxed())
    }
}
