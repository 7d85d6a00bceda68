use highwater_types::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};

use super::*;
use crate::builder::BatchBuilder;
use crate::record::Header;
use crate::record_reader::RecordFacts;

fn sample(codec: Compression) -> RecordBatch {
    let mut builder = BatchBuilder::new(codec).placed_at(Offset(100), LeaderEpoch(7)).producer(
        ProducerId(9),
        ProducerEpoch(2),
        Sequence(i32::MAX - 1),
    );
    let headers = [Header { key: b"k", value: None }, Header { key: b"k", value: Some(&[0xff, 0xfe]) }];
    builder.append(Timestamp(1000), Some(b"a"), Some(b"1"), &headers);
    builder.append(Timestamp(990), None, Some(b"2"), &[]);
    builder.append_at(5, Timestamp(1010), Some(b""), None, &[]);
    RecordBatch::parse(&builder.build()).unwrap()
}

#[test]
fn header_fields_come_back() {
    let header = *sample(Compression::None).header();
    assert_eq!(header.last_offset(), Offset(105));
    assert_eq!(header.next_offset(), Offset(106));
    assert_eq!(header.last_sequence(), Sequence(3), "sequences wrap");
    assert_eq!((header.base_timestamp, header.max_timestamp), (Timestamp(1000), Timestamp(1010)));
    assert_eq!(BatchHeader::parse(&header.to_bytes()), Ok(header));
}

#[test]
fn records_keep_nulls_empties_and_repeated_headers() {
    for codec in Compression::ALL {
        let records = sample(codec).records().unwrap();
        let read: Vec<_> = records.iter().map(Result::unwrap).collect();
        let seen: Vec<_> =
            read.iter().map(|record| (record.offset.get(), record.timestamp.0, record.key, record.value)).collect();
        assert_eq!(
            seen,
            [
                (100, 1000, Some(&b"a"[..]), Some(&b"1"[..])),
                (101, 990, None, Some(&b"2"[..])),
                (105, 1010, Some(&b""[..]), None)
            ],
            "{}",
            codec.name()
        );
        let headers: Vec<_> = read[0].headers.map(|header| (header.key, header.value)).collect();
        assert_eq!(headers, [(&b"k"[..], None), (&b"k"[..], Some(&[0xff, 0xfe][..]))]);
    }
}

#[test]
fn the_stream_reader_sees_the_same_records() {
    for codec in Compression::ALL {
        let batch = sample(codec);
        let mut reader = RecordReader::new(codec, &batch.bytes()[HEADER_LENGTH..], 3).unwrap();
        for record in &batch.records().unwrap() {
            let record = record.unwrap();
            let expected = RecordFacts {
                timestamp_delta: record.timestamp_delta,
                offset_delta: record.offset_delta,
                has_key: record.key.is_some(),
            };
            assert_eq!(reader.next_record(), Ok(Some(expected)));
        }
        assert_eq!(reader.next_record(), Ok(None));
    }
}

#[test]
fn times_are_found_in_record_order() {
    for codec in Compression::ALL {
        let batch = sample(codec);
        let find = |target| {
            batch.find_timestamp(Timestamp(target)).unwrap().map(|found| (found.offset.get(), found.timestamp.0))
        };
        assert_eq!(find(0), Some((100, 1000)));
        assert_eq!(find(1000), Some((100, 1000)));
        assert_eq!(find(1001), Some((105, 1010)));
        assert_eq!(find(1011), None);
    }
}

#[test]
fn the_checksum_covers_all_but_offset_length_and_epoch() {
    let bytes = sample(Compression::None).into_bytes();
    for position in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[position] ^= 1;
        let parsed = RecordBatch::parse(&changed.into());
        match position {
            // Base offset and leader epoch.
            0..8 | 12..16 => assert!(parsed.is_ok(), "{position}"),
            _ => assert!(parsed.is_err(), "{position}"),
        }
    }
}

#[test]
fn a_batch_that_is_cut_off_says_what_it_needs() {
    let bytes = sample(Compression::None).into_bytes();
    for length in 0..bytes.len() {
        let needed = if length < HEADER_LENGTH { HEADER_LENGTH } else { bytes.len() };
        assert_eq!(
            RecordBatch::parse(&bytes.slice(..length)),
            Err(BatchError::Truncated { needed, available: length })
        );
    }
}

#[test]
fn count_and_body_must_agree() {
    let batch = sample(Compression::None);
    for (count, message) in [(2, "records still remaining"), (4, "record 3")] {
        let records = Records {
            header: BatchHeader { record_count: count, ..*batch.header() },
            body: batch.bytes().slice(HEADER_LENGTH..),
        };
        let error = records.iter().find_map(Result::err).expect("an error at the end");
        assert!(error.to_string().contains(message), "{error}");
        assert!(records.iter().skip_while(Result::is_ok).nth(1).is_none(), "nothing follows the error");
    }
}
