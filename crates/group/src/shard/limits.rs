//! Bounds on texts that end up in records or member ids.

/// Longest text of a record: its length is written as an `i16`, as it is in requests that are not flexible.
const MAX_TEXT_BYTES: usize = i16::MAX as usize;

/// A member id is the client id or the static id, a dash and a UUID.
const MEMBER_ID_SUFFIX_BYTES: usize = 1 + 36;

/// Whether a text fits into a record.
pub(super) fn fits_record(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES
}

/// Whether a member id can be made of a text.
pub(super) fn fits_member_id(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES - MEMBER_ID_SUFFIX_BYTES
}
