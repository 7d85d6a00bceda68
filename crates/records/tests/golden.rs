//! Batches written by Kafka's own Java client (kafka-clients 4.3.1, `MemoryRecords.withIdempotentRecords`) in each codec:
//! `golden/java_batches.txt` has one line per codec, its name and the batch in hexadecimal.

use bytes::Bytes;
use highwater_records::{BatchBuilder, Compression, Header, RecordBatch, ValidationLimits, validate_produce};
use highwater_types::{
    Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicName, TopicPartition,
};

fn java_batches() -> impl Iterator<Item = (Compression, Bytes)> {
    include_str!("golden/java_batches.txt").lines().map(|line| {
        let (codec, hex) = line.split_once(' ').expect("codec and batch");
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        (Compression::from_name(codec).expect("a codec"), bytes.into())
    })
}

fn value() -> Vec<u8> {
    b"the quick brown fox jumps over the lazy dog. ".repeat(4)
}

/// The records that the Java program put into each batch.
fn same_batch(codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(codec).producer(ProducerId(42), ProducerEpoch(3), Sequence(7));
    let headers = [Header { key: b"h", value: Some(b"v") }, Header { key: b"h", value: None }];
    builder.append(Timestamp(1_700_000_000_000), Some(b"key"), Some(&value()), &headers);
    builder.append(Timestamp(1_699_999_999_990), None, Some(&value()), &[]);
    builder.append(Timestamp(1_700_000_000_500), Some(b""), None, &[]);
    builder.build()
}

#[test]
fn batches_of_the_java_client_are_read() {
    assert_eq!(java_batches().count(), Compression::ALL.len());
    for (codec, java) in java_batches() {
        let theirs = RecordBatch::parse(&java).unwrap();
        let ours = RecordBatch::parse(&same_batch(codec)).unwrap();
        assert_eq!(theirs.header().attributes, ours.header().attributes);
        assert_eq!(theirs.header().producer_id, ProducerId(42));
        assert_eq!(theirs.header().last_sequence(), Sequence(9));
        assert!(theirs.records().unwrap().iter().eq(ours.records().unwrap().iter()), "{}", codec.name());

        let partition = TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) };
        let bounded = ValidationLimits { before_max_ms: 1000, ..ValidationLimits::new(Timestamp(1_700_000_000_000)) };
        validate_produce(java, &partition, &bounded).expect("a stock client's batch passes");
        let found = theirs.find_timestamp(Timestamp(1_700_000_000_001)).unwrap().unwrap();
        assert_eq!(found.offset, Offset(2));
    }
}

#[test]
fn without_compression_the_bytes_are_those_of_the_java_client() {
    let (_, java) = java_batches().find(|(codec, _)| *codec == Compression::None).unwrap();
    assert_eq!(same_batch(Compression::None), java);
}
