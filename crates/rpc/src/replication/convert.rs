//! Between the frames and their protobuf messages.

use bytes::{Buf, Bytes};
use highwater_types::{
    BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicIdPartition,
};

use super::{Ack, FollowerFrame, Hello, Lane, LeaderFrame, Open, OpenOutcome, Opened, Push, Slot};
use crate::ConversionError;
use crate::pb::replication as pb;

impl From<FollowerFrame> for pb::FollowerFrame {
    fn from(frame: FollowerFrame) -> Self {
        Self {
            hello: frame.hello.map(|hello| pb::Hello {
                replica: hello.replica.get(),
                broker_epoch: hello.broker_epoch.get(),
                cluster_id: hello.cluster_id,
                leader: hello.leader.get(),
                lane: lane_to_pb(hello.lane).into(),
            }),
            opens: frame.opens.iter().map(open_to_pb).collect(),
            acks: frame
                .acks
                .iter()
                .map(|ack| pb::Ack {
                    slot: ack.slot.0,
                    log_end: ack.log_end.get(),
                    flushed: ack.flushed.get(),
                    log_start: ack.log_start.get(),
                    first_offset: ack.first_offset.map(Offset::get),
                })
                .collect(),
            closes: frame.closes.iter().map(|slot| slot.0).collect(),
            frames_received: frame.frames_received,
        }
    }
}

fn lane_to_pb(lane: Lane) -> pb::Lane {
    match lane {
        Lane::InSync => pb::Lane::InSync,
        Lane::CatchUp => pb::Lane::CatchUp,
        Lane::Throttled => pb::Lane::Throttled,
    }
}

fn hello_from_pb(hello: pb::Hello) -> Result<Hello, ConversionError> {
    let lane = match pb::Lane::try_from(hello.lane) {
        Ok(pb::Lane::InSync) => Lane::InSync,
        Ok(pb::Lane::CatchUp) => Lane::CatchUp,
        Ok(pb::Lane::Throttled) => Lane::Throttled,
        Err(error) => return Err(ConversionError::invalid("Hello", "lane", error)),
    };
    Ok(Hello {
        replica: BrokerId(hello.replica),
        broker_epoch: BrokerEpoch(hello.broker_epoch),
        cluster_id: hello.cluster_id,
        leader: BrokerId(hello.leader),
        lane,
    })
}

fn open_to_pb(open: &Open) -> pb::Open {
    pb::Open {
        slot: open.slot.0,
        topic_id: Bytes::copy_from_slice(&open.partition.topic_id.to_bytes()),
        partition: open.partition.partition.get(),
        leader_epoch: open.leader_epoch.get(),
        log_end: open.log_end.get(),
        flushed: open.flushed.get(),
        last_epoch: open.last_epoch.get(),
    }
}

impl TryFrom<pb::FollowerFrame> for FollowerFrame {
    type Error = ConversionError;

    fn try_from(frame: pb::FollowerFrame) -> Result<Self, ConversionError> {
        let hello = frame.hello.map(hello_from_pb).transpose()?;
        let ack = |ack: &pb::Ack| {
            Ok(Ack {
                slot: Slot(ack.slot),
                log_end: offset("Ack", "log_end", ack.log_end)?,
                flushed: offset("Ack", "flushed", ack.flushed)?,
                log_start: offset("Ack", "log_start", ack.log_start)?,
                first_offset: ack.first_offset.map(|first| offset("Ack", "first_offset", first)).transpose()?,
            })
        };
        Ok(Self {
            hello,
            opens: frame.opens.iter().map(open_from_pb).collect::<Result<_, _>>()?,
            acks: frame.acks.iter().map(ack).collect::<Result<_, ConversionError>>()?,
            closes: frame.closes.into_iter().map(Slot).collect(),
            frames_received: frame.frames_received,
        })
    }
}

fn open_from_pb(open: &pb::Open) -> Result<Open, ConversionError> {
    let topic_id: [u8; 16] =
        open.topic_id.as_ref().try_into().map_err(|_| ConversionError::invalid("Open", "topic_id", "not 16 bytes"))?;
    Ok(Open {
        slot: Slot(open.slot),
        partition: TopicIdPartition {
            topic_id: TopicId::from_bytes(topic_id),
            partition: PartitionIndex(open.partition),
        },
        leader_epoch: LeaderEpoch(open.leader_epoch),
        log_end: offset("Open", "log_end", open.log_end)?,
        flushed: offset("Open", "flushed", open.flushed)?,
        last_epoch: LeaderEpoch(open.last_epoch),
    })
}

/// The header of a frame; the batches follow it.
pub(super) fn header(frame: &LeaderFrame) -> pb::LeaderHeader {
    pb::LeaderHeader {
        opened: frame.opened.iter().map(opened_to_pb).collect(),
        pushes: frame
            .pushes
            .iter()
            .map(|push| pb::Push {
                slot: push.slot.0,
                // A frame is bounded far below 4 GiB by its sender.
                payload_bytes: push.batches.iter().map(|piece| piece.len() as u32).sum(),
                high_watermark: push.high_watermark.get(),
                log_start: push.log_start.get(),
            })
            .collect(),
        closed: frame.closed.iter().map(|slot| slot.0).collect(),
    }
}

fn opened_to_pb(opened: &Opened) -> pb::Opened {
    let outcome = match opened.outcome {
        OpenOutcome::Accepted { high_watermark, log_start } => pb::opened::Outcome::Accepted(pb::Accepted {
            high_watermark: high_watermark.get(),
            log_start: log_start.get(),
        }),
        OpenOutcome::Diverged { epoch, end_offset } => {
            pb::opened::Outcome::Diverged(pb::Diverged { epoch: epoch.get(), end_offset: end_offset.get() })
        }
        OpenOutcome::OutOfRange { log_start } => {
            pb::opened::Outcome::OutOfRange(pb::OutOfRange { log_start: log_start.get() })
        }
        OpenOutcome::Refused(code) => pb::opened::Outcome::Refused(code.code().into()),
    };
    pb::Opened { slot: opened.slot.0, outcome: Some(outcome) }
}

/// A frame from its header and the bytes behind it, which the pushes share where they are in one piece.
pub(super) fn leader_frame(header: pb::LeaderHeader, payload: &mut impl Buf) -> Result<LeaderFrame, ConversionError> {
    let mut pushes = Vec::with_capacity(header.pushes.len());
    for push in &header.pushes {
        let length = push.payload_bytes as usize;
        if length > payload.remaining() {
            return Err(ConversionError::invalid("Push", "payload_bytes", "more than the frame has"));
        }
        let batches = payload.copy_to_bytes(length);
        pushes.push(Push {
            slot: Slot(push.slot),
            batches: if batches.is_empty() { Vec::new() } else { vec![batches] },
            high_watermark: offset("Push", "high_watermark", push.high_watermark)?,
            log_start: offset("Push", "log_start", push.log_start)?,
        });
    }
    if payload.has_remaining() {
        return Err(ConversionError::invalid("LeaderFrame", "payload", "bytes behind the last push"));
    }
    Ok(LeaderFrame {
        opened: header.opened.iter().map(opened_from_pb).collect::<Result<_, _>>()?,
        pushes,
        closed: header.closed.into_iter().map(Slot).collect(),
    })
}

fn opened_from_pb(opened: &pb::Opened) -> Result<Opened, ConversionError> {
    let missing = || ConversionError::missing("Opened", "outcome");
    let outcome = match opened.outcome.as_ref().ok_or_else(missing)? {
        pb::opened::Outcome::Accepted(accepted) => OpenOutcome::Accepted {
            high_watermark: offset("Accepted", "high_watermark", accepted.high_watermark)?,
            log_start: offset("Accepted", "log_start", accepted.log_start)?,
        },
        pb::opened::Outcome::Diverged(diverged) => OpenOutcome::Diverged {
            epoch: LeaderEpoch(diverged.epoch),
            end_offset: offset("Diverged", "end_offset", diverged.end_offset)?,
        },
        pb::opened::Outcome::OutOfRange(range) => {
            OpenOutcome::OutOfRange { log_start: offset("OutOfRange", "log_start", range.log_start)? }
        }
        pb::opened::Outcome::Refused(code) => {
            let known = i16::try_from(*code).ok().and_then(ErrorCode::from_code);
            OpenOutcome::Refused(known.unwrap_or(ErrorCode::UnknownServerError))
        }
    };
    Ok(Opened { slot: Slot(opened.slot), outcome })
}

fn offset(message: &'static str, field: &'static str, value: i64) -> Result<Offset, ConversionError> {
    if value < 0 { Err(ConversionError::invalid(message, field, "negative offset")) } else { Ok(Offset(value)) }
}
