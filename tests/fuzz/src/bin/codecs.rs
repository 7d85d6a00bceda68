//! A compressed body of any bytes: an error or records, within bounds.

#![no_main]

use highwater_fuzz::{NOW, batch_of, partition};
use highwater_records::{BatchBuilder, Compression, RecordBatch, ValidationLimits, validate_produce};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[codec, keep], rest)) = input.split_first_chunk::<2>() else { return };
    let codec = Compression::ALL[1 + usize::from(codec) % 4];
    let mut builder = BatchBuilder::new(codec);
    for number in 0..40 {
        builder.append(NOW, Some(&[number]), Some(&[7; 20]), &[]);
    }
    let good = builder.build();
    let good_body = &good[highwater_records::HEADER_LENGTH..];
    // A good beginning, so that the codec's own checks are passed.
    let mut body = good_body[..usize::from(keep).min(good_body.len())].to_vec();
    body.extend_from_slice(rest);
    let batch = batch_of(&good, &[], &body);
    if let Ok(parsed) = RecordBatch::parse(&batch)
        && let Ok(records) = parsed.records()
    {
        for record in records.iter() {
            let _ = record.map(|record| record.value.map(<[u8]>::len));
        }
    }
    let limits =
        ValidationLimits { compacted: true, compression: Some(Compression::None), ..ValidationLimits::new(NOW) };
    let _ = validate_produce(batch, &partition(), &limits);
});
