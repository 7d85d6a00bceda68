//! Frames that cross a connection come out as they went in, however the connection cuts them.

use bytes::{Bytes, BytesMut};
use futures::executor::block_on;
use futures::stream;
use highwater_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset};
use http_body_util::{BodyExt as _, StreamBody};
use proptest::prelude::*;
use tonic::body::Body;
use tonic::{Code, Status};

use super::codec::{Frame, Pieces};
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::{Ack, FollowerFrame, Hello, Lane, LeaderFrame, OpenOutcome, Opened, Push, Slot};

const LIMIT: usize = 1 << 20;

fn push(slot: u32, batches: Vec<Bytes>) -> Push {
    Push { slot: Slot(slot), batches, high_watermark: Offset(7), log_start: Offset(1) }
}

fn leader_frame(pushes: Vec<Push>) -> LeaderFrame {
    let refused = Opened { slot: Slot(3), outcome: OpenOutcome::Refused(ErrorCode::FencedLeaderEpoch) };
    let diverged = OpenOutcome::Diverged { epoch: LeaderEpoch(2), end_offset: Offset(9) };
    LeaderFrame { opened: vec![refused, Opened { slot: Slot(4), outcome: diverged }], pushes, closed: vec![Slot(5)] }
}

fn follower_frame(received: u64) -> FollowerFrame {
    let hello = Hello {
        replica: BrokerId(2),
        broker_epoch: BrokerEpoch(11),
        cluster_id: "cluster".to_owned(),
        leader: BrokerId(1),
        lane: Lane::CatchUp,
    };
    let ack = Ack { slot: Slot(1), log_end: Offset(5), flushed: Offset(4), log_start: Offset(0), first_offset: None };
    FollowerFrame { hello: Some(hello), acks: vec![ack], frames_received: received, ..FollowerFrame::default() }
}

/// What the other side gets: each push in one piece.
fn as_received(mut frame: LeaderFrame) -> LeaderFrame {
    for push in &mut frame.pushes {
        let all: BytesMut = push.batches.iter().flat_map(|piece| piece.to_vec()).collect();
        push.batches = if all.is_empty() { Vec::new() } else { vec![all.freeze()] };
    }
    frame
}

fn incoming<F: Frame>(chunks: Vec<Bytes>, limit: usize) -> Incoming<F> {
    let frames = chunks.into_iter().map(|chunk| Ok::<_, Status>(http_body::Frame::data(chunk)));
    Incoming::new(Body::new(StreamBody::new(stream::iter(frames))), limit)
}

fn all<F: Frame>(mut incoming: Incoming<F>) -> Result<Vec<F>, Status> {
    let mut frames = Vec::new();
    while let Some(frame) = block_on(incoming.message())? {
        frames.push(frame);
    }
    Ok(frames)
}

fn pieces<F: Frame>(frames: Vec<F>) -> Vec<Bytes> {
    let mut pieces = Pieces::default();
    frames.into_iter().for_each(|frame| frame.encode(&mut pieces).unwrap());
    std::iter::from_fn(|| pieces.pop()).collect()
}

fn encoded<F: Frame>(frames: Vec<F>) -> Vec<u8> {
    pieces(frames).concat()
}

/// The bytes in pieces of these lengths, over and over.
fn cut(bytes: &[u8], lengths: &[usize]) -> Vec<Bytes> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at(length.clamp(1, rest.len()));
        pieces.push(Bytes::copy_from_slice(piece));
        rest = behind;
    }
    pieces
}

proptest! {
    #[test]
    fn frames_arrive_however_they_are_cut(
        sizes in prop::collection::vec(prop::collection::vec(0_usize..40_000, 0..4), 0..4),
        lengths in prop::collection::vec(1_usize..30_000, 1..6),
    ) {
        let frames: Vec<LeaderFrame> = (0..3).map(|number| {
            let batch = |&size: &usize| Bytes::from(vec![number; size]);
            leader_frame(sizes.iter().map(|sizes| push(number.into(), sizes.iter().map(batch).collect())).collect())
        }).collect();
        let received = all(incoming::<LeaderFrame>(cut(&encoded(frames.clone()), &lengths), LIMIT)).unwrap();
        prop_assert_eq!(received, frames.into_iter().map(as_received).collect::<Vec<_>>());
        let frames: Vec<FollowerFrame> = (0..3).map(follower_frame).collect();
        let received = all(incoming::<FollowerFrame>(cut(&encoded(frames.clone()), &lengths), LIMIT)).unwrap();
        prop_assert_eq!(received, frames);
    }

    #[test]
    fn random_bytes_are_refused_or_decoded_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = all(incoming::<LeaderFrame>(vec![Bytes::from(bytes.clone())], LIMIT));
        let _ = all(incoming::<FollowerFrame>(vec![Bytes::from(bytes.clone())], LIMIT));
        // Past the prefix.
        let message = [&[0, 0, 0, 0, bytes.len() as u8], &bytes[..]].concat();
        let _ = all(incoming::<LeaderFrame>(vec![Bytes::from(message)], LIMIT));
    }
}

#[test]
fn large_batches_are_not_copied_and_small_ones_travel_together() {
    let (large, small) = (Bytes::from(vec![1; 100_000]), Bytes::from(vec![2; 100]));
    let pushes = vec![push(1, vec![small.clone(), small.clone()]), push(2, vec![large.clone()]), push(3, vec![small])];
    let pieces = pieces(vec![leader_frame(pushes)]);
    assert_eq!(pieces.len(), 3, "header and small ones, the large one, the last small one");
    assert_eq!(pieces[1].as_ptr(), large.as_ptr());
    let received = all(incoming::<LeaderFrame>(pieces.clone(), LIMIT)).unwrap();
    assert_eq!(received[0].pushes[1].batches[0].as_ptr(), large.as_ptr());
    assert!(pieces[0].as_ptr_range().contains(&received[0].pushes[0].batches[0].as_ptr()));
}

#[test]
fn what_is_malformed_or_too_long_is_refused() {
    let message = |bytes: &[u8]| vec![Bytes::copy_from_slice(bytes)];
    let refusal = |bytes: &[u8]| all(incoming::<LeaderFrame>(message(bytes), LIMIT)).unwrap_err();
    assert_eq!(refusal(&[1, 0, 0, 0, 0]).code(), Code::Internal, "compressed");
    assert_eq!(refusal(&[0, 0, 16, 0, 1]).code(), Code::OutOfRange, "longer than the limit, before any of it is here");
    assert_eq!(refusal(&[0, 0, 0]).code(), Code::Internal, "ended within a prefix");
    assert_eq!(refusal(&[0, 0, 0, 0, 9, 1]).code(), Code::Internal, "ended within a message");
    assert_eq!(refusal(&[0, 0, 0, 0, 4, 0, 0, 0, 9]).code(), Code::Internal, "a header longer than its message");
    let whole = encoded(vec![leader_frame(vec![push(1, vec![Bytes::from_static(b"batch")])])]);
    let with_prefix = |message: &[u8]| [&[0, 0, 0, 0, message.len() as u8], message].concat();
    assert_eq!(refusal(&with_prefix(&whole[5..whole.len() - 1])).code(), Code::Internal, "a batch cut short");
    assert_eq!(refusal(&with_prefix(&[&whole[5..], b"x"].concat())).code(), Code::Internal, "a byte too many");
}

#[test]
fn a_server_tells_how_a_stream_ended_and_a_client_just_ends() {
    let frames =
        || vec![Ok(leader_frame(Vec::new())), Err(Status::unavailable("stopped")), Ok(leader_frame(Vec::new()))];
    let mut served = Incoming::<LeaderFrame>::new(Body::new(Outgoing::of_server(stream::iter(frames()))), LIMIT);
    assert_eq!(block_on(served.message()).unwrap(), Some(leader_frame(Vec::new())));
    let status = block_on(served.message()).unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "stopped"));
    let well = Outgoing::of_server(stream::iter(vec![Ok(leader_frame(Vec::new()))]));
    assert_eq!(all(Incoming::<LeaderFrame>::new(Body::new(well), LIMIT)).unwrap().len(), 1);
    let body = Outgoing::of_client(stream::iter(vec![Ok(follower_frame(1))]));
    let collected = block_on(body.collect()).unwrap();
    assert!(collected.trailers().is_none());
    assert_eq!(all(incoming::<FollowerFrame>(vec![collected.to_bytes()], LIMIT)).unwrap(), [follower_frame(1)]);
}
