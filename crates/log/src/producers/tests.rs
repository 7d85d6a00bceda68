use highwater_records::{BatchBuilder, Compression, RecordBatch};
use highwater_types::LeaderEpoch;

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

/// A stored batch of producer 7: `count` records from `sequence` on at `offset`.
fn batch(epoch: i16, sequence: i32, count: i32, offset: i64) -> BatchHeader {
    build(epoch, sequence, count, offset, false)
}

fn build(epoch: i16, sequence: i32, count: i32, offset: i64, transactional: bool) -> BatchHeader {
    let mut builder = BatchBuilder::new(Compression::None)
        .producer(ProducerId(7), ProducerEpoch(epoch), Sequence(sequence))
        .placed_at(Offset(offset), LeaderEpoch(0));
    if transactional {
        builder = builder.transactional();
    }
    for _ in 0..count {
        builder.append(Timestamp(offset), None, Some(b"v"), &[]);
    }
    *RecordBatch::parse(&builder.build()).unwrap().header()
}

fn marker(epoch: i16, offset: i64) -> (BatchHeader, EndTransactionMarker) {
    let marker = EndTransactionMarker {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(epoch),
        committed: true,
        coordinator_epoch: 3,
    };
    let mut header = *RecordBatch::parse(&marker.to_batch(Timestamp(offset))).unwrap().header();
    header.base_offset = Offset(offset);
    (header, marker)
}

fn state(batches: &[BatchHeader]) -> ProducerStates {
    let mut states = ProducerStates::default();
    batches.iter().for_each(|header| _ = states.apply(header, None, NOW));
    states
}

/// The verdict in short.
fn verdict(states: &ProducerStates, header: &BatchHeader) -> String {
    match states.check(header) {
        Ok(Verdict::Append) => "append".to_owned(),
        Ok(Verdict::Duplicate(original)) => {
            format!("duplicate of {}..={}", original.base_offset(), original.last_offset)
        }
        Err(error) => error.code().name().to_owned(),
    }
}

#[test]
fn sequences_and_epochs() {
    let max = i32::MAX;
    // What is in the log; then what comes, and what becomes of it.
    type Script<'a> = (&'a [BatchHeader], &'a [((i16, i32, i32), &'a str)]);
    let scripts: &[Script<'_>] = &[
        (&[], &[((0, 0, 1), "append"), ((0, 17, 1), "append"), ((5, 3, 2), "append")]),
        (
            &[batch(1, 0, 3, 100), batch(1, 3, 2, 103)],
            &[
                ((1, 5, 1), "append"),
                ((1, 6, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER"),
                ((1, 4, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER"),
                ((1, 0, 3), "duplicate of 100..=102"),
                ((1, 3, 2), "duplicate of 103..=104"),
                ((1, 3, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER"),
                ((1, 0, 5), "OUT_OF_ORDER_SEQUENCE_NUMBER"),
                ((0, 5, 1), "INVALID_PRODUCER_EPOCH"),
                ((0, 0, 3), "INVALID_PRODUCER_EPOCH"),
                ((2, 0, 1), "append"),
                ((2, 5, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER"),
            ],
        ),
        // Sequences wrap within and between batches.
        (
            &[batch(0, max - 1, 1, 10), batch(0, max, 3, 11)],
            &[
                ((0, 2, 1), "append"),
                ((0, max, 3), "duplicate of 11..=13"),
                ((0, max - 1, 1), "duplicate of 10..=10"),
                ((0, 0, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER"),
            ],
        ),
        (&[batch(0, max, 1, 10)], &[((0, 0, 4), "append"), ((0, max, 1), "duplicate of 10..=10")]),
        // The newest five are remembered.
        (
            &[
                batch(0, 0, 1, 0),
                batch(0, 1, 1, 1),
                batch(0, 2, 1, 2),
                batch(0, 3, 1, 3),
                batch(0, 4, 1, 4),
                batch(0, 5, 1, 5),
            ],
            &[
                ((0, 0, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER"),
                ((0, 1, 1), "duplicate of 1..=1"),
                ((0, 5, 1), "duplicate of 5..=5"),
                ((0, 6, 1), "append"),
            ],
        ),
        // A new epoch forgets the batches of the old one.
        (
            &[batch(0, 0, 1, 0), batch(1, 0, 2, 1)],
            &[((1, 0, 2), "duplicate of 1..=2"), ((1, 2, 1), "append"), ((1, 0, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER")],
        ),
    ];
    for (number, (log, script)) in scripts.iter().enumerate() {
        let states = state(log);
        for ((epoch, sequence, count), expected) in script.iter() {
            let found = verdict(&states, &batch(*epoch, *sequence, *count, 0));
            assert_eq!(&found, expected, "script {number}: epoch {epoch}, sequence {sequence}, {count} records");
        }
    }
}

#[test]
fn transactions() {
    let mut states = state(&[build(0, 0, 2, 10, true)]);
    states.apply(&build(0, 2, 1, 12, true), None, NOW);
    assert_eq!(states.first_undecided_transaction(Offset(i64::MAX)), Some(Offset(10)));
    assert_eq!(verdict(&states, &batch(0, 3, 1, 0)), "INVALID_TXN_STATE");
    let (header, content) = marker(1, 13);
    assert_eq!(verdict(&states, &header), "append");
    states.apply(&header, Some(&content), NOW);
    assert_eq!(states.first_undecided_transaction(Offset(i64::MAX)), None);
    // The marker's epoch was bumped: the next transaction starts at sequence 0, and the old epoch is fenced.
    assert_eq!(verdict(&states, &build(1, 0, 1, 0, true)), "append");
    assert_eq!(verdict(&states, &build(1, 3, 1, 0, true)), "OUT_OF_ORDER_SEQUENCE_NUMBER");
    assert_eq!(verdict(&states, &build(0, 3, 1, 0, true)), "INVALID_PRODUCER_EPOCH");
    assert_eq!(ProducerStates::decode(&states.encode(), NOW), Ok(states));
}

#[test]
fn snapshots_keep_every_answer() {
    let mut states = state(&(0..7).map(|n| batch(2, n * 3, 3, 100 + i64::from(n) * 3)).collect::<Vec<_>>());
    states.apply(&build(2, 21, 1, 121, true), None, NOW);
    let bytes = states.encode();
    assert_eq!(bytes.len(), 10 + 5 * 46);
    let read = ProducerStates::decode(&bytes, NOW).unwrap();
    assert_eq!(read, states);
    assert_eq!(read.encode(), bytes);
    assert_eq!(verdict(&read, &batch(2, 12, 3, 0)), "duplicate of 112..=114");

    for cut in 0..bytes.len() {
        assert!(ProducerStates::decode(&bytes[..cut], NOW).is_err(), "cut at {cut}");
    }
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x10;
        assert!(ProducerStates::decode(&damaged, NOW).is_err(), "byte {position}");
    }
}

#[test]
fn a_snapshot_of_apache_kafka() {
    // One entry: producer 1000, epoch 3, last sequence 9, last offset 42, offset delta 4, timestamp 1700000000000,
    // coordinator epoch -1, no transaction.
    let mut bytes = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    bytes.extend_from_slice(&1000i64.to_be_bytes());
    bytes.extend_from_slice(&3i16.to_be_bytes());
    bytes.extend_from_slice(&9i32.to_be_bytes());
    bytes.extend_from_slice(&42i64.to_be_bytes());
    bytes.extend_from_slice(&4i32.to_be_bytes());
    bytes.extend_from_slice(&1_700_000_000_000i64.to_be_bytes());
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    bytes.extend_from_slice(&(-1i64).to_be_bytes());
    let crc = crc32c::crc32c(&bytes[6..]);
    bytes[2..6].copy_from_slice(&crc.to_be_bytes());
    let states = ProducerStates::decode(&bytes, NOW).unwrap();
    let entry = &states.entries[&ProducerId(1000)];
    assert_eq!((entry.epoch, entry.last_sequence(), entry.batches.len()), (ProducerEpoch(3), Sequence(9), 1));
    assert_eq!(entry.batches[0].base_offset(), Offset(38));
    assert_eq!(states.encode(), bytes);
}

#[test]
fn idle_producers_expire_by_use_not_by_record_time() {
    // The record's own time is long past; the producer is active now all the same.
    let mut states = state(&[batch(0, 0, 1, 5)]);
    states.expire(Timestamp(NOW.0 + 100), 100);
    assert!(!states.is_empty());
    states.expire(Timestamp(NOW.0 + 101), 100);
    assert!(states.is_empty());
    let mut open = state(&[build(0, 0, 1, 5, true)]);
    open.expire(Timestamp(i64::MAX), 100);
    assert!(!open.is_empty(), "an open transaction keeps its producer");
}
