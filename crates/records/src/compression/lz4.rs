//! LZ4 frames (KIP-57).

use std::io::{self, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

/// Independent blocks of 64 KiB: what Kafka's own Java clients can read.
pub(super) fn compress(data: &[u8]) -> io::Result<Vec<u8>> {
    let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(data)?;
    Ok(encoder.finish()?)
}

/// Reads frames of independent or linked blocks. Its buffers depend on the block size of the frame, at most 4 MiB.
pub(super) fn reader(data: &[u8]) -> impl Read + '_ {
    FrameDecoder::new(data)
}
