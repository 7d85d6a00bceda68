//! Questions about offsets: ListOffsets and OffsetForLeaderEpoch.

use highwater_types::{LeaderEpoch, Offset, Timestamp};

/// What ListOffsets asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// -1: the offset after the last record the client may see.
    Latest,
    /// -2: the first offset of the log.
    Earliest,
    /// -3: the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// -4: the first offset on local disk; nothing is tiered, so it is [`Self::Earliest`] (KIP-405).
    EarliestLocal,
    /// -5: the last tiered offset; nothing is tiered, so there is none (KIP-1005).
    LatestTiered,
    /// The first record at or after that time.
    Timestamp(Timestamp),
}

impl OffsetSpec {
    /// The wire's timestamp field; `None` for negative numbers without a meaning.
    pub const fn from_timestamp(timestamp: i64) -> Option<Self> {
        match timestamp {
            -1 => Some(Self::Latest),
            -2 => Some(Self::Earliest),
            -3 => Some(Self::MaxTimestamp),
            -4 => Some(Self::EarliestLocal),
            -5 => Some(Self::LatestTiered),
            0.. => Some(Self::Timestamp(Timestamp(timestamp))),
            _ => None,
        }
    }
}

/// An answer of ListOffsets. "Nothing found" is offset, timestamp and epoch -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset, or -1.
    pub offset: Offset,
    /// The record's timestamp where the question was about time, or -1.
    pub timestamp: Timestamp,
    /// The leader epoch of that offset, or -1.
    pub leader_epoch: LeaderEpoch,
}

impl ListedOffset {
    /// No such record.
    pub const NOT_FOUND: Self =
        Self { offset: Offset::NONE, timestamp: Timestamp::NONE, leader_epoch: LeaderEpoch::NONE };
}
