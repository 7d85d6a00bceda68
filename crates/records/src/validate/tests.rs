//! Script tests: a batch, a change to its header or body, the limits, and what must come of it.

use highwater_types::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicName, TopicPartition,
};

use super::*;
use crate::attributes::TimestampType;
use crate::batch::RecordBatch;
use crate::builder::BatchBuilder;
use crate::control::EndTransactionMarker;
use crate::error::BatchError;
use crate::patch::patched_header;
use crate::rejection::{MAX_RECORD_ERRORS, RecordError};

const NOW: Timestamp = Timestamp(1_000_000_000);

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(3) }
}

fn limits() -> ValidationLimits {
    ValidationLimits::new(NOW)
}

fn validate(records: impl Into<Bytes>, limits: &ValidationLimits) -> Result<ValidatedBatch, ProduceRejection> {
    validate_produce(records.into(), &partition(), limits)
}

/// The code and message of the rejection.
fn rejection(records: impl Into<Bytes>, limits: &ValidationLimits) -> (ErrorCode, String) {
    let rejection = validate(records, limits).expect_err("must be refused");
    (rejection.code, rejection.message)
}

/// Records of the given keys and ages in milliseconds.
fn batch(codec: Compression, records: &[(Option<&str>, i64)]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for (key, age_ms) in records {
        builder.append(Timestamp(NOW.0 - age_ms), key.map(str::as_bytes), Some(b"value"), &[]);
    }
    builder.build()
}

/// The same batch with another header and a checksum that holds.
fn with_header(batch: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).unwrap();
    change(&mut header);
    assemble(header, &batch[HEADER_LENGTH..])
}

#[test]
fn a_good_batch_passes_untouched_in_every_codec() {
    for codec in Compression::ALL {
        let sent = batch(codec, &[(Some("a"), 5), (None, 0)]);
        let validated = validate(sent.clone(), &limits()).unwrap();
        assert_eq!(validated.bytes(), &sent);
        assert_eq!(validated.bytes().as_ptr(), sent.as_ptr(), "not copied");
        assert_eq!(validated.body(), sent.slice(HEADER_LENGTH..));
    }
}

#[test]
fn exactly_one_batch_of_format_v2() {
    let good = batch(Compression::None, &[(None, 0)]);
    let two = [good.as_ref(), good.as_ref()].concat();
    let (code, message) = rejection(two, &limits());
    assert_eq!(code, ErrorCode::InvalidRecord);
    assert!(message.contains("exactly one record batch per partition"), "{message}");

    for nothing in [Bytes::new(), good.slice(..11), good.slice(..good.len() - 1)] {
        let (code, message) = rejection(nothing, &limits());
        assert_eq!(code, ErrorCode::InvalidRecord);
        assert!(message.contains("at least one record batch per partition"), "{message}");
    }
    for (magic, expected) in [
        (0, ErrorCode::InvalidRecord),
        (1, ErrorCode::InvalidRecord),
        (3, ErrorCode::CorruptMessage),
        (-1, ErrorCode::CorruptMessage),
    ] {
        let mut old = good.to_vec();
        old[MAGIC_POSITION] = magic as u8;
        assert_eq!(rejection(old, &limits()).0, expected, "magic {magic}");
    }
}

#[test]
fn a_partial_batch_behind_the_first_is_left_out() {
    let good = batch(Compression::None, &[(None, 0)]);
    for length in [1, 11, 12, 17, good.len() - 1] {
        let sent = [good.as_ref(), &good[..length]].concat();
        assert_eq!(validate(sent, &limits()).unwrap().bytes(), &good, "{length} bytes more");
    }
}

#[test]
fn lengths_that_lie_are_corrupt() {
    let good = batch(Compression::None, &[(None, 0)]);
    for length in [i32::MIN, -1, 0, 13, 14, 48] {
        let mut lying = good.to_vec();
        lying[8..12].copy_from_slice(&length.to_be_bytes());
        assert_eq!(rejection(lying, &limits()).0, ErrorCode::CorruptMessage, "length {length}");
    }
    let mut lying = good.to_vec();
    lying[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert_eq!(rejection(lying, &limits()).0, ErrorCode::InvalidRecord, "longer than what is there: no batch");
}

#[test]
fn checksum_size_and_base_offset() {
    let good = batch(Compression::None, &[(None, 0)]);
    let mut corrupt = good.to_vec();
    *corrupt.last_mut().unwrap() ^= 1;
    assert_eq!(rejection(corrupt, &limits()).0, ErrorCode::CorruptMessage);

    let exact = ValidationLimits { max_message_bytes: good.len(), ..limits() };
    assert!(validate(good.clone(), &exact).is_ok());
    let less = ValidationLimits { max_message_bytes: good.len() - 1, ..limits() };
    assert_eq!(rejection(good.clone(), &less).0, ErrorCode::MessageTooLarge);

    let (code, message) = rejection(with_header(&good, |header| header.base_offset = Offset(1)), &limits());
    assert_eq!(code, ErrorCode::InvalidRecord);
    assert_eq!(message, "The baseOffset of the record batch in the append to t-3 should be 0, but it is 1");
}

type HeaderChange = fn(&mut BatchHeader);

#[test]
fn headers_that_no_client_may_send() {
    let cases: [(&str, HeaderChange); 10] = [
        ("invalid offset range: [0, -1]", |header| header.last_offset_delta = -1),
        ("Invalid reported count for record batch: 0", |header| header.record_count = 0),
        ("Invalid reported count for record batch: -2147483648", |header| header.record_count = i32::MIN),
        ("Inconsistent batch offset range [0, 2147483647] and count of records 2", |header| {
            header.last_offset_delta = i32::MAX;
        }),
        ("Clients are not allowed to write control records", |header| header.attributes = header.attributes.control()),
        ("Unsupported attributes", |header| header.attributes.0 |= 1 << 6),
        ("Unsupported attributes", |header| header.attributes.0 |= i16::MIN),
        ("Invalid sequence number -1 in record batch with producerId 5", |header| {
            header.producer_id = ProducerId(5);
            header.producer_epoch = ProducerEpoch(0);
        }),
        ("Invalid producer epoch -1 in record batch with producerId 5", |header| {
            header.producer_id = ProducerId(5);
            header.base_sequence = Sequence(0);
        }),
        ("must have a producerId", |header| header.attributes = header.attributes.transactional()),
    ];
    for codec in [Compression::None, Compression::Lz4] {
        let good = batch(codec, &[(None, 0), (None, 0)]);
        for (expected, change) in &cases {
            let (code, message) = rejection(with_header(&good, change), &limits());
            assert_eq!(code, ErrorCode::InvalidRecord, "{expected}");
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
            assert!(message.ends_with("in topic partition t-3"), "{message:?}");
        }
    }
}

#[test]
fn codecs_that_are_unknown_or_too_new() {
    let good = batch(Compression::None, &[(None, 0)]);
    let (code, message) = rejection(with_header(&good, |header| header.attributes.0 = 5), &limits());
    assert_eq!(
        (code, message.as_str()),
        (ErrorCode::UnsupportedCompressionType, "unknown compression type id: 5 in topic partition t-3")
    );
    let zstd = batch(Compression::Zstd, &[(None, 0)]);
    let version = |produce_version| ValidationLimits { origin: AppendOrigin::Client { produce_version }, ..limits() };
    assert_eq!(rejection(zstd.clone(), &version(6)).0, ErrorCode::UnsupportedCompressionType);
    assert!(validate(zstd, &version(7)).is_ok());
}

#[test]
fn compacted_topics_refuse_records_without_key() {
    let compacted = ValidationLimits { compacted: true, ..limits() };
    for codec in Compression::ALL {
        let sent = batch(codec, &[(Some("a"), 0), (None, 0), (Some(""), 0), (None, 0)]);
        let rejection = validate(sent, &compacted).unwrap_err();
        let message = "Compacted topic cannot accept message without key in topic partition t-3".to_owned();
        let expected: Vec<_> =
            [1, 3].into_iter().map(|batch_index| RecordError { batch_index, message: message.clone() }).collect();
        assert_eq!(rejection.code, ErrorCode::InvalidRecord);
        assert_eq!(rejection.record_errors, expected);
        assert!(rejection.message.contains("due to 2 record errors in total"), "{}", rejection.message);
        assert!(validate(batch(codec, &[(Some("a"), 0)]), &compacted).is_ok());
    }
}

#[test]
fn times_out_of_bounds_name_their_records() {
    const HOUR_MS: i64 = 60 * 60 * 1000;
    let bounded = ValidationLimits { before_max_ms: 1000, ..limits() };
    for codec in Compression::ALL {
        // (limits, ages, records to blame)
        let cases: [(&ValidationLimits, &[i64], &[i32]); 6] = [
            (&limits(), &[0, -HOUR_MS, NOW.0 - 1], &[]),
            (&limits(), &[0, -HOUR_MS - 1, 0], &[1]),
            (&bounded, &[1000, 0], &[]),
            (&bounded, &[1001, 0, 5000], &[0, 2]),
            (&bounded, &[0, -HOUR_MS - 1, 1001], &[1, 2]),
            (&ValidationLimits { timestamp_type: TimestampType::LogAppendTime, ..bounded }, &[9999, -2 * HOUR_MS], &[]),
        ];
        for (limits, ages, blamed) in cases {
            let records: Vec<_> = ages.iter().map(|age| (None, *age)).collect();
            match validate(batch(codec, &records), limits) {
                Ok(_) => assert!(blamed.is_empty(), "{ages:?}"),
                Err(rejection) => {
                    let indexes: Vec<_> = rejection.record_errors.iter().map(|error| error.batch_index).collect();
                    assert_eq!((rejection.code, indexes.as_slice()), (ErrorCode::InvalidTimestamp, blamed), "{ages:?}");
                }
            }
        }
    }
    let future = batch(Compression::None, &[(None, -HOUR_MS - 1)]);
    assert_eq!(
        validate(future, &limits()).unwrap_err().record_errors[0].message,
        "Timestamp 1003600001 of message with offset 0 is out of range. The timestamp should be within \
         [-9223372035854775807, 1003600000]"
    );
}

#[test]
fn no_timestamp_is_always_in_bounds() {
    let bounded = ValidationLimits { before_max_ms: 1000, ..limits() };
    assert!(validate(batch(Compression::None, &[(None, NOW.0 + 1)]), &bounded).is_ok());
}

#[test]
fn extreme_times_do_not_overflow() {
    for time in [i64::MIN, i64::MAX] {
        for codec in [Compression::None, Compression::Gzip] {
            let sent = with_header(&batch(codec, &[(None, 0)]), |header| {
                header.base_timestamp = Timestamp(time);
                header.max_timestamp = Timestamp(time);
            });
            let outcome = validate(sent, &limits());
            assert_eq!(outcome.is_err(), time == i64::MAX, "only the future is bounded by default");
        }
    }
}

#[test]
fn producers_may_not_claim_append_time() {
    for codec in [Compression::None, Compression::Zstd] {
        let sent = with_header(&batch(codec, &[(None, 0), (None, 0)]), |header| {
            header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        });
        let rejection = validate(sent, &limits()).unwrap_err();
        assert_eq!((rejection.code, rejection.record_errors.len()), (ErrorCode::InvalidTimestamp, 2));
    }
}

#[test]
fn a_wrong_max_timestamp_is_corrected_without_touching_the_body() {
    let sent = with_header(&batch(Compression::None, &[(None, 7), (None, 3), (None, 5)]), |header| {
        header.max_timestamp = Timestamp(42);
    });
    let validated = validate(sent.clone(), &limits()).unwrap();
    assert_eq!(validated.header().max_timestamp, Timestamp(NOW.0 - 3));
    assert_eq!(validated.bytes(), &sent);
    let stored = [&patched_header(&validated, Offset(9), LeaderEpoch(1), None)[..], &validated.body()].concat();
    let stored = RecordBatch::parse(&stored.into()).expect("the checksum holds");
    assert_eq!(stored.header().max_timestamp, Timestamp(NOW.0 - 3));

    let suspicious = with_header(&batch(Compression::Lz4, &[(None, 7), (None, 3)]), |header| {
        header.max_timestamp = Timestamp(42);
    });
    assert_eq!(
        validate(suspicious, &limits()).unwrap().header().max_timestamp,
        Timestamp(NOW.0 - 3),
        "below the base timestamp: decompressed"
    );
}

#[test]
fn records_that_do_not_fit_together() {
    let compacted = ValidationLimits { compacted: true, ..limits() };
    for codec in Compression::ALL {
        let sent = batch(codec, &[(Some("a"), 0), (Some("b"), 0)]);
        let three = with_header(&sent, |header| {
            header.record_count = 3;
            header.last_offset_delta = 2;
        });
        let one = with_header(&sent, |header| {
            header.record_count = 1;
            header.last_offset_delta = 0;
        });
        for wrong in [three, one] {
            assert_eq!(rejection(wrong, &compacted).0, ErrorCode::InvalidRecord, "{}", codec.name());
        }
        let mut builder = BatchBuilder::new(codec);
        builder.append_at(0, NOW, Some(b"a"), None, &[]);
        builder.append_at(2, NOW, Some(b"b"), None, &[]);
        let gap = with_header(&builder.build(), |header| header.last_offset_delta = 1);
        let rejection = validate(gap, &compacted).unwrap_err();
        assert_eq!(rejection.record_errors[0].batch_index, 1);
    }
}

#[test]
fn record_errors_are_bounded() {
    let compacted = ValidationLimits { compacted: true, ..limits() };
    let rejection = validate(batch(Compression::None, &vec![(None, 0); 10_000]), &compacted).unwrap_err();
    assert_eq!(rejection.record_errors.len(), MAX_RECORD_ERRORS);
    assert!(rejection.message.contains("due to 10000 record errors in total"));
    assert!(rejection.message.len() < 1000);
}

#[test]
fn append_time_is_patched_into_the_header_alone() {
    for codec in Compression::ALL {
        let validated = validate(batch(codec, &[(Some("a"), 9), (None, 8)]), &limits()).unwrap();
        let header = patched_header(&validated, Offset(1234), LeaderEpoch(5), Some(Timestamp(77)));
        let stored = [&header[..], &validated.body()].concat();
        let stored = RecordBatch::parse(&stored.into()).expect("the checksum holds");
        assert_eq!(stored.header().base_offset, Offset(1234));
        assert_eq!(stored.header().partition_leader_epoch, LeaderEpoch(5));
        assert_eq!(stored.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
        let records = stored.records().unwrap();
        let times: Vec<_> = records.iter().map(|record| record.unwrap().timestamp).collect();
        assert_eq!(times, [Timestamp(77); 2]);
        assert_eq!(stored.find_timestamp(Timestamp(77)).unwrap().unwrap().offset, Offset(1234));
    }
}

#[test]
fn another_codec_is_applied() {
    for from in Compression::ALL {
        for to in Compression::ALL {
            let recompressing = ValidationLimits { compression: Some(to), ..limits() };
            let sent = batch(from, &[(Some("a"), 9), (None, 8)]);
            let validated = validate(sent.clone(), &recompressing).unwrap();
            assert_eq!(validated.header().attributes.compression(), Ok(to));
            let stored = RecordBatch::parse(validated.bytes()).expect("the checksum holds");
            let original = RecordBatch::parse(&sent).unwrap();
            assert!(stored.records().unwrap().iter().eq(original.records().unwrap().iter()));
        }
    }
}

#[test]
fn coordinators_may_write_control_batches() {
    let coordinator = ValidationLimits { origin: AppendOrigin::Coordinator, compacted: true, ..limits() };
    for committed in [true, false] {
        let marker = EndTransactionMarker {
            producer_id: ProducerId(8),
            producer_epoch: ProducerEpoch(3),
            committed,
            coordinator_epoch: 17,
        };
        let sent = marker.to_batch(NOW);
        let validated = validate(sent.clone(), &coordinator).unwrap();
        let read = RecordBatch::parse(validated.bytes()).unwrap();
        assert_eq!(EndTransactionMarker::from_batch(&read), Ok(Some(marker)));
        assert_eq!(rejection(sent, &limits()).0, ErrorCode::InvalidRecord);
    }
    let data = RecordBatch::parse(&batch(Compression::None, &[(None, 0)])).unwrap();
    assert_eq!(EndTransactionMarker::from_batch(&data), Ok(None));
}

#[test]
fn a_marker_that_is_cut_off_is_an_error() {
    for (key, value) in [(&[0u8, 0, 0][..], &[0u8; 6][..]), (&[0, 0, 0, 1], &[0; 5]), (&[0xff, 0xff, 0, 1], &[0; 6])] {
        let mut builder = BatchBuilder::new(Compression::None).control();
        builder.append(NOW, Some(key), Some(value), &[]);
        let read = RecordBatch::parse(&builder.build()).unwrap();
        assert!(matches!(EndTransactionMarker::from_batch(&read), Err(BatchError::Record { .. })));
    }
}
