//! Builder to view to builder in every codec, and `kafka-protocol`'s record decoder and encoder as second opinions.

use bytes::{Bytes, BytesMut};
use highwater_records::{
    BatchBuilder, Compression, HEADER_LENGTH, Header, RecordBatch, ValidationLimits, patched_header, split_batches,
    validate_produce,
};
use highwater_types::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicName, TopicPartition,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as second;
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq)]
struct Record {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[derive(Debug, Clone)]
struct Batch {
    codec: Compression,
    producer: Option<(i64, i16, i32)>,
    transactional: bool,
    records: Vec<Record>,
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..most)
}

fn record() -> impl Strategy<Value = Record> {
    let headers = proptest::collection::vec((bytes(8), proptest::option::of(bytes(8))), 0..4);
    (0..2_000_000_000_000i64, proptest::option::of(bytes(20)), proptest::option::of(bytes(300)), headers)
        .prop_map(|(timestamp, key, value, headers)| Record { timestamp, key, value, headers })
}

fn batch() -> impl Strategy<Value = Batch> {
    let producer = proptest::option::of((0..i64::MAX, 0..i16::MAX, 0..i32::MAX));
    let codec = proptest::sample::select(&Compression::ALL[..]);
    (codec, producer, any::<bool>(), proptest::collection::vec(record(), 1..30)).prop_map(
        |(codec, producer, transactional, records)| Batch {
            codec,
            producer,
            transactional: transactional && producer.is_some(),
            records,
        },
    )
}

fn build(batch: &Batch) -> Bytes {
    let mut builder = BatchBuilder::new(batch.codec);
    if let Some((id, epoch, sequence)) = batch.producer {
        builder = builder.producer(ProducerId(id), ProducerEpoch(epoch), Sequence(sequence));
    }
    if batch.transactional {
        builder = builder.transactional();
    }
    for record in &batch.records {
        let headers: Vec<_> =
            record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        builder.append(Timestamp(record.timestamp), record.key.as_deref(), record.value.as_deref(), &headers);
    }
    let uncompressed = builder.uncompressed_size_in_bytes();
    let built = builder.build();
    assert!(batch.codec != Compression::None || built.len() == uncompressed);
    built
}

fn read(batch: &RecordBatch) -> Vec<Record> {
    let records = batch.records().unwrap();
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    records
        .iter()
        .map(|record| {
            let record = record.unwrap();
            Record {
                timestamp: record.timestamp.0,
                key: owned(record.key),
                value: owned(record.value),
                headers: record.headers.map(|header| (header.key.to_vec(), owned(header.value))).collect(),
            }
        })
        .collect()
}

fn limits() -> ValidationLimits {
    ValidationLimits { max_message_bytes: usize::MAX, after_max_ms: i64::MAX, ..ValidationLimits::new(Timestamp(0)) }
}

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) }
}

fn assert_same(ours: &Record, theirs: &second::Record) {
    assert_eq!(theirs.timestamp, ours.timestamp);
    assert_eq!(theirs.key.as_deref(), ours.key.as_deref());
    assert_eq!(theirs.value.as_deref(), ours.value.as_deref());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_built_is_read_and_builds_the_same(batch in batch()) {
        let built = build(&batch);
        let parsed = RecordBatch::parse(&built).unwrap();
        let records = read(&parsed);
        prop_assert_eq!(&records, &batch.records);
        prop_assert_eq!(build(&Batch { records, ..batch.clone() }), built.clone());
        let header = parsed.header();
        prop_assert_eq!(header.record_count as usize, batch.records.len());
        prop_assert_eq!(header.max_timestamp.0, batch.records.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!(header.is_transactional(), batch.transactional);
        prop_assert_eq!(header.has_producer_id(), batch.producer.is_some());
        validate_produce(built, &partition(), &limits()).unwrap();
    }

    #[test]
    fn what_is_stored_splits_into_the_same_batches(batches in proptest::collection::vec(batch(), 1..4)) {
        let mut log = BytesMut::new();
        let mut next = Offset(17);
        for batch in &batches {
            let validated = validate_produce(build(batch), &partition(), &limits()).unwrap();
            log.extend_from_slice(&patched_header(&validated, next, LeaderEpoch(4), None));
            log.extend_from_slice(&validated.body());
            next = next.plus(validated.header().record_count.into());
        }
        let log = log.freeze();
        let split: Vec<_> = split_batches(&log).map(Result::unwrap).collect();
        prop_assert_eq!(split.len(), batches.len());
        let mut expected = Offset(17);
        for (stored, sent) in split.iter().zip(&batches) {
            prop_assert_eq!(stored.header().base_offset, expected);
            prop_assert_eq!(&read(stored), &sent.records);
            expected = stored.header().next_offset();
        }
        prop_assert_eq!(expected, next);
        // A torn tail gives the whole batches in front of it, then the error.
        let mut torn = split_batches(&log.slice(..log.len() - 1));
        prop_assert_eq!(torn.by_ref().take_while(Result::is_ok).count(), batches.len() - 1);
        prop_assert_eq!(torn.consumed(), log.len() - split.last().unwrap().bytes().len());
    }

    #[test]
    fn kafka_protocol_reads_what_we_build(batch in batch()) {
        // Its decoder loses repeated header keys and refuses those that are not UTF-8.
        let batch = Batch {
            records: batch.records.into_iter().map(|record| Record { headers: Vec::new(), ..record }).collect(),
            ..batch
        };
        let built = build(&batch);
        let decompress = |body: &mut Bytes, _| Ok(uncompressed(batch.codec, body));
        let theirs =
            second::RecordBatchDecoder::decode_with_custom_compression(&mut built.clone(), Some(decompress)).unwrap();
        prop_assert_eq!(theirs.records.len(), batch.records.len());
        for (index, (theirs, ours)) in theirs.records.iter().zip(&batch.records).enumerate() {
            assert_same(ours, theirs);
            prop_assert_eq!(theirs.offset, index as i64);
            prop_assert_eq!(theirs.transactional, batch.transactional);
            prop_assert_eq!(theirs.producer_id, batch.producer.map_or(-1, |(id, ..)| id));
        }
    }

    #[test]
    fn we_read_what_kafka_protocol_builds(batch in batch()) {
        let (id, epoch, sequence) = batch.producer.unwrap_or((-1, -1, -1));
        let records: Vec<second::Record> = batch.records.iter().enumerate().map(|(index, record)| second::Record {
            transactional: batch.transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: id,
            producer_epoch: epoch,
            timestamp_type: second::TimestampType::Creation,
            offset: index as i64,
            sequence: sequence.wrapping_add(index as i32),
            timestamp: record.timestamp,
            key: record.key.clone().map(Bytes::from),
            value: record.value.clone().map(Bytes::from),
            headers: [(StrBytes::from_static_str("h"), None)].into_iter().collect(),
        }).collect();
        let options = second::RecordEncodeOptions { version: 2, compression: second::Compression::None };
        let mut encoded = BytesMut::new();
        second::RecordBatchEncoder::encode(&mut encoded, &records, &options).unwrap();
        let encoded = encoded.freeze();
        let read: Vec<Record> = split_batches(&encoded).flat_map(|batch| read(&batch.unwrap())).collect();
        prop_assert_eq!(read.len(), records.len());
        for (ours, theirs) in read.iter().zip(&records) {
            assert_same(ours, theirs);
            prop_assert_eq!(&ours.headers, &[(b"h".to_vec(), None)]);
        }
    }
}

/// Decompresses with the codecs directly: `kafka-protocol` is built without any here.
fn uncompressed(codec: Compression, body: &Bytes) -> Bytes {
    let mut out = Vec::new();
    match codec {
        Compression::None => return body.clone(),
        Compression::Gzip => drop(std::io::copy(&mut flate2::read::GzDecoder::new(&body[..]), &mut out).unwrap()),
        Compression::Lz4 => drop(std::io::copy(&mut lz4_flex::frame::FrameDecoder::new(&body[..]), &mut out).unwrap()),
        Compression::Zstd => out = zstd::stream::decode_all(&body[..]).unwrap(),
        Compression::Snappy => {
            let mut rest = &body[16..];
            while let Some((length, tail)) = rest.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                out.extend(snap::raw::Decoder::new().decompress_vec(&tail[..length]).unwrap());
                rest = &tail[length..];
            }
        }
    }
    out.into()
}

#[test]
fn a_header_is_61_bytes() {
    assert_eq!(HEADER_LENGTH, 61);
}
