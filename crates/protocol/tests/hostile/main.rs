//! Hostile frames for every advertised API and version: nothing panics, and memory stays within the bound that
//! `decode_request` promises, whatever a frame claims.

use bytes::{BufMut, Bytes, BytesMut};
use highwater_protocol::messages::MetadataRequest;
use highwater_protocol::{
    APIS, ApiSpec, Choice, DECODED_BYTES_FLOOR, DECODED_BYTES_PER_FRAME_BYTE, DecodeError, MAX_UNKNOWN_TAGGED_FIELDS,
    MalformedFrame, Request, decode_request, sample_request,
};
use highwater_test_allocator::{Counting, peak_of};
use kafka_protocol::protocol::Decodable;
use proptest::prelude::*;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the frame's own reference count, error messages and allocator rounding may take on top of the promised bound.
const SLACK: usize = 4 * 1024;

/// Decodes a frame and checks what it cost.
fn decode_within_bounds(frame: &[u8], context: &dyn std::fmt::Display) -> Result<Request, DecodeError> {
    let frame = Bytes::copy_from_slice(frame);
    let limit = frame.len() * DECODED_BYTES_PER_FRAME_BYTE + DECODED_BYTES_FLOOR + SLACK;
    let (peak, outcome) = peak_of(|| decode_request(frame.clone()));
    assert!(peak <= limit, "{context}: {peak} bytes for a frame of {}", frame.len());
    outcome
}

/// The measure bites: `kafka-protocol` alone reserves what a frame claims.
#[test]
fn the_trap_is_real_and_the_measure_sees_it() {
    const CLAIMED: usize = 1_000_000;
    let mut frame = BytesMut::new();
    frame.put_i32(CLAIMED as i32);
    let body = frame.freeze();
    let (peak, outcome) = peak_of(|| MetadataRequest::decode(&mut body.clone(), 0));
    assert!(outcome.is_err());
    assert!(peak > CLAIMED, "{peak} bytes");
}

fn every_version() -> impl Iterator<Item = (&'static ApiSpec, i16)> {
    APIS.iter().flat_map(|api| (api.served_min..=api.max).map(move |version| (api, version)))
}

/// A frame in which no array is empty, no field null, and every tagged field there.
fn full_frame(api: &ApiSpec, version: i16) -> Bytes {
    sample_request(api, version, &mut |choice| match choice {
        Choice::Null => 0,
        Choice::TaggedField => 1,
        Choice::ArrayLength => 2,
        Choice::ByteLength => 3,
        Choice::Byte => 1,
    })
}

/// Lengths and counts as they could stand anywhere in a frame: 16-bit, 32-bit and variable-length ones.
fn hostile_numbers() -> Vec<Vec<u8>> {
    let mut numbers: Vec<Vec<u8>> = Vec::new();
    for value in [i16::MIN, -2, -1, 0, i16::MAX] {
        numbers.push(value.to_be_bytes().to_vec());
    }
    for value in [i32::MIN, -2, -1, 0, 1_000_000, i32::MAX] {
        numbers.push(value.to_be_bytes().to_vec());
    }
    numbers.push(vec![0x00]);
    numbers.push(vec![0x7f]);
    // 2^31, 2^31 + 1 and 2^32 - 1 as variable-length numbers; then one of 33 bits, one of six bytes, one that never ends.
    numbers.push(vec![0x80, 0x80, 0x80, 0x80, 0x08]);
    numbers.push(vec![0x81, 0x80, 0x80, 0x80, 0x08]);
    numbers.push(vec![0xff, 0xff, 0xff, 0xff, 0x0f]);
    numbers.push(vec![0xff, 0xff, 0xff, 0xff, 0x1f]);
    numbers.push(vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x00]);
    numbers.push(vec![0xff; 16]);
    numbers
}

#[test]
fn hostile_numbers_at_every_position_cost_nothing() {
    let mut refused = 0;
    for (api, version) in every_version() {
        let frame = full_frame(api, version);
        assert!(decode_request(frame.clone()).is_ok(), "{} {version}", api.name);
        for position in 8..frame.len() {
            for number in hostile_numbers() {
                let context = format!("{} {version}, {number:02x?} at {position}", api.name);
                // In place of what was there, then in front of it.
                for skipped in [number.len(), 0, 1] {
                    let rest = frame.get(position + skipped..).unwrap_or_default();
                    let hostile = [&frame[..position], &number, rest].concat();
                    refused += usize::from(decode_within_bounds(&hostile, &context).is_err());
                }
            }
        }
    }
    assert!(refused > 100_000, "only {refused} frames were refused");
}

#[test]
fn frames_cut_off_anywhere_are_refused() {
    for (api, version) in every_version() {
        let frame = full_frame(api, version);
        for length in 0..frame.len() {
            let context = format!("{} {version} cut to {length}", api.name);
            assert!(decode_within_bounds(&frame[..length], &context).is_err(), "{context}");
        }
    }
}

#[test]
fn bytes_after_the_message_are_ignored() {
    for (api, version) in every_version() {
        let frame = full_frame(api, version);
        let trailing = [&frame[..], &[0xa5; 3]].concat();
        let decoded = |frame: &[u8]| format!("{:?}", decode_within_bounds(frame, &api.name).unwrap().body);
        assert_eq!(decoded(&trailing), decoded(&frame), "{} {version}", api.name);
    }
}

#[test]
fn tiny_elements_cannot_blow_up() {
    /// As many elements as a real frame could hold, each as small as it can be.
    const ELEMENTS: usize = 20_000;
    let mut refused = 0;
    for (api, version) in every_version() {
        // The array to be blown up, counted in the order of the wire; those in front of it have one element.
        for target in 0.. {
            let mut seen = 0;
            let frame = sample_request(api, version, &mut |choice| match choice {
                Choice::ArrayLength => {
                    seen += 1;
                    match (seen - 1).cmp(&target) {
                        std::cmp::Ordering::Less => 1,
                        std::cmp::Ordering::Equal => ELEMENTS,
                        std::cmp::Ordering::Greater => 0,
                    }
                }
                _ => 0,
            });
            if seen <= target {
                break;
            }
            let outcome = decode_within_bounds(&frame, &format!("{} {version}, array {target}", api.name));
            if let Err(DecodeError::Body { reason: MalformedFrame::Budget { .. }, .. }) = outcome {
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "only {refused} frames went over the budget");
}

#[test]
fn large_frames_of_ordinary_content_pass() {
    for (api, version) in every_version() {
        let mut outermost = true;
        let frame = sample_request(api, version, &mut |choice| match choice {
            Choice::ArrayLength => {
                if std::mem::take(&mut outermost) {
                    5000
                } else {
                    2
                }
            }
            Choice::ByteLength => 12,
            _ => 0,
        });
        let context = format!("{} {version}", api.name);
        let outcome = decode_within_bounds(&frame, &context);
        assert!(outcome.is_ok(), "{context}: {}", outcome.unwrap_err());
    }
}

#[test]
fn tagged_field_bombs_are_refused() {
    for (api, version) in every_version().filter(|(api, version)| api.is_flexible(*version)) {
        let frame = sample_request(api, version, &mut |_| 0);
        assert_eq!(frame.last(), Some(&0), "{} {version} ends with its tagged fields", api.name);
        for (tags, accepted) in
            [(1, true), (MAX_UNKNOWN_TAGGED_FIELDS, true), (MAX_UNKNOWN_TAGGED_FIELDS + 1, false), (60_000, false)]
        {
            let mut bomb = BytesMut::from(&frame[..frame.len() - 1]);
            put_varint(&mut bomb, tags as u32);
            for tag in 0..tags {
                put_varint(&mut bomb, 1000 + tag as u32);
                put_varint(&mut bomb, 0);
            }
            let context = format!("{} {version} with {tags} tags", api.name);
            assert_eq!(decode_within_bounds(&bomb, &context).is_ok(), accepted, "{context}");
        }
        // The same tag twice, and a count that the frame cannot hold.
        for tail in [&[2u8, 0x90, 0x4e, 0, 0x90, 0x4e, 0][..], &[0xff, 0xff, 0xff, 0xff, 0x0f, 0x90, 0x4e, 0]] {
            let bomb = [&frame[..frame.len() - 1], tail].concat();
            assert!(decode_within_bounds(&bomb, &api.name).is_err(), "{} {version}", api.name);
        }
    }
}

#[test]
fn hostile_headers_are_refused() {
    for (api, version) in every_version() {
        let frame = sample_request(api, version, &mut |_| 0);
        for length in [i16::MIN, -2, i16::MAX, 20_000] {
            let mut hostile = frame.to_vec();
            hostile[8..10].copy_from_slice(&length.to_be_bytes());
            let error = decode_within_bounds(&hostile, &api.name).unwrap_err();
            assert!(matches!(error, DecodeError::Header(_)), "{} {version}: {error}", api.name);
        }
        let mut not_text = frame.to_vec();
        not_text[10] = 0xff;
        assert!(matches!(decode_request(not_text.into()), Err(DecodeError::Header(MalformedFrame::NotUtf8 { .. }))));
        if api.is_flexible(version) {
            let mut bomb = frame.to_vec();
            bomb.splice(14..15, [0xff, 0xff, 0xff, 0xff, 0x0f]);
            assert!(decode_within_bounds(&bomb, &api.name).is_err());
        }
    }
}

#[test]
fn versions_and_keys_outside_the_table_keep_their_header() {
    for key in -1..=100i16 {
        for version in [i16::MIN, -1, 0, 1, 2, 3, 4, 5, 9, 13, 19, i16::MAX] {
            let mut frame = BytesMut::new();
            frame.put_i16(key);
            frame.put_i16(version);
            frame.put_i32(77);
            frame.put_i16(-1);
            match (APIS.iter().find(|api| api.key == key), decode_request(frame.freeze())) {
                (None, Err(DecodeError::UnsupportedApi { header })) => assert_eq!(header.correlation_id, 77),
                (Some(api), Err(error @ DecodeError::UnsupportedVersion { .. })) => {
                    assert!(!api.serves(version));
                    assert_eq!(error.is_api_versions().is_some(), key == 18);
                }
                (Some(api), outcome) => assert!(api.serves(version), "{} {version}: {outcome:?}", api.name),
                (None, outcome) => panic!("key {key}: {outcome:?}"),
            }
        }
    }
}

fn put_varint(frame: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        frame.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    frame.put_u8(value as u8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn noise_behind_any_header_costs_little(
        index in any::<proptest::sample::Index>(),
        noise in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let versions: Vec<_> = every_version().collect();
        let (api, version) = versions[index.index(versions.len())];
        let header = &sample_request(api, version, &mut |_| 0)[..14];
        let _ = decode_within_bounds(&[header, &[0], &noise].concat(), &api.name);
    }

    #[test]
    fn mutated_frames_cost_little(
        index in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let versions: Vec<_> = every_version().collect();
        let (api, version) = versions[index.index(versions.len())];
        let mut frame = full_frame(api, version).to_vec();
        for (position, byte) in changes {
            let position = position.index(frame.len());
            frame[position] = byte;
        }
        let _ = decode_within_bounds(&frame, &api.name);
    }
}
