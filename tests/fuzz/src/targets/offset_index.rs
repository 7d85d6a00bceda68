//! Offset indexes of a properly closed log spoilt or replaced: no answer changes (S7).

use crate::input::Input;
use crate::spoil::edit_or_replace;
use crate::world::{Ended, GOOD, World, answers};

pub(crate) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let world = World::new(Ended::Properly);
    let indexes = world.files(".index");
    let (path, mut bytes) = (*input.choose(&indexes)).clone();
    edit_or_replace(&mut bytes, input.is_odd(), input.rest());
    world.write(&path, &bytes);
    assert_eq!(answers(&world.open_good()).as_ref(), Some(&*GOOD));
}
