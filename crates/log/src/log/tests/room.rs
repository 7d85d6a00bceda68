//! Room that is written ahead of small batches which are flushed one by one.

use highwater_env::{CrashMode, SimFs};
use highwater_types::LeaderEpoch;

use super::*;
use crate::inspection::verify_partition;
use crate::room::ROOM_BYTES;

const CALM_APPENDS: u32 = crate::room::CALM_APPENDS as u32;

fn append(log: &mut Log) {
    log.append_leader(&Sent::plain(&[NOW.0]).validated(), LeaderEpoch(0), NOW).unwrap();
}

/// Appends batches, each of which is flushed.
fn append_flushed(log: &mut Log, count: u32) {
    for _ in 0..count {
        append(log);
        log.flush_target().flush().unwrap();
    }
}

fn one_segment() -> LogConfig {
    LogConfig { segment_bytes: 1 << 20, ..small() }
}

fn opened(disk: &SimFs, config: &LogConfig) -> (Arc<LogDirectory>, Log) {
    let directory = open_directory(disk);
    let log = open_log(&directory, config).unwrap();
    (directory, log)
}

/// With room written ahead of its last batch.
fn log_with_room(disk: &SimFs) -> (Arc<LogDirectory>, Log) {
    let (directory, mut log) = opened(disk, &one_segment());
    append_flushed(&mut log, CALM_APPENDS + 2);
    assert!(room(disk, &log) > 0);
    (directory, log)
}

fn segments(disk: &SimFs) -> Vec<(String, Vec<u8>)> {
    files(disk).into_iter().filter(|(name, _)| name.ends_with(".log")).collect()
}

fn length(disk: &SimFs) -> u64 {
    segments(disk).iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

/// Bytes in files of batches that are in no batch.
fn room(disk: &SimFs, log: &Log) -> u64 {
    length(disk) - log.size_bytes()
}

fn verify(disk: &SimFs) -> Vec<String> {
    let result = verify_partition(&Fs::Sim(disk.clone()), &Path::new(DIR).join("topic-0")).unwrap();
    result.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn it_is_written_once_appends_have_been_flushed_one_by_one() {
    let disk = SimFs::new();
    let (_directory, mut log) = opened(&disk, &one_segment());
    append_flushed(&mut log, CALM_APPENDS - 1);
    assert_eq!(room(&disk, &log), 0);
    append_flushed(&mut log, 1);
    assert_eq!(room(&disk, &log), ROOM_BYTES);
    let batch = log.size_bytes() / u64::from(CALM_APPENDS);
    append_flushed(&mut log, 3);
    assert_eq!(room(&disk, &log), ROOM_BYTES - 3 * batch, "used before more is written");
    append_flushed(&mut log, (ROOM_BYTES / batch) as u32);
    assert!(room(&disk, &log) > ROOM_BYTES / 2);
    let end = log.log_end();
    assert_eq!(read_all(&log).len() as u64, log.size_bytes());
    assert_eq!(log.reader().read(end, end, 1 << 20, true).unwrap().batches.concat(), b"", "no reader sees it");
}

#[test]
fn it_is_not_written_where_flushes_cover_many_batches_or_large_ones() {
    let disk = SimFs::new();
    let (_directory, mut log) = opened(&disk, &one_segment());
    for _ in 0..10 {
        append_flushed(&mut log, CALM_APPENDS - 3);
        append(&mut log);
        append(&mut log);
        log.flush_target().flush().unwrap();
    }
    assert_eq!(room(&disk, &log), 0);
    let large = Sent { value_bytes: 20 << 10, ..Sent::plain(&[NOW.0]) };
    for _ in 0..2 * CALM_APPENDS {
        log.append_leader(&large.validated(), LeaderEpoch(0), NOW).unwrap();
        log.flush_target().flush().unwrap();
    }
    assert_eq!(room(&disk, &log), 0);
}

#[test]
fn it_is_given_back_when_a_segment_is_rolled_or_cut_and_at_retention_and_close() {
    let disk = SimFs::new();
    let (directory, mut log) = log_with_room(&disk);
    log.apply_retention(NOW, log.log_end()).unwrap();
    assert_eq!(room(&disk, &log), 0, "retention");

    append_flushed(&mut log, 3);
    assert!(room(&disk, &log) > 0);
    log.truncate_to(log.log_end().plus(-2), NOW).unwrap();
    assert_eq!(room(&disk, &log), 0, "truncation");

    append_flushed(&mut log, CALM_APPENDS);
    assert!(room(&disk, &log) > 0);
    assert!(log.roll_if_filled(NOW).unwrap());
    assert_eq!(room(&disk, &log), 0, "roll");

    append_flushed(&mut log, CALM_APPENDS);
    assert!(room(&disk, &log) > 0);
    let size = log.size_bytes();
    let end = log.close().unwrap();
    directory.close(None).unwrap();
    assert_eq!(length(&disk), size, "close");
    // What a clean stop left is believed, and is durable.
    disk.crash(CrashMode::Drop, 0);
    let (_directory, log) = opened(&disk, &one_segment());
    assert_eq!((log.log_end(), log.size_bytes()), (end, size));
    assert_eq!(verify(&disk), [""; 0]);
}

#[test]
fn after_a_crash_it_is_neither_damage_nor_part_of_the_log() {
    for (mode, seed) in [(CrashMode::Keep, 0), (CrashMode::Drop, 0), (CrashMode::Torn, 1), (CrashMode::Torn, 2)] {
        let disk = SimFs::new();
        let (_directory, log) = log_with_room(&disk);
        let (end, size) = (log.log_end(), log.size_bytes());
        drop(log);
        disk.crash(mode, seed);
        assert_eq!(verify(&disk), [""; 0]);
        let (_directory, mut log) = opened(&disk, &one_segment());
        assert_eq!((log.log_end(), log.size_bytes(), room(&disk, &log)), (end, size, 0));
        append(&mut log);
        assert_eq!(read_all(&log).len() as u64, log.size_bytes());
    }
}

/// Zeros where there were flushed batches are a loss, also where a gap could be taken for compaction's.
#[test]
fn zeros_below_the_durable_mark_are_damage() {
    for last in [false, true] {
        let disk = SimFs::new();
        let (directory, mut log) = log_with_room(&disk);
        if !last {
            log.roll_if_filled(NOW).unwrap();
            log.flush_target().flush().unwrap();
        }
        directory.checkpoint(&[]).unwrap();
        let (mark, size) = (log.log_end(), log.size_bytes() as usize);
        drop(log);
        disk.crash(CrashMode::Keep, 0);
        let fs = Fs::Sim(disk.clone());
        let path = Path::new(DIR).join("topic-0").join(&segments(&disk)[0].0);
        let mut bytes = fs.read(&path).unwrap();
        bytes[size / 2..].fill(0);
        fs.write_atomic(&path, &bytes).unwrap();
        match open_log(&open_directory(&disk), &one_segment()) {
            Err(LogError::Corrupt { durable_mark, .. }) => assert_eq!(durable_mark, mark, "last: {last}"),
            other => panic!("last: {last}: {other:?}"),
        }
    }
}

#[test]
fn a_disk_without_room_for_it_takes_batches_all_the_same() {
    let disk = SimFs::new();
    let (_directory, mut log) = opened(&disk, &one_segment());
    append_flushed(&mut log, CALM_APPENDS - 1);
    disk.set_capacity(Some(disk.used_bytes() + ROOM_BYTES / 2));
    append_flushed(&mut log, 5);
    assert_eq!((room(&disk, &log), log.log_end()), (0, Offset(i64::from(CALM_APPENDS) + 4)));
    disk.set_capacity(None);
    append_flushed(&mut log, 1);
    assert_eq!(room(&disk, &log), ROOM_BYTES);
}
