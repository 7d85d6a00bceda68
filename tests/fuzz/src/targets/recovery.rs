//! One or two files of a log directory spoilt in any way: it opens or says what is wrong; the log is a prefix of what it was or
//! said to be damaged; and opening it again changes nothing.

use std::path::Path;

use highwater_log::Log;

use crate::input::Input;
use crate::spoil::{batch_end, edit_or_replace, seal_all};
use crate::world::{Answers, Ended, GOOD, World, answers};

pub(crate) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let ended = *input.choose(&Ended::ALL);
    let (seal, segments_only) = (input.is_odd(), input.is_odd());
    let world = World::new(ended);
    let files = world.files(if segments_only { ".log" } else { "" });
    let first = (input.choose(&files), input.is_odd(), input.piece());
    let second = (input.choose(&files), input.is_odd(), input.rest());
    for ((path, content), replace, edits) in [first, second] {
        let mut bytes = content.clone();
        if edits.is_empty() {
            continue;
        }
        edit_or_replace(&mut bytes, replace, edits);
        if seal && is_segment(path) {
            seal_all(&mut bytes);
        }
        world.write(path, &bytes);
    }
    let Some((log, found)) = open(&world) else { return };
    if ended == Ended::Early && !seal && segments_only {
        let found = found.as_ref().expect("recovery read all of it");
        assert!(masked(&GOOD.bytes).starts_with(&masked(&found.bytes)), "what is left is a prefix");
    }
    drop(log);
    world.restart();
    if ended != Ended::Properly {
        let (_, again) = open(&world).expect("it could be opened before");
        assert_eq!(again, found, "the second recovery changes nothing");
    } else {
        open(&world);
    }
}

fn open(world: &World) -> Option<(Log, Option<Answers>)> {
    let directory = world.directory().ok()?;
    let log = world.open(&directory).ok()?;
    let found = answers(&log);
    Some((log, found))
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

/// The batches without what no checksum protects: base offsets and leader epochs.
fn masked(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    while let Some(end) = batch_end(rest) {
        let (batch, behind) = rest.split_at_mut(end);
        batch[..8].fill(0);
        batch[12..16].fill(0);
        rest = behind;
    }
    bytes
}
