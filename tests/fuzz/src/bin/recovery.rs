//! Segments spoilt in any way, below and above the durable mark: the log is opened as a prefix or said to be damaged, and opening
//! it again changes nothing.

#![no_main]

use highwater_fuzz::{World, answers, edit, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[which, fix], edits)) = input.split_first_chunk::<2>() else { return };
    let mut world = World::new(which & 1 == 1);
    let segments = world.files(".log");
    let path = &segments[usize::from(which >> 1) % segments.len()];
    let mut bytes = world.read(path);
    edit(&mut bytes, edits);
    if fix & 1 == 1 {
        repair(&mut bytes);
    }
    world.write(path, &bytes);
    let Ok(log) = world.open() else { return };
    let first = answers(&log);
    drop(log);
    world.restart();
    let again = world.open().expect("it could be opened before");
    if first.is_some() && which & 1 == 0 {
        assert_eq!(answers(&again), first);
    }
});

/// Makes the checksums of all batches hold.
fn repair(bytes: &mut [u8]) {
    let mut position = 0;
    while position + 61 <= bytes.len() {
        let length = u32::from_be_bytes(bytes[position + 8..position + 12].try_into().unwrap()) as usize;
        let end = position.saturating_add(12).saturating_add(length);
        if length < 49 || end > bytes.len() {
            return;
        }
        seal(&mut bytes[position..end]);
        position = end;
    }
}
