//! `leader-epoch-checkpoint` replaced by anything: the log opens, and answers about epochs.

#![no_main]

use std::path::Path;

use highwater_fuzz::{World, answers};
use highwater_types::LeaderEpoch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[which], content)) = input.split_first_chunk::<1>() else { return };
    let world = World::new(which & 1 == 1);
    world.write(Path::new("data/topic-0/leader-epoch-checkpoint"), content);
    let Ok(log) = world.open() else { return };
    assert!(answers(&log).is_some());
    for epoch in -1..5 {
        let (found, end) = log.epoch_end(LeaderEpoch(epoch));
        assert!(found <= LeaderEpoch(epoch) && end <= log.log_end());
    }
});
