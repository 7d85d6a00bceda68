//! Time indexes of a properly closed log spoilt or replaced: all can be read, and looking for a time ends, with a record that is there.
//! (One that could be that of other batches is believed, as Kafka believes it: S7 is about lost ones.)

use crate::input::Input;
use crate::world::{Ended, GOOD, World, answers};

pub(crate) fn run(input: &[u8]) {
    let world = World::new(Ended::Properly);
    world.spoil_one(".timeindex", Input::new(input));
    let found = answers(&world.open_good()).expect("its batches are good");
    assert_eq!((found.range, &found.bytes, &found.aborted), (GOOD.range, &GOOD.bytes, &GOOD.aborted));
    let behind = found.times.iter().flatten().find(|found| found.offset >= GOOD.range.1);
    assert_eq!(behind, None, "no record is there");
}
