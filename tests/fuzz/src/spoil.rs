//! Ways to spoil valid bytes.

use bytes::Bytes;
use highwater_records::{HEADER_LENGTH, LOG_OVERHEAD};

/// Edits of one input. More would only repeat what fewer reach.
const MAX_EDITS: usize = 64;

/// Takes the input as edits of `bytes`: three bytes each, a position and what is put there; of an odd rest, one byte cuts so many
/// bytes off, two put so many of a kind behind the end.
pub(crate) fn edit(bytes: &mut Vec<u8>, input: &[u8]) {
    let (edits, rest) = input.as_chunks::<3>();
    for [high, low, value] in edits.iter().take(MAX_EDITS) {
        let position = usize::from(u16::from_be_bytes([*high, *low]));
        if !bytes.is_empty() {
            let length = bytes.len();
            bytes[position % length] = *value;
        }
    }
    match rest {
        [cut] => bytes.truncate(bytes.len().saturating_sub(usize::from(*cut))),
        [more, times] => bytes.extend(std::iter::repeat_n(*more, usize::from(*times))),
        _ => {}
    }
}

/// Edits of `bytes`, or something else in their place.
pub(crate) fn edit_or_replace(bytes: &mut Vec<u8>, replace: bool, input: &[u8]) {
    match replace {
        true => *bytes = input.to_vec(),
        false => edit(bytes, input),
    }
}

/// A batch with the header of `template`, edited, and that body, whose length and checksum hold.
pub(crate) fn batch_of(template: &Bytes, edits: &[u8], body: &[u8]) -> Bytes {
    let mut bytes = template[..HEADER_LENGTH].to_vec();
    edit(&mut bytes, edits);
    bytes.resize(HEADER_LENGTH, 0);
    bytes.extend_from_slice(body);
    seal(&mut bytes);
    bytes.into()
}

/// Makes length, magic and checksum of a batch hold.
pub(crate) fn seal(batch: &mut [u8]) {
    if batch.len() < HEADER_LENGTH {
        return;
    }
    let length = (batch.len() - LOG_OVERHEAD) as u32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// Makes the checksums of all batches of a segment hold.
pub(crate) fn seal_all(segment: &mut [u8]) {
    let mut rest = segment;
    while let Some(end) = batch_end(rest) {
        let (batch, behind) = rest.split_at_mut(end);
        seal(batch);
        rest = behind;
    }
}

/// Where the batch at the start of `bytes` ends, if that is within them.
pub(crate) fn batch_end(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(bytes.get(8..LOG_OVERHEAD)?.try_into().ok()?) as usize;
    let end = length.checked_add(LOG_OVERHEAD)?;
    (end >= HEADER_LENGTH && end <= bytes.len()).then_some(end)
}
