//! Codecs of batch bodies, each with a reader that never gives out more than a limit.

mod lz4;
mod snappy;
mod zstandard;

use std::io::{self, BufReader, Read, Write};

use crate::error::BatchError;

/// Most bytes that one batch may take decompressed: 128 MiB. A stock producer closes a batch by its uncompressed size or an
/// estimate of the compressed one, far below this even for the most compressible data.
pub const MAX_DECOMPRESSED_BYTES: usize = 128 * 1024 * 1024;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks, written in the framing of xerial's snappy-java; raw blocks are read too.
    Snappy,
    /// LZ4 frames of independent 64 KiB blocks; linked blocks are read too.
    Lz4,
    /// Zstandard frames (KIP-110).
    Zstd,
}

impl Compression {
    /// Every codec, in ascending order of id.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of an id from a batch's attributes.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The id in a batch's attributes.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Kafka's name, as in `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// Compresses the body of a batch at the codec's default level.
    pub(crate) fn compress(self, body: Vec<u8>) -> Vec<u8> {
        self.compress_at(None, body)
    }

    /// Compresses the body of a batch, at a level as in `compression.gzip.level`, `compression.lz4.level` and
    /// `compression.zstd.level` (KIP-390); `None` is the codec's default. A level beyond the codec's range is as the nearest.
    pub(crate) fn compress_at(self, level: Option<i32>, body: Vec<u8>) -> Vec<u8> {
        // Writing to a Vec cannot fail, and the codecs' settings are constants that their libraries accept.
        const INFALLIBLE: &str = "compressing into memory cannot fail";
        match self {
            Self::None => body,
            Self::Gzip => {
                let level = level.map(|level| flate2::Compression::new(level.clamp(1, 9).unsigned_abs()));
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level.unwrap_or_default());
                encoder.write_all(&body).expect(INFALLIBLE);
                encoder.finish().expect(INFALLIBLE)
            }
            Self::Snappy => snappy::compress(&body),
            Self::Lz4 => lz4::compress(&body, level).expect(INFALLIBLE),
            Self::Zstd => zstandard::compress(&body, level).expect(INFALLIBLE),
        }
    }

    /// Decompresses the body of a batch; the result grows with what really comes out, never by what is claimed.
    pub(crate) fn decompress(self, body: &[u8]) -> Result<Vec<u8>, BatchError> {
        let mut decompressed = Vec::new();
        self.reader(body)?.read_to_end(&mut decompressed).map_err(|error| self.error(&error))?;
        Ok(decompressed)
    }

    /// Reads the decompressed body bit by bit, within memory that does not depend on its size.
    pub(crate) fn reader(self, body: &[u8]) -> Result<BodyReader<'_>, BatchError> {
        let reader: Box<dyn Read + '_> = match self {
            Self::None => Box::new(body),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(body)),
            Self::Snappy => Box::new(snappy::Reader::new(body)),
            Self::Lz4 => Box::new(lz4::reader(body)),
            Self::Zstd => Box::new(zstandard::reader(body).map_err(|error| self.error(&error))?),
        };
        Ok(BufReader::new(Limited { reader, left: MAX_DECOMPRESSED_BYTES }))
    }

    /// What an error of [`Self::reader`] means.
    pub(crate) fn error(self, error: &io::Error) -> BatchError {
        if error.kind() == LIMIT_REACHED {
            BatchError::TooLarge(MAX_DECOMPRESSED_BYTES)
        } else {
            BatchError::Decompression { codec: self.name(), reason: error.to_string() }
        }
    }
}

/// Marks the error of [`Limited`]; no codec gives it.
const LIMIT_REACHED: io::ErrorKind = io::ErrorKind::FileTooLarge;

/// A decompressed body, read in small steps.
pub(crate) type BodyReader<'a> = BufReader<Limited<'a>>;

/// Fails once more than `left` bytes come out.
pub(crate) struct Limited<'a> {
    reader: Box<dyn Read + 'a>,
    left: usize,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count).ok_or(LIMIT_REACHED)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
