//! Room behind the last batch, written ahead with zeros, so that a flush of a small batch need not wait for the file system's journal.
//!
//! A file that grows changes its length and takes blocks, and a flush commits both to the journal; one whose blocks were written before
//! changes neither. So a log whose appends each wait for a flush of its own gets some zeros ahead of them. No batch begins with zeros,
//! so whoever reads a file by itself can tell where the batches end.

use std::io;

use highwater_env::File;

/// What is written ahead at a time: the blocks for some dozens of small batches, and little for a log that is left alone then.
pub(crate) const ROOM_BYTES: u64 = 64 * 1024;

/// Larger batches fill the room too soon.
pub(crate) const MAX_BATCH_BYTES: u64 = ROOM_BYTES / 4;

/// After so many appends in a row that found all before them flushed, the next ones are expected to.
pub(crate) const CALM_APPENDS: u8 = 8;

const ZEROS: &[u8; ROOM_BYTES as usize] = &[0; ROOM_BYTES as usize];

/// Writes zeros from `position` on, and gives where they end.
pub(crate) fn write(file: &File, position: u64) -> io::Result<u64> {
    file.write_all_at(ZEROS, position)?;
    Ok(position + ROOM_BYTES)
}

/// Whether there is nothing but zeros in `from..to`, which the file has.
pub(crate) fn is_blank(file: &File, mut from: u64, to: u64) -> io::Result<bool> {
    let mut bytes = [0; 4096];
    while from < to {
        let bytes = &mut bytes[..(to - from).min(4096) as usize];
        file.read_exact_at(bytes, from)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        from += bytes.len() as u64;
    }
    Ok(true)
}
