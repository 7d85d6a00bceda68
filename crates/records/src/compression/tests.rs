use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;

use super::*;

fn text(length: usize) -> Vec<u8> {
    b"the quick brown fox jumps over the lazy dog. ".iter().copied().cycle().take(length).collect()
}

#[test]
fn every_codec_gives_back_what_it_got() {
    for codec in Compression::ALL {
        for length in [0, 1, 31, 32 * 1024, 32 * 1024 + 1, 1_000_000] {
            let body = text(length);
            let compressed = codec.compress(body.clone());
            assert_eq!(codec.decompress(&compressed), Ok(body), "{} of {length} bytes", codec.name());
        }
    }
}

#[test]
fn levels_trade_time_for_size() {
    let body: Vec<u8> = (0..60_000u32)
        .flat_map(|number| format!("{} ", number.wrapping_mul(2_654_435_761) >> 19).into_bytes())
        .collect();
    for (codec, levels) in [
        (Compression::Gzip, &[1, 5, 9][..]),
        (Compression::Lz4, &[1, 3, 12, 17]),
        (Compression::Zstd, &[-131_072, -1, 1, 3, 19, 22]),
    ] {
        let sizes: Vec<usize> = levels
            .iter()
            .map(|&level| {
                let compressed = codec.compress_at(Some(level), body.clone());
                assert_eq!(codec.decompress(&compressed).as_ref(), Ok(&body), "{} at level {level}", codec.name());
                compressed.len()
            })
            .collect();
        assert!(sizes.is_sorted_by(|low, high| low >= high), "{} at {levels:?}: {sizes:?}", codec.name());
        assert!(sizes.first() > sizes.last(), "{} at {levels:?}: {sizes:?}", codec.name());
    }
    for (codec, beyond, nearest) in
        [(Compression::Gzip, 99, 9), (Compression::Lz4, 99, 17), (Compression::Zstd, 99, 22)]
    {
        assert_eq!(codec.compress_at(Some(beyond), body.clone()), codec.compress_at(Some(nearest), body.clone()));
    }
}

#[test]
fn ids_and_names_are_kafkas() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let codec = Compression::from_name(name).unwrap();
        assert_eq!((usize::from(codec.id()), Compression::from_id(codec.id())), (id, Some(codec)));
    }
    assert_eq!(Compression::from_id(5), None);
    assert_eq!(Compression::from_name("producer"), None);
}

#[test]
fn raw_snappy_blocks_are_read() {
    let body = text(100_000);
    let raw = snap::raw::Encoder::new().compress_vec(&body).unwrap();
    assert_eq!(Compression::Snappy.decompress(&raw), Ok(body));
}

#[test]
fn snappy_streams_may_start_anew() {
    let mut twice = Compression::Snappy.compress(text(10));
    twice.extend_from_slice(&Compression::Snappy.compress(text(20)));
    let mut expected = text(10);
    expected.extend_from_slice(&text(20));
    assert_eq!(Compression::Snappy.decompress(&twice), Ok(expected));
}

#[test]
fn a_snappy_block_cannot_claim_more_than_it_can_hold() {
    // The length in front of a raw block says 2^32 - 1.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    assert!(matches!(Compression::Snappy.decompress(&claim), Err(BatchError::Decompression { .. })));
}

#[test]
fn linked_lz4_blocks_are_read() {
    let body = text(300_000);
    let info = FrameInfo::new().block_mode(BlockMode::Linked).block_size(BlockSize::Max64KB).content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&body).unwrap();
    assert_eq!(Compression::Lz4.decompress(&encoder.finish().unwrap()), Ok(body));
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0; MAX_DECOMPRESSED_BYTES + 1];
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bomb = codec.compress(zeros.clone());
        let mut reader = codec.reader(&bomb).unwrap();
        let error = std::io::copy(&mut reader, &mut std::io::sink()).unwrap_err();
        assert_eq!(codec.error(&error), BatchError::TooLarge(MAX_DECOMPRESSED_BYTES), "{}", codec.name());
    }
}

proptest! {
    #[test]
    fn noise_is_an_error_or_data_but_no_panic(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        for codec in Compression::ALL {
            let _ = codec.decompress(&noise);
        }
    }

    #[test]
    fn broken_data_is_an_error_or_data_but_no_panic(
        body in proptest::collection::vec(0u8..4, 0..2000),
        position in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        for codec in Compression::ALL {
            let mut compressed = codec.compress(body.clone());
            if !compressed.is_empty() {
                let position = position.index(compressed.len());
                compressed[position] = byte;
                let _ = codec.decompress(&compressed);
                let _ = codec.decompress(&compressed[..cut.index(compressed.len())]);
            }
        }
    }
}
