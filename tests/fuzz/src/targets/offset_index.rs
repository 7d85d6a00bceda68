//! Offset indexes of a properly closed log spoilt or replaced: no answer changes (S7).

use crate::input::Input;
use crate::world::{Ended, GOOD, World, answers};

pub(crate) fn run(input: &[u8]) {
    let world = World::new(Ended::Properly);
    world.spoil_one(".index", Input::new(input));
    assert_eq!(answers(&world.open_good()).as_ref(), Some(&*GOOD));
}
