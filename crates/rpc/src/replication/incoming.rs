//! The frames that the other side of a stream sends.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body as _;
use tonic::body::Body;
use tonic::{Code, Status};

use super::codec::{Frame, PREFIX_BYTES};

/// Frames as they come. Dropping it ends the stream.
#[derive(Debug)]
pub struct Incoming<F> {
    body: Body,
    chunks: Chunks,
    /// Length of the message that comes next, once its prefix is here.
    expected: Option<usize>,
    max_message_bytes: usize,
    frames: PhantomData<fn() -> F>,
}

impl<F: Frame> Incoming<F> {
    pub(super) fn new(body: Body, max_message_bytes: usize) -> Self {
        Self { body, chunks: Chunks::default(), expected: None, max_message_bytes, frames: PhantomData }
    }

    /// The next frame; `None` when the other side has ended the stream. Cancel safe.
    ///
    /// # Errors
    /// The status with which the other side ended the stream, that of a broken connection, or INTERNAL and OUT_OF_RANGE for
    /// messages that are malformed or too long. Nothing comes after an error.
    pub async fn message(&mut self) -> Result<Option<F>, Status> {
        loop {
            if let Some(length) = self.whole_message()? {
                self.expected = None;
                let mut message = (&mut self.chunks).take(length);
                let frame = F::decode(&mut message)?;
                return match message.remaining() {
                    0 => Ok(Some(frame)),
                    _ => Err(Status::internal("bytes behind the end of a replication frame")),
                };
            }
            match poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await.transpose()? {
                Some(part) => match part.into_data() {
                    Ok(data) => self.chunks.push(data),
                    Err(part) => {
                        let status = part.into_trailers().ok().and_then(|trailers| Status::from_header_map(&trailers));
                        if let Some(status) = status.filter(|status| status.code() != Code::Ok) {
                            return Err(status);
                        }
                    }
                },
                None if self.expected.is_some() || self.chunks.has_remaining() => {
                    return Err(Status::internal("the stream ended within a replication frame"));
                }
                None => return Ok(None),
            }
        }
    }

    /// The length of the next message, if all of it is here.
    fn whole_message(&mut self) -> Result<Option<usize>, Status> {
        if self.expected.is_none() && self.chunks.remaining() >= PREFIX_BYTES {
            if self.chunks.get_u8() != 0 {
                return Err(Status::internal("a compressed replication frame"));
            }
            let length = self.chunks.get_u32() as usize;
            if length > self.max_message_bytes {
                let limit = self.max_message_bytes;
                return Err(Status::out_of_range(format!(
                    "a replication frame of {length} bytes, the limit is {limit}"
                )));
            }
            self.expected = Some(length);
        }
        Ok(self.expected.filter(|&length| length <= self.chunks.remaining()))
    }
}

/// Bytes in the pieces in which they came.
#[derive(Debug, Default)]
struct Chunks {
    /// None of them empty.
    chunks: VecDeque<Bytes>,
    remaining: usize,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.remaining += chunk.len();
            self.chunks.push_back(chunk);
        }
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "{count} bytes of {}", self.remaining);
        self.remaining -= count;
        while count > 0
            && let Some(first) = self.chunks.front_mut()
        {
            let taken = count.min(first.len());
            first.advance(taken);
            count -= taken;
            if first.is_empty() {
                self.chunks.pop_front();
            }
        }
    }

    /// Shares the chunk, if it holds all that is asked for.
    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        assert!(length <= self.remaining, "{length} bytes of {}", self.remaining);
        match self.chunks.front() {
            Some(first) if length <= first.len() => {
                let bytes = first.slice(..length);
                self.advance(length);
                bytes
            }
            _ => {
                let mut gathered = BytesMut::zeroed(length);
                self.copy_to_slice(&mut gathered);
                gathered.freeze()
            }
        }
    }
}
