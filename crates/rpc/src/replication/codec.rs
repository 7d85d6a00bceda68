//! How frames become gRPC messages, and back, without a copy of large record batches.
//!
//! A follower's frame is its protobuf message. A leader's frame is the length of its header (4 bytes, big-endian), the
//! header, and the record batches; when it is received, the batches share the buffers that they came in.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message as _;
use tonic::Status;

use super::convert::{header, leader_frame};
use super::{FollowerFrame, LeaderFrame};
use crate::pb::replication as pb;

/// A longer batch is sent from where it is. Each piece is a write of its own to the socket, which small batches are not worth.
const COPIED_BYTES: usize = 16 * 1024;
/// A buffer that has grown larger is given back.
const KEPT_BYTES: usize = 64 * 1024;
/// In front of each message: whether it is compressed, and its length.
pub(super) const PREFIX_BYTES: usize = 5;
/// In front of a leader's header: its length.
const HEADER_LENGTH_BYTES: usize = 4;

/// Messages on their way into a body.
#[derive(Debug, Default)]
pub struct Pieces {
    ready: VecDeque<Bytes>,
    /// Where headers and small batches are put together; used again once what was taken from it is sent.
    buffer: BytesMut,
}

impl Pieces {
    /// The next piece.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// A message of so many bytes begins, of which `gathered` go through the buffer.
    fn begin(&mut self, length: usize, gathered: usize) -> Result<(), Status> {
        if self.buffer.capacity() > KEPT_BYTES {
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(PREFIX_BYTES + gathered);
        self.buffer.put_u8(0);
        self.buffer.put_u32(u32::try_from(length).map_err(|_| too_long())?);
        Ok(())
    }

    /// A batch, which is copied if it is small.
    fn put(&mut self, batch: Bytes) {
        if batch.len() <= COPIED_BYTES {
            return self.buffer.put(batch);
        }
        self.end();
        self.ready.push_back(batch);
    }

    /// What was gathered is a piece.
    fn end(&mut self) {
        if !self.buffer.is_empty() {
            self.ready.push_back(self.buffer.split().freeze());
        }
    }
}

/// What one side of a stream sends.
pub trait Frame: Sized + Send + 'static {
    /// Adds the message to `pieces`, with its prefix.
    ///
    /// # Errors
    /// It is too long for its prefix; `pieces` is of no more use.
    fn encode(self, pieces: &mut Pieces) -> Result<(), Status>;

    /// The frame of a message, which is taken from `message` whole.
    ///
    /// # Errors
    /// It is malformed.
    fn decode(message: &mut impl Buf) -> Result<Self, Status>;
}

impl Frame for FollowerFrame {
    fn encode(self, pieces: &mut Pieces) -> Result<(), Status> {
        let message = pb::FollowerFrame::from(self);
        let length = message.encoded_len();
        pieces.begin(length, length)?;
        message.encode(&mut pieces.buffer).map_err(|error| malformed(&error))?;
        pieces.end();
        Ok(())
    }

    fn decode(message: &mut impl Buf) -> Result<Self, Status> {
        let frame = pb::FollowerFrame::decode(message).map_err(|error| malformed(&error))?;
        Self::try_from(frame).map_err(|error| malformed(&error))
    }
}

impl Frame for LeaderFrame {
    fn encode(self, pieces: &mut Pieces) -> Result<(), Status> {
        let header = header(&self);
        let header_length = header.encoded_len();
        let batches = || self.pushes.iter().flat_map(|push| &push.batches).map(Bytes::len);
        let small: usize = batches().filter(|&length| length <= COPIED_BYTES).sum();
        let head = HEADER_LENGTH_BYTES + header_length;
        pieces.begin(head + batches().sum::<usize>(), head + small)?;
        pieces.buffer.put_u32(u32::try_from(header_length).map_err(|_| too_long())?);
        header.encode(&mut pieces.buffer).map_err(|error| malformed(&error))?;
        self.pushes.into_iter().flat_map(|push| push.batches).for_each(|batch| pieces.put(batch));
        pieces.end();
        Ok(())
    }

    fn decode(message: &mut impl Buf) -> Result<Self, Status> {
        if message.remaining() < HEADER_LENGTH_BYTES {
            return Err(cut_short());
        }
        let length = message.get_u32() as usize;
        if length > message.remaining() {
            return Err(cut_short());
        }
        let header = pb::LeaderHeader::decode(message.copy_to_bytes(length)).map_err(|error| malformed(&error))?;
        leader_frame(header, message).map_err(|error| malformed(&error))
    }
}

fn too_long() -> Status {
    Status::internal("replication frame too long")
}

fn cut_short() -> Status {
    Status::internal("replication frame cut short")
}

fn malformed(error: &impl std::fmt::Display) -> Status {
    Status::internal(format!("replication frame: {error}"))
}
