//! Snappy in the framing of xerial's snappy-java, which Java clients and librdkafka write, and as one raw block, which some
//! other clients write.
//!
//! ```text
//! 0x82 "SNAPPY" 0x00 | version i32 | lowest compatible version i32 | { block length i32 | raw snappy block } ...
//! ```

use std::io::{self, Read};

use snap::raw::{Decoder, Encoder, decompress_len};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic and the two versions.
const STREAM_HEADER_LENGTH: usize = 16;
const VERSION: i32 = 1;
/// Uncompressed bytes per block: snappy-java's default.
const BLOCK_BYTES: usize = 32 * 1024;
/// The densest element of a snappy block turns 3 bytes into 64, so no block grows more than this.
const MAX_EXPANSION: usize = 22;

/// Compresses into xerial framing.
pub(super) fn compress(data: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(STREAM_HEADER_LENGTH + data.len() / 2);
    framed.extend_from_slice(&MAGIC);
    framed.extend_from_slice(&VERSION.to_be_bytes());
    framed.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    for block in data.chunks(BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).expect("a block of 32 KiB is within snappy's limit");
        framed.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
        framed.extend_from_slice(&compressed);
    }
    framed
}

/// Decompresses block by block.
pub(super) struct Reader<'a> {
    /// Compressed bytes not read yet.
    rest: &'a [u8],
    /// Whether `rest` is framed; a raw block is read in one go.
    framed: bool,
    /// The current block, decompressed.
    block: Vec<u8>,
    /// How much of `block` was given out.
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        let framed = data.len() >= STREAM_HEADER_LENGTH && data.starts_with(&MAGIC);
        let rest = if framed { &data[STREAM_HEADER_LENGTH..] } else { data };
        Self { rest, framed, block: Vec::new(), position: 0 }
    }

    fn next_block(&mut self) -> io::Result<()> {
        let compressed = if self.framed { self.next_framed_block()? } else { std::mem::take(&mut self.rest) };
        let claimed = decompress_len(compressed)?;
        if claimed > compressed.len().saturating_mul(MAX_EXPANSION) {
            return Err(invalid("a block claims more than it can hold"));
        }
        self.block.clear();
        self.block.resize(claimed, 0);
        self.position = 0;
        let actual = Decoder::new().decompress(compressed, &mut self.block)?;
        self.block.truncate(actual);
        Ok(())
    }

    fn next_framed_block(&mut self) -> io::Result<&'a [u8]> {
        // snappy-java may start a stream anew in the middle.
        if self.rest.len() >= STREAM_HEADER_LENGTH && self.rest.starts_with(&MAGIC) {
            self.rest = &self.rest[STREAM_HEADER_LENGTH..];
        }
        let length = self.rest.split_off(..4).ok_or_else(|| invalid("a block length is cut off"))?;
        let length = u32::from_be_bytes(length.try_into().expect("four bytes were split off")) as usize;
        self.rest.split_off(..length).ok_or_else(|| invalid("a block is cut off"))
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.block.len() {
            if self.rest.is_empty() {
                return Ok(0);
            }
            self.next_block()?;
        }
        let count = (&self.block[self.position..]).read(buffer)?;
        self.position += count;
        Ok(count)
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
