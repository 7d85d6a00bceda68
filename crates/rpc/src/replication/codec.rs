//! How frames become gRPC messages.
//!
//! A follower's frame is its protobuf message. A leader's frame is the length of its header (4 bytes, big-endian), the
//! header, and the record batches; when it is received, the batches share the buffer that the message came in.

use bytes::{Buf, BufMut};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::convert::{header, leader_frame};
use super::{FollowerFrame, LeaderFrame};
use crate::pb::replication as pb;

/// The follower's side: sends [`FollowerFrame`]s, receives [`LeaderFrame`]s.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FollowerSide;

/// The leader's side.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LeaderSide;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FollowerFrameCodec;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LeaderFrameCodec;

impl Codec for FollowerSide {
    type Encode = FollowerFrame;
    type Decode = LeaderFrame;
    type Encoder = FollowerFrameCodec;
    type Decoder = LeaderFrameCodec;

    fn encoder(&mut self) -> Self::Encoder {
        FollowerFrameCodec
    }

    fn decoder(&mut self) -> Self::Decoder {
        LeaderFrameCodec
    }
}

impl Codec for LeaderSide {
    type Encode = LeaderFrame;
    type Decode = FollowerFrame;
    type Encoder = LeaderFrameCodec;
    type Decoder = FollowerFrameCodec;

    fn encoder(&mut self) -> Self::Encoder {
        LeaderFrameCodec
    }

    fn decoder(&mut self) -> Self::Decoder {
        FollowerFrameCodec
    }
}

impl Encoder for FollowerFrameCodec {
    type Item = FollowerFrame;
    type Error = Status;

    fn encode(&mut self, frame: FollowerFrame, destination: &mut EncodeBuf<'_>) -> Result<(), Status> {
        encode_message(&pb::FollowerFrame::from(frame), destination)
    }
}

impl Decoder for FollowerFrameCodec {
    type Item = FollowerFrame;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<FollowerFrame>, Status> {
        let frame = pb::FollowerFrame::decode(source).map_err(|error| malformed(&error))?;
        FollowerFrame::try_from(frame).map(Some).map_err(|error| malformed(&error))
    }
}

impl Encoder for LeaderFrameCodec {
    type Item = LeaderFrame;
    type Error = Status;

    fn encode(&mut self, frame: LeaderFrame, destination: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let header = header(&frame);
        let length = header.encoded_len();
        let payload: usize = frame.pushes.iter().flat_map(|push| &push.batches).map(bytes::Bytes::len).sum();
        destination.reserve(4 + length + payload);
        destination.put_u32(u32::try_from(length).map_err(|_| Status::internal("replication header too long"))?);
        encode_message(&header, destination)?;
        for piece in frame.pushes.into_iter().flat_map(|push| push.batches) {
            destination.put(piece);
        }
        Ok(())
    }
}

impl Decoder for LeaderFrameCodec {
    type Item = LeaderFrame;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<LeaderFrame>, Status> {
        let truncated = || Status::internal("replication frame cut short");
        if source.remaining() < 4 {
            return Err(truncated());
        }
        let length = source.get_u32() as usize;
        if length > source.remaining() {
            return Err(truncated());
        }
        let header = pb::LeaderHeader::decode(source.copy_to_bytes(length)).map_err(|error| malformed(&error))?;
        let payload = source.copy_to_bytes(source.remaining());
        leader_frame(header, payload).map(Some).map_err(|error| malformed(&error))
    }
}

fn encode_message(message: &impl Message, destination: &mut EncodeBuf<'_>) -> Result<(), Status> {
    message.encode(destination).map_err(|error| Status::internal(error.to_string()))
}

fn malformed(error: &impl std::fmt::Display) -> Status {
    Status::internal(format!("replication frame: {error}"))
}
