//! One change of the disk fails, for lack of space or with an I/O error, at every single point of every operation, and those
//! behind it succeed. Either the log directory goes out of service, or the log goes on: then it answers as if it had been opened
//! anew from what is on disk, after a crash and after a proper end.

use std::io::ErrorKind;

use highwater_env::CrashMode;

use super::crash_points::{Act, MOST_CHANGES, OPERATIONS, Operation, World, operation};
use super::*;

/// What only a follower does.
const AS_FOLLOWER: [Operation; 1] = [operation("follow", |world| world.open_flushed(10), |world| world.follow(24, 20))];

/// What comes after the failure, as long as the directory is in service.
const SEQUELS: [(&str, Act); 3] = [
    ("killed", |world| {
        world.flush()?;
        world.directory.checkpoint(&[])?;
        world.lose_power(CrashMode::Keep, 0);
        Ok(())
    }),
    ("power loss", |world| {
        world.flush()?;
        world.directory.checkpoint(&[])?;
        world.lose_power(CrashMode::Drop, 0);
        Ok(())
    }),
    ("closed", |world| {
        world.close()?;
        world.lose_power(CrashMode::Keep, 0);
        Ok(())
    }),
];

#[test]
fn one_change_fails_at_every_point() {
    let mut went_on = 0;
    for operation in OPERATIONS.iter().chain(&AS_FOLLOWER) {
        for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
            let (mut points, mut online) = (0, 0);
            for changes in 0..MOST_CHANGES {
                let outcomes = SEQUELS.map(|sequel| fail_at(operation, (changes, kind), sequel));
                if outcomes.contains(&Outcome::NothingFailed) {
                    break;
                }
                points += outcomes.len();
                online += outcomes.iter().filter(|outcome| **outcome == Outcome::WentOn).count();
            }
            println!("{}, {kind:?}: went on after {online} of {points} failures", operation.name);
            went_on += online;
        }
    }
    assert!(went_on > 100, "{went_on}");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    NothingFailed,
    OutOfService,
    WentOn,
}

fn fail_at(operation: &Operation, (changes, kind): (u64, ErrorKind), (sequel, and_then): (&str, Act)) -> Outcome {
    let context = format!("{}, {changes} changes, {kind:?}, {sequel}", operation.name);
    let mut world = World::new();
    (operation.prepare)(&mut world).expect("nothing fails yet");
    world.disk.fail_one_after(changes, kind);
    let result = (operation.act)(&mut world);
    assert!(matches!(result, Ok(()) | Err(LogError::Io { .. } | LogError::Offline(_))), "{context}: {result:?}");
    let failed = !world.disk.is_one_to_fail();
    world.disk.heal();
    if world.is_gone(result.is_ok()) || !failed {
        return if failed { Outcome::WentOn } else { Outcome::NothingFailed };
    }
    if !world.directory.is_online() {
        world.lose_power(CrashMode::Drop, 0);
        world.open().unwrap_or_else(|error| panic!("{context}: {error}"));
        world.check(&context);
        return Outcome::OutOfService;
    }
    if world.log.is_none() {
        world.open().unwrap_or_else(|error| panic!("{context}: {error}"));
    }
    let went_on = world.append(7).and_then(|()| {
        let answers = world.answers();
        and_then(&mut world).map(|()| answers)
    });
    let answers = went_on.unwrap_or_else(|error| panic!("{context}: {error}"));
    world.open().unwrap_or_else(|error| panic!("{context}: {error}"));
    world.check(&context);
    assert!(world.answers() == answers, "{context}: other answers after it was opened again");
    world.lose_auxiliary_files(false);
    world.open().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(world.answers() == answers, "{context}: other answers without indexes");
    Outcome::WentOn
}
