//! Files with `.timeindex` of a cleanly closed log spoilt or replaced: everything can still be read, and looking for a time ends.

#![no_main]

use highwater_fuzz::{GOOD, World, answers, edit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[which], edits)) = input.split_first_chunk::<1>() else { return };
    let world = World::new(true);
    let indexes = world.files(".timeindex");
    let path = &indexes[usize::from(which >> 1) % indexes.len()];
    let mut bytes = world.read(path);
    match which & 1 {
        0 => edit(&mut bytes, edits),
        _ => bytes = edits.to_vec(),
    }
    world.write(path, &bytes);
    let log = world.open().expect("its batches are good");
    let found = answers(&log).expect("its batches are good");
    assert_eq!((found.range, &found.bytes), (GOOD.range, &GOOD.bytes));
});
