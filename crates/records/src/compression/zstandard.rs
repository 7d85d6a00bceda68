//! Zstandard frames (KIP-110).

use std::io::{self, Read};

/// Largest window accepted, as a power of two: what level 22, the highest Kafka allows, writes. The window is address space;
/// memory is taken as data comes out.
const MAX_WINDOW_LOG: u32 = 27;

pub(super) fn compress(data: &[u8], level: Option<i32>) -> io::Result<Vec<u8>> {
    // The library takes the nearest level that it has.
    zstd::bulk::compress(data, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL))
}

pub(super) fn reader(data: &[u8]) -> io::Result<impl Read + '_> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(data)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(decoder)
}
