//! `leader-epoch-checkpoint` spoilt or replaced: the log opens with the batches it had, and answers about epochs.

use highwater_types::LeaderEpoch;

use crate::input::Input;
use crate::spoil::edit_or_replace;
use crate::world::{Ended, GOOD, World, answers};

pub(crate) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let world = World::new(*input.choose(&Ended::ALL));
    let (path, mut bytes) = world.files("leader-epoch-checkpoint")[0].clone();
    edit_or_replace(&mut bytes, input.is_odd(), input.rest());
    world.write(&path, &bytes);
    let log = world.open_good();
    assert_eq!(answers(&log).as_ref(), Some(&*GOOD));
    for epoch in -1..5 {
        let (found, end) = log.epoch_end(LeaderEpoch(epoch));
        assert!(found <= LeaderEpoch(epoch) && end <= log.log_end(), "epoch {epoch}: {found} ends at {end}");
    }
}
