//! What retention by size takes, and when a compacted log is due: the rules, one by one.

use highwater_types::{LeaderEpoch, Offset};

use super::*;
use crate::{Compaction, CompactionSettings, CompactionStep};

/// One record a batch, and a second between two of them.
fn filled(config: &LogConfig, records: i64) -> (SimFs, Arc<LogDirectory>, Log) {
    let disk = SimFs::new();
    let directory = open_directory(&disk);
    let mut log = open_log(&directory, config).unwrap();
    append(&mut log, 0..records);
    (disk, directory, log)
}

fn append(log: &mut Log, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let at = Timestamp(NOW.0 + 1_000 * number);
        log.append_leader(&Sent::plain(&[at.0]).validated(), LeaderEpoch(0), at).unwrap();
    }
    log.flush_target().flush().unwrap();
}

fn compacted() -> LogConfig {
    LogConfig {
        segment_bytes: 300,
        delete_policy: false,
        compact_policy: true,
        min_cleanable_dirty_ratio: 0.5,
        ..small()
    }
}

fn bases(log: &Log) -> Vec<Offset> {
    log.reader().view().segments.iter().map(|segment| segment.base()).collect()
}

fn begin(log: &mut Log, now: Timestamp) -> Option<Compaction> {
    let settings = CompactionSettings { buffer_bytes: 1 << 16, load_factor: 0.9, hash_key: (1, 2) };
    let end = log.log_end();
    log.begin_compaction(now, end, settings).unwrap()
}

fn complete(log: &mut Log, mut pass: Compaction) {
    loop {
        match pass.advance(u64::MAX / 2).unwrap() {
            CompactionStep::Working => {}
            CompactionStep::Ready => log.install_compacted(&mut pass).unwrap(),
            CompactionStep::Done => return log.finish_compaction(&pass).unwrap(),
        }
    }
}

fn after(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + 1_000 * seconds)
}

#[test]
fn retention_by_size_leaves_at_least_what_it_says() {
    let (_disk, _directory, mut log) = filled(&small(), 60);
    let (size, segments) = (log.size_bytes(), log.reader().view().segments.clone());
    assert!(segments.len() >= 3);
    let first = segments[0].size();
    // Without the first segment there would be a byte too little.
    log.update_config(LogConfig { retention_bytes: (size - first + 1) as i64, ..small() });
    assert_eq!(log.apply_retention(NOW, Offset(60)).unwrap().deleted_segments, 0);
    log.update_config(LogConfig { retention_bytes: (size - first) as i64, ..small() });
    let done = log.apply_retention(NOW, Offset(60)).unwrap();
    assert_eq!((done.deleted_segments, done.deleted_bytes, done.log_start), (1, first, segments[1].base()));
    log.update_config(LogConfig { retention_bytes: 0, delete_policy: false, ..small() });
    assert_eq!(log.apply_retention(NOW, Offset(60)).unwrap().deleted_segments, 0, "only logs that are deleted from");
}

#[test]
fn records_younger_than_the_minimal_lag_are_not_compacted() {
    let (_disk, _directory, mut log) = filled(&LogConfig { min_compaction_lag_ms: 10_000, ..compacted() }, 12);
    let bases = bases(&log);
    assert!(bases.len() >= 4);
    // The newest record of the first segment.
    let newest = bases[1].get() - 1;
    let young = log.dirtiness(Timestamp(after(newest + 10).0 - 1), log.log_end()).unwrap();
    assert_eq!((young.cleanable_bytes, log.wants_compaction(&young)), (0, false));
    let first = log.reader().view().segments[0].size();
    let old = log.dirtiness(after(newest + 10), log.log_end()).unwrap();
    assert_eq!((old.cleanable_bytes, log.wants_compaction(&old)), (first, true));
    let pass = begin(&mut log, after(newest + 10)).unwrap();
    complete(&mut log, pass);
    let left = Bytes::from(read_all(&log));
    let left: Vec<i64> = highwater_records::split_batches(&left)
        .flat_map(|batch| batch.unwrap().records().unwrap().iter().map(|r| r.unwrap().offset.get()).collect::<Vec<_>>())
        .collect();
    assert_eq!(left, Vec::from_iter(newest..12), "of one key, the newest that may be compacted and all that may not");
}

#[test]
fn a_record_that_waited_for_the_maximal_lag_makes_its_log_due() {
    let (_disk, _directory, mut log) =
        filled(&LogConfig { max_compaction_lag_ms: 20_000, min_cleanable_dirty_ratio: 1.0, ..compacted() }, 12);
    let end = log.log_end();
    let fresh = log.dirtiness(after(20), end).unwrap();
    assert_eq!((fresh.delay_ms, log.wants_compaction(&fresh)), (0, false), "the oldest waits for just so long");
    let overdue = log.dirtiness(Timestamp(after(20).0 + 1), end).unwrap();
    assert_eq!((overdue.delay_ms, log.wants_compaction(&overdue)), (1, true));
    // The active segment, too, is completed when its time has come, and not before.
    let active = bases(&log).last().unwrap().get();
    assert!(!log.roll_for_compaction(after(active + 20)).unwrap());
    assert!(log.roll_for_compaction(Timestamp(after(active + 20).0 + 1)).unwrap());
    assert_eq!(bases(&log).last(), Some(&end));
}

#[test]
fn a_log_is_due_when_the_share_of_what_is_dirty_is_above_the_ratio() {
    let (_disk, _directory, mut log) = filled(&compacted(), 30);
    let pass = begin(&mut log, after(100)).unwrap();
    let end = pass.end();
    complete(&mut log, pass);
    let clean = log.dirtiness(after(100), log.log_end()).unwrap();
    assert_eq!((clean.cleanable_bytes, log.wants_compaction(&clean)), (0, false));
    assert!(clean.clean_bytes > 0);
    let (mut next, mut dirtiness) = (30, clean);
    while dirtiness.ratio() <= 0.5 {
        assert!(!log.wants_compaction(&dirtiness), "{dirtiness:?}");
        append(&mut log, next..next + 1);
        next += 1;
        dirtiness = log.dirtiness(after(next), log.log_end()).unwrap();
    }
    assert!(log.wants_compaction(&dirtiness), "{dirtiness:?}");
    // What may still be aborted does not count.
    assert_eq!(log.dirtiness(after(next), end).unwrap().cleanable_bytes, 0);
}
