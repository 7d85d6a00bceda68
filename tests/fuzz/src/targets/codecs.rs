//! A compressed body of any bytes: an error or records, within bounds; what is accepted survives another codec.

use highwater_records::{BatchBuilder, Compression, HEADER_LENGTH, RecordBatch, ValidationLimits, validate_produce};

use crate::input::Input;
use crate::spoil::{batch_of, edit};
use crate::world::{NOW, partition};

pub(crate) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let codec = *input.choose(&Compression::ALL[1..]);
    let other = *input.choose(&Compression::ALL);
    let kept = usize::from(input.byte());
    let mut builder = BatchBuilder::new(codec);
    for number in 0..40 {
        builder.append(NOW, Some(&[number]), Some(&[7; 20]), &[]);
    }
    let good = builder.build();
    let good_body = &good[HEADER_LENGTH..];
    // A good beginning, so that the codec's own checks are passed.
    let mut body = good_body[..kept.min(good_body.len())].to_vec();
    edit(&mut body, input.piece());
    body.extend_from_slice(input.rest());
    let batch = batch_of(&good, &[], &body);
    let read = RecordBatch::parse(&batch).ok().and_then(|parsed| values(&parsed));
    let limits = ValidationLimits { compacted: true, compression: Some(other), ..ValidationLimits::new(NOW) };
    if let Ok(validated) = validate_produce(batch, &partition(), &limits) {
        let parsed = RecordBatch::parse(validated.bytes()).expect("it was validated");
        assert_eq!(values(&parsed), read, "its records are what they were");
    }
}

/// The values of all records, if all can be read.
fn values(batch: &RecordBatch) -> Option<Vec<Option<Vec<u8>>>> {
    let records = batch.records().ok()?;
    records.iter().map(|record| record.ok().map(|record| record.value.map(<[u8]>::to_vec))).collect()
}
