//! Hostile batches cost no more memory than the bytes that were received, plus the codec's fixed buffers.

use bytes::Bytes;
use highwater_records::{
    BatchBuilder, BatchHeader, Compression, HEADER_LENGTH, RecordBatch, ValidationLimits, split_batches,
    validate_produce,
};
use highwater_test_allocator::{Counting, peak_of};
use highwater_types::{PartitionIndex, Timestamp, TopicName, TopicPartition};
use proptest::prelude::*;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a codec may hold whatever the input: an LZ4 frame of 4 MiB blocks needs two of them and a window.
const CODEC_BUFFERS: usize = 16 * 1024 * 1024;
/// A snappy block is decompressed as a whole and grows at most that much.
const EXPANSION: usize = 24;

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) }
}

/// Compacted: everything is decompressed and looked at.
fn strict_limits() -> ValidationLimits {
    ValidationLimits {
        compacted: true,
        before_max_ms: 1000,
        max_message_bytes: usize::MAX,
        ..ValidationLimits::new(Timestamp(5))
    }
}

/// A batch with that body, whose checksum holds.
fn assemble(codec: Compression, body: &[u8], record_count: i32) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    builder.append(Timestamp(5), Some(b"k"), None, &[]);
    let mut header = BatchHeader::parse(&builder.build()).unwrap();
    header.length = (HEADER_LENGTH - 12 + body.len()) as i32;
    header.record_count = record_count;
    header.last_offset_delta = record_count.wrapping_sub(1);
    let mut bytes = [&header.to_bytes()[..], body].concat();
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// Reads a batch in every way there is.
fn read_everything(bytes: &Bytes) {
    let _ = validate_produce(bytes.clone(), &partition(), &strict_limits());
    for batch in split_batches(bytes) {
        let Ok(batch) = batch else { break };
        let _ = batch.find_timestamp(Timestamp(i64::MIN));
        let _ = batch.find_timestamp(batch.header().max_timestamp);
        if let Ok(records) = batch.records() {
            for record in &records {
                let Ok(record) = record else { break };
                let _ = record.headers.count();
            }
        }
    }
}

#[test]
fn bombs_are_refused_in_constant_memory() {
    // One record whose value is 127 MiB of zeros, compressed to a few hundred KiB at most.
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let mut builder = BatchBuilder::new(codec);
        builder.append(Timestamp(5), None, Some(&vec![0; 127 << 20]), &[]);
        let bomb = builder.build();
        let (peak, outcome) = peak_of(|| validate_produce(bomb.clone(), &partition(), &strict_limits()));
        assert!(outcome.is_err(), "{}: it has no key", codec.name());
        assert!(peak < CODEC_BUFFERS, "{}: {peak} bytes to look at {}", codec.name(), bomb.len());
    }
}

#[test]
fn claimed_counts_and_lengths_cost_nothing() {
    // Each body starts with a record whose numbers claim as much as they can.
    let huge = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let bodies: [&[u8]; 5] = [
        &huge,
        &[20, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 0],
        &[20, 0, 0, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0],
        &[20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f],
        &[22, 0, 0, 0, 1, 1, 2, 0xfe, 0xff, 0xff, 0xff, 0x0f],
    ];
    for codec in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Zstd] {
        for body in bodies {
            for count in [1, i32::MAX] {
                let compressed = compress(codec, body);
                let batch = assemble(codec, &compressed, count);
                let (peak, ()) = peak_of(|| read_everything(&batch));
                assert!(peak < 1 << 20, "{}: {peak} bytes for {body:?}", codec.name());
            }
        }
    }
}

/// The body of a batch that holds just `body`, through the public builder of another crate's codec where there is one.
fn compress(codec: Compression, body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    match codec {
        Compression::None => body.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(body).unwrap(),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::bulk::compress(body, 3).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Bodies of noise behind a correct header and checksum, in every codec.
    #[test]
    fn noise_in_a_batch_costs_little(
        codec in proptest::sample::select(&Compression::ALL[..]),
        noise in proptest::collection::vec(any::<u8>(), 0..400),
        packed in any::<bool>(),
        count in prop_oneof![1..50i32, Just(i32::MAX)],
    ) {
        let body = if packed { compress(codec, &noise) } else { noise };
        let batch = assemble(codec, &body, count);
        let (peak, ()) = peak_of(|| read_everything(&batch));
        prop_assert!(peak < CODEC_BUFFERS + EXPANSION * batch.len(), "{peak} bytes");
    }

    /// Real batches in which single bytes are changed, with and without a checksum that holds.
    #[test]
    fn mutations_cost_little_and_never_panic(
        codec in proptest::sample::select(&Compression::ALL[..]),
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..20),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        repair in any::<bool>(),
    ) {
        let mut builder = BatchBuilder::new(codec);
        for value in &values {
            builder.append(Timestamp(5), Some(b"key"), Some(value), &[]);
        }
        let mut bytes = builder.build().to_vec();
        for (position, byte) in changes {
            let position = position.index(bytes.len());
            bytes[position] = byte;
        }
        if repair {
            let crc = crc32c::crc32c(&bytes[21..]);
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        let bytes = Bytes::from(bytes);
        let (peak, ()) = peak_of(|| read_everything(&bytes));
        prop_assert!(peak < CODEC_BUFFERS + EXPANSION * bytes.len(), "{peak} bytes");
    }

    /// Noise without any structure.
    #[test]
    fn noise_is_no_batch(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let noise = Bytes::from(noise);
        let (peak, ()) = peak_of(|| {
            let _ = RecordBatch::parse(&noise);
            read_everything(&noise);
        });
        prop_assert!(peak < 1 << 20, "{peak} bytes");
    }
}
