//! The layouts against `kafka-protocol`: each must accept what the other makes, for every API and version.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, Request};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::api::{ApiSpec, find_api, for_each_api};
use crate::sample::{Choice, sample_request, sample_response};
use crate::{decode_request, decode_response, encode_request};

/// Frames tried per API and version, in each direction.
const FRAMES: usize = 40;

/// Makes up the choices of one frame from random numbers.
fn chooser(random: Vec<u16>) -> impl FnMut(Choice) -> usize {
    let mut next = random.into_iter().cycle();
    move |choice| {
        let random = usize::from(next.next().unwrap_or(0));
        match choice {
            Choice::Null => usize::from(random % 4 == 0),
            Choice::TaggedField => random % 2,
            Choice::ArrayLength => random % 4,
            Choice::ByteLength => [0, 1, 2, 7, 127, 128, 300][random % 7],
            // Small numbers, so that what is decoded can be encoded again: some fields have few values.
            Choice::Byte => random % 2,
        }
    }
}

fn random_choices(runner: &mut TestRunner) -> impl FnMut(Choice) -> usize + use<> {
    let numbers = proptest::collection::vec(any::<u16>(), 200..400);
    chooser(numbers.new_tree(runner).expect("a vector of numbers").current())
}

/// `kafka-protocol` reads a sampled request to its end, and the scan accepts what it writes back.
fn check_requests<R: Request>(api: &ApiSpec, version: i16, runner: &mut TestRunner) {
    for _ in 0..FRAMES {
        let frame = sample_request(api, version, &mut random_choices(runner));
        let context = format!("{} {version}: {frame:?}", api.name);
        let decoded = decode_request(frame.clone()).unwrap_or_else(|error| panic!("{error}: {context}"));
        assert_eq!((decoded.header.api_key, decoded.body.api_key()), (api.key, api.key));

        let header_length = 2 + 2 + 4 + 2 + 4 + usize::from(api.is_flexible(version));
        let message = R::decode(&mut frame.slice(header_length..), version).expect(&context);
        let again =
            encode_request(version, 1, Some("test"), &message).unwrap_or_else(|error| panic!("{error}: {context}"));
        let again = decode_request(again.slice(4..)).unwrap_or_else(|error| panic!("{error}: {context}"));
        assert_eq!(again, decoded, "{context}");
    }
}

/// The same for answers.
fn check_responses<R: Request>(api: &ApiSpec, version: i16, runner: &mut TestRunner)
where
    R::Response: PartialEq + std::fmt::Debug,
{
    for _ in 0..FRAMES {
        let frame = sample_response(api, version, &mut random_choices(runner));
        let context = format!("{} {version}: {frame:?}", api.name);
        let (_, decoded) = decode_response::<R>(version, frame).unwrap_or_else(|error| panic!("{error}: {context}"));
        let again = encode_message(api, version, &decoded);
        let (_, again) = decode_response::<R>(version, again).unwrap_or_else(|error| panic!("{error}: {context}"));
        assert_eq!(again, decoded, "{context}");
    }
}

fn encode_message<M: Encodable>(api: &ApiSpec, version: i16, message: &M) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i32(1);
    if api.response_header_version(version) >= 1 {
        frame.put_u8(0);
    }
    message.encode(&mut frame, version).unwrap();
    frame.freeze()
}

/// Defaults are what `kafka-protocol` would send: the scan must accept them.
fn check_defaults<R: Request + Default>(api: &ApiSpec, version: i16) {
    let frame = encode_request(version, 7, None, &R::default()).unwrap();
    let request = decode_request(frame.slice(4..)).unwrap_or_else(|error| panic!("{} {version}: {error}", api.name));
    assert_eq!((request.header.correlation_id, &request.header.client_id), (7, &None));
}

macro_rules! check_all {
    ($($name:ident = $key:literal, $listed_min:literal, $min:literal ..= $max:literal, flexible $flexible:literal,
       $request:ident => $response:ident, $layout:ident;)*) => {
        #[test]
        fn layouts_and_kafka_protocol_accept_each_other() {
            let mut runner = TestRunner::deterministic();
            $(for version in $min..=$max {
                let api = find_api($key).unwrap();
                check_defaults::<$request>(api, version);
                check_requests::<$request>(api, version, &mut runner);
                check_responses::<$request>(api, version, &mut runner);
            })*
        }
    };
}
for_each_api!(check_all);

#[test]
fn a_tagged_field_must_have_the_size_of_its_value() {
    // Fetch 12 with tagged field 0 (cluster id), whose size is one too large.
    let api = find_api(1).unwrap();
    let mut choose = |choice| usize::from(choice == Choice::TaggedField);
    let frame = sample_request(api, 12, &mut choose);
    assert!(decode_request(frame.clone()).is_ok());
    let mut lying = frame.to_vec();
    let size = lying.len() - 2;
    assert_eq!(lying[size - 1..], [0, 1, 1], "tag, size, empty string");
    lying[size] = 2;
    lying.push(0);
    let error = decode_request(lying.into()).unwrap_err();
    assert!(error.to_string().contains("ClusterId claims 2 bytes, its value has 1"), "{error}");
}
