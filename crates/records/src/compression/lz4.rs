//! LZ4 frames (KIP-57).

use std::io::{self, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

/// Highest level of the high-compression mode that Kafka allows; the library's is lower, and it takes its own.
const HIGHEST_LEVEL: u32 = 17;

/// Independent blocks of 64 KiB: what Kafka's own Java clients can read. Without a level, as fast as it goes.
pub(super) fn compress(data: &[u8], level: Option<i32>) -> io::Result<Vec<u8>> {
    match level {
        Some(level) => compress_high(data, level.clamp(1, HIGHEST_LEVEL as i32).unsigned_abs()),
        None => compress_fast(data),
    }
}

fn compress_high(data: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut encoder = lz4::EncoderBuilder::new()
        .level(level)
        .block_mode(lz4::BlockMode::Independent)
        .block_size(lz4::BlockSize::Max64KB)
        .checksum(lz4::ContentChecksum::NoChecksum)
        .build(Vec::new())?;
    encoder.write_all(data)?;
    let (compressed, result) = encoder.finish();
    result.map(|()| compressed)
}

fn compress_fast(data: &[u8]) -> io::Result<Vec<u8>> {
    let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(data)?;
    Ok(encoder.finish()?)
}

/// Reads frames of independent or linked blocks. Its buffers depend on the block size of the frame, at most 4 MiB.
pub(super) fn reader(data: &[u8]) -> impl Read + '_ {
    FrameDecoder::new(data)
}
