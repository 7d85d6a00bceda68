//! What a client may send: refused, or a batch that reads back whole.

use bytes::Bytes;
use highwater_records::{
    BatchBuilder, Compression, HEADER_LENGTH, RecordBatch, ValidationLimits, split_batches, validate_produce,
};

use crate::input::Input;
use crate::spoil::batch_of;
use crate::world::{NOW, partition};

pub(crate) fn run(input: &[u8]) {
    let whole = Bytes::copy_from_slice(input);
    let _ = validate_produce(whole.clone(), &partition(), &ValidationLimits::new(NOW));
    split_batches(&whole).for_each(drop);

    let mut input = Input::new(input);
    let limits = ValidationLimits { compacted: input.is_odd(), ..ValidationLimits::new(NOW) };
    let header = input.piece();
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(NOW, Some(b"k"), Some(b"v"), &[]);
    let good = builder.build();
    let body = match input.rest() {
        [] => &good[HEADER_LENGTH..],
        body => body,
    };
    if let Ok(validated) = validate_produce(batch_of(&good, header, body), &partition(), &limits) {
        let parsed = RecordBatch::parse(validated.bytes()).expect("it was validated");
        if parsed.header().attributes.compression() == Ok(Compression::None) {
            let records = parsed.records().expect("they were read");
            let all = records.iter().collect::<Result<Vec<_>, _>>().expect("they were read");
            assert_eq!(all.len() as i32, validated.header().record_count);
        }
    }
}
