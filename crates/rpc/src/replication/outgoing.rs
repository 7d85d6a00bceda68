//! The body of a request or an answer that is a stream of frames.
//!
//! tonic's own body gathers messages in one buffer, for which it copies them; here each piece of a message stays what it is.

use std::pin::Pin;

use bytes::Bytes;
use http_body::Body;
use tonic::codegen::http::HeaderMap;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::{Context, Poll};
use tonic::{Code, Status};

use super::codec::{Frame, Pieces};

/// Sends what `frames` gives. Ends with the stream, or with its first error.
pub(super) struct Outgoing<S> {
    frames: Pin<Box<S>>,
    pieces: Pieces,
    /// Whether the status is yet to be sent: by the server, as trailers. A client just ends.
    tells_status: bool,
    ended: bool,
}

impl<S> Outgoing<S> {
    /// Of a request.
    pub(super) fn of_client(frames: S) -> Self {
        Self { frames: Box::pin(frames), pieces: Pieces::default(), tells_status: false, ended: false }
    }

    /// Of an answer.
    pub(super) fn of_server(frames: S) -> Self {
        Self { tells_status: true, ..Self::of_client(frames) }
    }

    fn end(&mut self, status: &Status) -> Option<Result<http_body::Frame<Bytes>, Status>> {
        self.ended = true;
        if !self.tells_status {
            return None;
        }
        let mut trailers = HeaderMap::new();
        Some(status.add_header(&mut trailers).map(|()| http_body::Frame::trailers(trailers)))
    }
}

impl<F: Frame, S: Stream<Item = Result<F, Status>>> Body for Outgoing<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let Self { frames, pieces, ended, .. } = &mut *self;
        loop {
            if let Some(piece) = pieces.pop() {
                return Poll::Ready(Some(Ok(http_body::Frame::data(piece))));
            }
            if *ended {
                return Poll::Ready(None);
            }
            let encoded = match frames.as_mut().poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(frame)) => frame.and_then(|frame| frame.encode(pieces)),
                Poll::Ready(None) => return Poll::Ready(self.end(&Status::new(Code::Ok, ""))),
            };
            if let Err(status) = encoded {
                return Poll::Ready(self.end(&status));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
