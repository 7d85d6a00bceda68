//! The power goes after every single change of the disk (write, creation, rename, removal, truncation, sync) that an
//! operation makes, and what was not synced is kept, lost, or torn in several ways. Each time:
//! - the log is a prefix of what was appended that holds every flushed batch (S1, S6);
//! - opening it again and again changes no file;
//! - deleting every index and producer snapshot changes no answer (S7).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use highwater_env::{CrashMode, Fs, SimFs};
use highwater_records::{AppendOrigin, BatchBuilder, Compression, EndTransactionMarker, split_batches};
use highwater_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::*;
use crate::producers::KnownProducer;
use crate::read_committed::consume;
use crate::{CompactionError, CompactionSettings, CompactionStep};

/// Ways to lose what was not synced: all of it kept, all lost, and torn differently.
const OUTCOMES: [(CrashMode, u64); 5] =
    [(CrashMode::Keep, 0), (CrashMode::Drop, 0), (CrashMode::Torn, 1), (CrashMode::Torn, 2), (CrashMode::Torn, 3)];
/// No operation here makes more changes.
pub(super) const MOST_CHANGES: u64 = 2_000;

/// The producer with transactions.
const OTHER: ProducerId = ProducerId(1);

pub(super) type Act = fn(&mut World) -> Result<(), LogError>;

/// An operation: what comes before it, and itself.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) prepare: Act,
    pub(super) act: Act,
    /// Whether snapshots may go as well: not where the records went from which they were made.
    without_snapshots: bool,
}

pub(super) const fn operation(name: &'static str, prepare: Act, act: Act) -> Operation {
    Operation { name, prepare, act, without_snapshots: true }
}

pub(super) const OPERATIONS: [Operation; 16] = [
    operation("create", |_| Ok(()), |world| world.open()),
    operation("append", |world| world.open_with(10), |world| world.append(2)),
    operation("roll", |world| world.open_with(3), |world| world.append(20)),
    operation("flush", |world| world.open_with(30), |world| world.flush()),
    operation("append, each flushed", |world| world.open_flushed(10), |world| world.append_flushed(24)),
    operation("close with room ahead", World::open_with_room, World::close),
    operation("truncate with room ahead, and append", World::open_with_room, |world| {
        world.truncate(13)?;
        world.append_flushed(15)
    }),
    operation("checkpoint", |world| world.open_flushed(30), |world| world.directory.checkpoint(&[])),
    operation("close and snapshot", |world| world.open_with(30), World::close),
    operation("truncate", |world| world.open_flushed(40), |world| world.truncate(13)),
    operation(
        "truncate and append",
        |world| world.open_flushed(40),
        |world| {
            world.truncate(13)?;
            world.append(15)?;
            world.flush()
        },
    ),
    operation("start over", |world| world.open_flushed(40), |world| world.start_over(100)),
    operation("recover and rebuild indexes", World::crash_without_indexes, |world| world.open()),
    Operation {
        without_snapshots: false,
        ..operation("delete old segments", |world| world.open_flushed(40), |world| world.delete_before(25))
    },
    operation("compact", |world| world.open_flushed(40), World::compact),
    operation("delete the partition", |world| world.open_flushed(20), World::delete),
];

#[test]
fn the_power_goes_at_every_point() {
    let mut total = 0;
    for operation in &OPERATIONS {
        let points = run(operation);
        println!("{}: {points} crash points", operation.name);
        total += points;
    }
    println!("{total} crash points in all");
    assert!(total > 1_000, "{total}");
}

/// Returns at how many points the power went.
fn run(operation: &Operation) -> u64 {
    let mut points = 0;
    for changes in 0..MOST_CHANGES {
        let mut completed = false;
        for outcome in OUTCOMES {
            let context = format!("{}, {changes} changes, {outcome:?}", operation.name);
            completed = crash_at(operation, changes, outcome, &context);
            points += 1;
        }
        if completed {
            return points;
        }
    }
    panic!("{} makes more than {MOST_CHANGES} changes", operation.name);
}

/// Returns whether the operation was through before the power went.
fn crash_at(operation: &Operation, changes: u64, (mode, seed): (CrashMode, u64), context: &str) -> bool {
    let mut world = World::new();
    (operation.prepare)(&mut world).expect("nothing fails yet");
    world.disk.stop_after(changes);
    let result = (operation.act)(&mut world);
    assert!(matches!(result, Ok(()) | Err(LogError::Io { .. } | LogError::Offline(_))), "{context}: {result:?}");
    world.lose_power(mode, seed);
    if world.is_gone(result.is_ok()) {
        return result.is_ok();
    }
    world.open().unwrap_or_else(|error| panic!("{context}: {error}"));
    world.check(context);
    let answers = world.answers();
    // What a clean shutdown left is not looked at as closely as what a crash left.
    let mut recovered = (!world.directory.was_clean_shutdown()).then(|| files(&world.disk));
    for _ in 0..2 {
        world.lose_power(CrashMode::Drop, 0);
        world.open().unwrap();
        assert!(world.answers() == answers, "{context}: opened again, other answers");
        let found = files(&world.disk);
        assert!(recovered.is_none_or(|recovered| recovered == found), "{context}: opened again, other files");
        recovered = Some(found);
    }
    world.lose_auxiliary_files(operation.without_snapshots);
    world.open().unwrap();
    assert!(world.answers() == answers, "{context}: other answers without indexes and snapshots");
    result.is_ok()
}

fn no_room() -> LogError {
    LogError::Io { path: DIR.into(), source: std::io::ErrorKind::StorageFull.into() }
}

/// A log, and what is known of it.
pub(super) struct World {
    pub(super) disk: SimFs,
    pub(super) directory: Arc<LogDirectory>,
    pub(super) log: Option<Log>,
    config: LogConfig,
    /// Batches by base offset, also those whose append failed.
    batches: BTreeMap<Offset, Vec<Bytes>>,
    /// What must be there.
    flushed: Offset,
    /// What may be gone at the start.
    start: Offset,
    compacted: bool,
    deleted: bool,
    started_over_at: Option<Offset>,
    epoch: i32,
}

/// All that a log can be asked.
#[derive(Debug, PartialEq)]
pub(super) struct Answers {
    range: (Offset, Offset),
    bytes: Vec<u8>,
    epochs: Vec<(LeaderEpoch, Offset)>,
    times: Vec<Option<crate::TimestampOffset>>,
    producers: Vec<Option<KnownProducer>>,
    aborted: Vec<crate::AbortedTransaction>,
    visible: BTreeSet<Offset>,
}

impl World {
    pub(super) fn new() -> Self {
        let disk = SimFs::new();
        let directory = open_directory(&disk);
        let config = LogConfig { segment_bytes: 700, delete_policy: false, file_delete_delay_ms: 1, ..small() };
        Self {
            disk,
            directory,
            log: None,
            config,
            batches: BTreeMap::new(),
            flushed: Offset::ZERO,
            start: Offset::ZERO,
            compacted: false,
            deleted: false,
            started_over_at: None,
            epoch: 0,
        }
    }

    pub(super) fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    pub(super) fn open(&mut self) -> Result<(), LogError> {
        self.log = Some(open_log(&self.directory, &self.config)?);
        Ok(())
    }

    fn open_with(&mut self, batches: usize) -> Result<(), LogError> {
        self.open()?;
        self.append(batches / 2)?;
        self.flush()?;
        self.append(batches - batches / 2)
    }

    pub(super) fn open_flushed(&mut self, batches: usize) -> Result<(), LogError> {
        self.open_with(batches)?;
        self.flush()?;
        self.directory.checkpoint(&[])?;
        self.append(2)
    }

    /// Each of them flushed, so that room is written ahead.
    fn append_flushed(&mut self, batches: usize) -> Result<(), LogError> {
        (0..batches).try_for_each(|_| {
            self.append(1)?;
            self.flush()
        })
    }

    fn open_with_room(&mut self) -> Result<(), LogError> {
        self.open_flushed(10)?;
        self.append_flushed(14)
    }

    /// Appends batches of two records over five keys; every third one of an idempotent producer. In between a producer with
    /// transactions, of which most are aborted.
    pub(super) fn append(&mut self, count: usize) -> Result<(), LogError> {
        for _ in 0..count {
            let offset = self.log().log_end();
            let number = offset.get();
            if number % 24 == 0 {
                self.epoch += 1;
            }
            let transactional = number % 12 == 2;
            if number % 12 == 8 && self.log().producers_for_tests().last_sequence_and_transaction(OTHER).1.is_some() {
                self.append_marker(number % 36 == 8)?;
                continue;
            }
            let mut builder = BatchBuilder::new(if number % 8 == 0 { Compression::Lz4 } else { Compression::None });
            let producer = ProducerId(number % 3);
            if producer == ProducerId(0) {
                let sequence = self.log().producers_for_tests().last_sequence_and_transaction(producer).0 + 1;
                builder = builder.producer(producer, ProducerEpoch(0), Sequence(sequence));
            }
            if transactional {
                let sequence = self.log().producers_for_tests().last_sequence_and_transaction(OTHER).0 + 1;
                builder = builder.producer(OTHER, ProducerEpoch(0), Sequence(sequence)).transactional();
            }
            for record in 0..2 {
                let key = if transactional { number } else { (number / 2 + record) % 5 } as u8;
                let (key, value) = ([if transactional { b't' } else { b'k' }, key], [number as u8; 40]);
                let tombstone = number % 14 == 0;
                let value = (!tombstone).then_some(&value[..]);
                builder.append(Timestamp(NOW.0 + (number * 37) % 50), Some(&key), value, &[]);
            }
            self.append_batch(builder.build())?;
        }
        Ok(())
    }

    /// A marker, and a batch of one record, so that the next offset is even again.
    fn append_marker(&mut self, committed: bool) -> Result<(), LogError> {
        let marker = EndTransactionMarker {
            producer_id: OTHER,
            producer_epoch: ProducerEpoch(0),
            committed,
            coordinator_epoch: 1,
        };
        self.append_batch(marker.to_batch(NOW))?;
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(NOW, Some(b"other"), Some(&[5; 40]), &[]);
        self.append_batch(builder.build())
    }

    fn append_batch(&mut self, sent: Bytes) -> Result<(), LogError> {
        let (offset, epoch) = (self.log().log_end(), LeaderEpoch(self.epoch));
        let mut stored = sent.to_vec();
        stored[..8].copy_from_slice(&offset.get().to_be_bytes());
        stored[12..16].copy_from_slice(&epoch.get().to_be_bytes());
        self.batches.entry(offset).or_default().push(stored.into());
        let limits = ValidationLimits { origin: AppendOrigin::Coordinator, ..ValidationLimits::new(NOW) };
        let batch = validate_produce(sent, &partition(), &limits).unwrap();
        match self.log().append_leader(&batch, epoch, NOW) {
            Ok(_) => Ok(()),
            Err(crate::AppendError::Log(error)) => Err(error),
            Err(crate::AppendError::DiskFull) => Err(no_room()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Appends batches of two records as a follower, in one piece that begins at `base`.
    pub(super) fn follow(&mut self, base: i64, count: i64) -> Result<(), LogError> {
        let batches = (0..count).map(|number| {
            let offset = base + 2 * number;
            let mut builder = BatchBuilder::new(Compression::None);
            for record in 0..2 {
                builder.append(NOW, Some(&[b'k', (offset / 2 + record) as u8 % 5]), Some(&[offset as u8; 40]), &[]);
            }
            let bytes = builder.placed_at(Offset(offset), LeaderEpoch(self.epoch)).build();
            self.batches.entry(Offset(offset)).or_default().push(bytes.clone());
            bytes
        });
        let pushed = Bytes::from(batches.collect::<Vec<_>>().concat());
        match self.log().append_follower(&pushed, NOW) {
            Ok(_) => Ok(()),
            Err(crate::AppendError::Log(error)) => Err(error),
            Err(crate::AppendError::DiskFull) => Err(no_room()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), LogError> {
        self.flushed = self.log().flush_target().flush()?;
        Ok(())
    }

    pub(super) fn close(&mut self) -> Result<(), LogError> {
        let end = self.log.take().unwrap().close()?;
        self.flushed = end;
        self.directory.close(None).map(|_| ()).map_err(|error| match error {
            LogError::Io { .. } | LogError::Offline(_) => error,
            error => panic!("{error}"),
        })
    }

    fn truncate(&mut self, offset: i64) -> Result<(), LogError> {
        self.flushed = self.flushed.min(Offset(offset - 2));
        self.log().truncate_to(Offset(offset), NOW)?;
        self.epoch += 1;
        Ok(())
    }

    fn start_over(&mut self, offset: i64) -> Result<(), LogError> {
        self.flushed = Offset::ZERO;
        self.started_over_at = Some(Offset(offset));
        self.log().truncate_fully_and_start_at(Offset(offset), NOW)
    }

    fn delete_before(&mut self, offset: i64) -> Result<(), LogError> {
        self.start = Offset(offset);
        self.log().set_log_start(Offset(offset))?;
        self.directory.persist_log_start(&partition())?;
        let flushed = self.flushed;
        let after = Timestamp(NOW.0 + 10);
        self.log().apply_retention(NOW, flushed)?;
        self.directory.remove_due(after).map(|_| ())
    }

    fn compact(&mut self) -> Result<(), LogError> {
        self.compacted = true;
        let config = LogConfig { compact_policy: true, delete_retention_ms: 0, ..self.config.clone() };
        self.log().update_config(config);
        let settings = CompactionSettings { buffer_bytes: 24 * 200, load_factor: 0.9, hash_key: (1, 2) };
        for round in 0..2 {
            let (now, stable) = (Timestamp(NOW.0 + round * 1_000), self.flushed);
            self.directory.services_for_tests().checkpoints.set_cleaner_offset(&partition(), Offset::ZERO)?;
            let Some(mut pass) = self.log().begin_compaction(now, stable, settings)? else { panic!("all is dirty") };
            let storage = |error| match error {
                CompactionError::Log(error) => error,
                CompactionError::DiskFull => no_room(),
                error => panic!("{error}"),
            };
            loop {
                match pass.advance(u64::MAX / 2).map_err(storage)? {
                    CompactionStep::Working => {}
                    CompactionStep::Ready => self.log().install_compacted(&mut pass).map_err(storage)?,
                    CompactionStep::Done => break,
                }
            }
            self.log().finish_compaction(&pass)?;
            self.directory.remove_due(Timestamp(now.0 + 10))?;
        }
        Ok(())
    }

    fn crash_without_indexes(&mut self) -> Result<(), LogError> {
        self.open_flushed(40)?;
        self.lose_power(CrashMode::Torn, 7);
        self.lose_auxiliary_files(true);
        Ok(())
    }

    fn delete(&mut self) -> Result<(), LogError> {
        self.deleted = true;
        let log = self.log.take().unwrap();
        self.directory.delete_log(log, 5, NOW)?;
        self.directory.remove_due(Timestamp(NOW.0 + 10))?;
        self.directory.remove_deleted().map(|_| ())
    }

    /// Whether the partition was deleted, as it should be where the deletion was through.
    pub(super) fn is_gone(&self, completed: bool) -> bool {
        let exists = Fs::Sim(self.disk.clone()).exists(&Path::new(DIR).join("topic-0")).unwrap();
        assert!(!(self.deleted && completed && exists), "it came back");
        self.deleted && !exists
    }

    pub(super) fn lose_power(&mut self, mode: CrashMode, seed: u64) {
        self.log = None;
        self.disk.crash(mode, seed);
        self.directory = open_directory(&self.disk);
    }

    /// S7.
    pub(super) fn lose_auxiliary_files(&mut self, snapshots: bool) {
        self.log = None;
        self.disk.crash(CrashMode::Drop, 0);
        let (fs, dir) = (Fs::Sim(self.disk.clone()), Path::new(DIR).join("topic-0"));
        let found = files(&self.disk);
        for (name, _) in &found {
            let is_index = [".index", ".timeindex", ".txnindex"].iter().any(|suffix| name.ends_with(suffix));
            if is_index || (snapshots && name.ends_with(".snapshot")) {
                fs.remove_file(&dir.join(name)).unwrap();
            }
        }
        if !found.is_empty() {
            fs.sync_dir(&dir).unwrap();
        }
        self.directory = open_directory(&self.disk);
    }

    pub(super) fn answers(&mut self) -> Answers {
        let compacted = self.compacted;
        let log = self.log();
        let (reader, range) = (log.reader(), (log.log_start(), log.log_end()));
        let stable = log.last_stable_offset(range.1);
        // Of a transaction whose records are gone, a reader may be told or not.
        let told = if compacted { range.0 } else { stable };
        let times = (0..60).step_by(7).map(|ms| log.offset_for_timestamp(Timestamp(NOW.0 + ms)).unwrap());
        Answers {
            range,
            aborted: reader.aborted_transactions(range.0, told).unwrap(),
            visible: consume(&reader, range.0, stable, 300).unwrap(),
            bytes: read_all(log),
            times: times.chain([log.max_timestamp().unwrap()]).collect(),
            epochs: (0..6).map(|epoch| log.epoch_end(LeaderEpoch(epoch))).collect(),
            producers: (0..3).map(|id| log.producers_for_tests().sequences_and_transaction(ProducerId(id))).collect(),
        }
    }

    pub(super) fn check(&mut self, context: &str) {
        let (flushed, started_over_at, start) = (self.flushed, self.started_over_at, self.start);
        let log = self.log();
        let (log_start, log_end) = (log.log_start(), log.log_end());
        assert!(flushed <= log_end, "{context}: {flushed} <= {log_end}");
        assert!(log_start <= start || Some(log_start) == started_over_at, "{context}: log start {log_start}");
        assert_eq!(log.flushed(), log_end, "{context}");
        if started_over_at == Some(log_end) {
            return;
        }
        let bytes = Bytes::from(read_all(log));
        let mut found = BTreeMap::new();
        let mut next = None;
        for batch in split_batches(&bytes).map(|batch| batch.expect("whole batches")) {
            let header = batch.header();
            assert!(
                next.is_none_or(|next| next == header.base_offset || (self.compacted && next < header.base_offset))
            );
            next = Some(header.next_offset());
            let known = &self.batches[&header.base_offset];
            assert!(
                self.compacted || known.contains(batch.bytes()),
                "{context}: other bytes at {}",
                header.base_offset
            );
            if header.is_control() {
                continue;
            }
            for record in batch.records().unwrap().iter().map(Result::unwrap) {
                found.insert(record.offset, (record.key.unwrap().to_vec(), record.value.map(<[u8]>::to_vec)));
            }
        }
        if self.compacted {
            self.check_newest(&found, log_end, context);
        }
    }

    /// P16.
    fn check_newest(&self, found: &BTreeMap<Offset, (Vec<u8>, Option<Vec<u8>>)>, log_end: Offset, context: &str) {
        let mut newest = BTreeMap::new();
        for batch in self.batches.range(..log_end).flat_map(|(_, bytes)| bytes) {
            let batch = split_batches(batch).next().unwrap().unwrap();
            if batch.header().is_transactional() {
                continue;
            }
            for record in batch.records().unwrap().iter().map(Result::unwrap) {
                newest.insert(record.key.unwrap().to_vec(), (record.offset, record.value.is_some()));
            }
        }
        for (key, (offset, has_value)) in newest {
            let there = found.contains_key(&offset);
            let older = found.iter().any(|(at, (found, _))| *found == key && *at < offset);
            assert!(there || (!has_value && !older), "{context}: {key:?} at {offset}");
        }
    }
}
