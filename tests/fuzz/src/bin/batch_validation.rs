//! What a client may send: refused, or a batch that reads back whole.

#![no_main]

use bytes::Bytes;
use highwater_fuzz::{NOW, batch_of, partition};
use highwater_records::{BatchBuilder, Compression, RecordBatch, ValidationLimits, validate_produce};
use highwater_types::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let limits = |compacted| ValidationLimits { compacted, ..ValidationLimits::new(NOW) };
    let _ = validate_produce(Bytes::copy_from_slice(input), &partition(), &limits(false));
    let Some((&[cut], rest)) = input.split_first_chunk::<1>() else { return };
    let (header, body) = rest.split_at(usize::from(cut).min(rest.len()));
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Timestamp(NOW.0), Some(b"k"), Some(b"v"), &[]);
    let good = builder.build();
    let body = if body.is_empty() { &good[highwater_records::HEADER_LENGTH..] } else { body };
    let batch = batch_of(&good, header, body);
    if let Ok(validated) = validate_produce(batch, &partition(), &limits(true)) {
        let parsed = RecordBatch::parse(validated.bytes()).expect("it was validated");
        let count = parsed.records().expect("they were read").iter().map(|record| record.expect("it was read")).count();
        assert_eq!(count as i32, validated.header().record_count);
    }
});
