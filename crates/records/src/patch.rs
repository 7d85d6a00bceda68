//! The header that the log writes in front of a batch's untouched body.

use highwater_types::{LeaderEpoch, Offset, Timestamp};

use crate::attributes::TimestampType;
use crate::header::{ATTRIBUTES_POSITION, BatchHeader, HEADER_LENGTH};
use crate::validate::ValidatedBatch;

/// The header of `batch` as it is to be stored: with its base offset and leader epoch, and for a `LogAppendTime` topic with
/// the append time as maximum timestamp.
///
/// The body is not read: what changes the checksum lies in the header, and the checksum of header and body is combined anew.
pub fn patched_header(
    batch: &ValidatedBatch,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    append_time: Option<Timestamp>,
) -> [u8; HEADER_LENGTH] {
    let mut header = *batch.header();
    header.base_offset = base_offset;
    header.partition_leader_epoch = leader_epoch;
    if let Some(append_time) = append_time {
        header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        header.max_timestamp = append_time;
    }
    header.crc = crc_after_change(batch.bytes(), &header);
    header.to_bytes()
}

/// The checksum of `batch` once its header is replaced by `header`. The stored checksum must hold.
///
/// With `crc(A ++ B) = shift(crc(A), |B|) ^ crc(B)` and a linear shift, replacing A by A' changes the whole checksum by
/// `shift(crc(A) ^ crc(A'), |B|)`.
fn crc_after_change(batch: &[u8], header: &BatchHeader) -> u32 {
    let stored = BatchHeader::from_bytes(batch.first_chunk().expect("a validated batch has a whole header")).crc;
    let before = &batch[ATTRIBUTES_POSITION..HEADER_LENGTH];
    let after = &header.to_bytes()[ATTRIBUTES_POSITION..];
    if before == after {
        return stored;
    }
    let change = crc32c::crc32c(before) ^ crc32c::crc32c(after);
    crc32c::crc32c_combine(change, stored, batch.len() - HEADER_LENGTH)
}
