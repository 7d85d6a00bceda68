//! What can be wrong with a batch.

use highwater_types::ErrorCode;

/// Why bytes are no batch of format v2, or why its records cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does. In a log this is a torn tail.
    #[error("batch needs {needed} bytes, {available} are there")]
    Truncated {
        /// Bytes that the batch takes as far as is known.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// The length field is smaller than a header.
    #[error("batch has the length {0}, less than its header")]
    Length(i32),
    /// A format other than v2.
    #[error("batch has magic {0}, only 2 is supported")]
    Magic(i8),
    /// The checksum does not match the contents.
    #[error("record is corrupt (stored crc = {stored}, computed = {computed})")]
    Crc {
        /// As in the header.
        stored: u32,
        /// Of the contents.
        computed: u32,
    },
    /// A header field has a value that no batch can have.
    #[error("batch header: {0}")]
    Header(&'static str),
    /// The codec id is none of Kafka's.
    #[error("unknown compression type id: {0}")]
    UnknownCodec(u8),
    /// Compressed data that its codec cannot read.
    #[error("{codec} data is corrupt: {reason}")]
    Decompression {
        /// Name of the codec.
        codec: &'static str,
        /// What the codec said.
        reason: String,
    },
    /// Decompressed records would take more than that many bytes.
    #[error("records take more than {0} bytes decompressed")]
    TooLarge(usize),
    /// A record whose lengths do not fit together.
    #[error("record {index}: {reason}")]
    Record {
        /// Position in the batch, from 0.
        index: i32,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Records and the count in the header do not agree.
    #[error("incorrect declared batch size, {0}")]
    Count(&'static str),
}

impl BatchError {
    /// The code Kafka answers for this, in a produce or from a read.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Truncated { .. } | Self::Length(_) | Self::Crc { .. } => ErrorCode::CorruptMessage,
            Self::TooLarge(_) => ErrorCode::MessageTooLarge,
            Self::Magic(_) => ErrorCode::UnsupportedForMessageFormat,
            Self::UnknownCodec(_) => ErrorCode::UnsupportedCompressionType,
            Self::Header(_) | Self::Decompression { .. } | Self::Record { .. } | Self::Count(_) => {
                ErrorCode::InvalidRecord
            }
        }
    }
}
