//! A producer snapshot spoilt or replaced, with a checksum that holds or not: the log opens, and its batches are what they were.

#![no_main]

use highwater_fuzz::{World, answers, edit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[which], edits)) = input.split_first_chunk::<1>() else { return };
    let world = World::new(which & 1 == 1);
    let snapshots = world.files(".snapshot");
    let Some(path) = snapshots.last() else { return };
    let mut bytes = world.read(path);
    edit(&mut bytes, edits);
    // Version i16, checksum u32 of what follows.
    if which & 2 == 2 && bytes.len() > 6 {
        let crc = crc32c::crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
    }
    world.write(path, &bytes);
    let log = world.open().expect("its batches are good");
    assert!(answers(&log).is_some());
    let _ = log.active_producers();
});
