//! Producer snapshots spoilt or replaced, with a checksum that holds or not: the log opens with the batches it had, what it knows of
//! producers can be asked for, and it takes batches.

use crate::input::Input;
use crate::spoil::edit_or_replace;
use crate::world::{BATCHES, Ended, GOOD, PRODUCERS, World, answers, append};

/// Behind a version, i16, and the checksum, u32, of what follows.
const CHECKED_FROM: usize = 6;

pub(crate) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let world = World::new(*input.choose(&Ended::ALL));
    let seal = input.is_odd();
    let snapshots = world.files(".snapshot");
    let (path, mut bytes) = (*input.choose(&snapshots)).clone();
    edit_or_replace(&mut bytes, input.is_odd(), input.rest());
    if seal && bytes.len() > CHECKED_FROM {
        let crc = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        bytes[2..CHECKED_FROM].copy_from_slice(&crc.to_be_bytes());
    }
    world.write(&path, &bytes);
    let mut log = world.open_good();
    let found = answers(&log).expect("its batches are good");
    assert_eq!((found.range, &found.bytes), (GOOD.range, &GOOD.bytes));
    log.active_producers();
    let end = log.log_end();
    assert!(log.last_stable_offset(end) <= end);
    for number in BATCHES..BATCHES + 12 {
        // What producers may still do depends on the snapshot.
        let appended = append(&mut log, number);
        assert!(appended.is_ok() || number % PRODUCERS != 0, "a batch without a producer: {appended:?}");
    }
}
