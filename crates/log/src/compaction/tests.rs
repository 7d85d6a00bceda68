//! Compaction beside a list of all records, through random histories of appends, transactions, tombstones, reads between the
//! slices, truncations, restarts and power losses after any change of the disk.
//!
//! `HIGHWATER_LOG_SEEDS=n cargo test -p highwater-log --release compaction` runs n histories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use highwater_env::{CrashMode, Fs, SimFs};
use highwater_records::{
    AppendOrigin, BatchBuilder, Compression, EndTransactionMarker, ValidationLimits, split_batches, validate_produce,
};
use highwater_types::{
    BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp,
    TopicId, TopicName, TopicPartition,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Compaction, CompactionSettings, CompactionStep};
use crate::log_reader::LogView;
use crate::read_committed::consume;
use crate::segment::Segment;
use crate::{CompactionError, Identity, Log, LogConfig, LogDirectory, LogError, LogReader, ReadError, TimestampOffset};

const SEEDS: u64 = 60;
const STEPS: usize = 150;
const NOW: i64 = 1_700_000_000_000;
const DELETE_RETENTION_MS: i64 = 50_000;
const KEYS: u8 = 12;

#[test]
fn a_compacted_log_agrees_with_a_map_of_all_that_was_written() {
    let seeds = std::env::var("HIGHWATER_LOG_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let mut totals = Totals::default();
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| History::new(seed).run());
        match outcome {
            Ok(of_one) => totals.add(&of_one),
            Err(panic) => {
                eprintln!("history with seed {seed} failed");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("compaction histories: {seeds}, {totals:?}");
    assert!(totals.passes > seeds && totals.crashes_amid > seeds / 4 && totals.dropped > 0 && totals.emptied > 0);
}

#[derive(Debug, Default)]
struct Totals {
    passes: u64,
    installed: u64,
    crashes_amid: u64,
    dropped: u64,
    emptied: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.passes += other.passes;
        self.installed += other.installed;
        self.crashes_amid += other.crashes_amid;
        self.dropped += other.dropped;
        self.emptied += other.emptied;
    }
}

/// A record that was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    timestamp: Timestamp,
    /// The producer, if it is part of a transaction.
    transaction: Option<i64>,
    aborted: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Producer {
    sequence: i32,
    /// The open transaction's first offset.
    open: Option<i64>,
}

/// A consumer that reads now and then.
struct Consumer {
    position: Offset,
    seen: BTreeSet<Offset>,
}

struct History {
    rng: SmallRng,
    disk: SimFs,
    config: LogConfig,
    directory: Arc<LogDirectory>,
    log: Option<Log>,
    written: BTreeMap<Offset, Written>,
    log_end: Offset,
    flushed: Offset,
    clock: i64,
    leader_epoch: LeaderEpoch,
    producers: [Producer; 3],
    pass: Option<Compaction>,
    consumer: Consumer,
    totals: Totals,
}

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("topic").unwrap(), partition: PartitionIndex(0) }
}

fn open_directory(disk: &SimFs) -> Arc<LogDirectory> {
    let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
    LogDirectory::open(Fs::Sim(disk.clone()), Path::new("data"), &identity).unwrap()
}

fn positions_in(segment: &Segment) -> Result<Vec<(u64, Offset)>, ReadError> {
    let (mut walk, mut positions) = (segment.walk(0)?, Vec::new());
    while let Some((position, header)) = walk.next_header()? {
        positions.push((position, header.base_offset));
    }
    Ok(positions)
}

/// Who reads the segments that were replaced still finds in them, files and indexes, what was there.
fn check_old_view(old: &LogView, before: &[Vec<(u64, Offset)>]) {
    for (segment, before) in old.segments.iter().zip(before) {
        for &(position, base) in before {
            let found = segment.with_index(0, |index| index.position_before(base)).unwrap();
            assert!(found <= position && before.iter().any(|(start, _)| *start == found), "no batch starts at {found}");
        }
        assert_eq!(positions_in(segment).unwrap(), *before);
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let disk = SimFs::new();
        let directory = open_directory(&disk);
        let config = LogConfig {
            segment_bytes: rng.random_range(600..4000),
            index_interval_bytes: rng.random_range(0..400),
            retention_ms: -1,
            delete_policy: false,
            compact_policy: true,
            delete_retention_ms: DELETE_RETENTION_MS,
            min_compaction_lag_ms: if rng.random_bool(0.2) { 20_000 } else { 0 },
            min_cleanable_dirty_ratio: 0.0,
            ..LogConfig::default()
        };
        let log = directory.open_log(&partition(), TopicId::from_random(7), config.clone(), Timestamp(NOW)).unwrap();
        Self {
            rng,
            disk,
            config,
            directory,
            log: Some(log),
            written: BTreeMap::new(),
            log_end: Offset::ZERO,
            flushed: Offset::ZERO,
            clock: NOW,
            leader_epoch: LeaderEpoch(0),
            producers: [Producer::default(); 3],
            pass: None,
            consumer: Consumer { position: Offset::ZERO, seen: BTreeSet::new() },
            totals: Totals::default(),
        }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn run(mut self) -> Totals {
        for _ in 0..STEPS {
            self.clock += self.rng.random_range(0..3_000);
            match self.rng.random_range(0..100) {
                0..40 => self.append(),
                40..48 => self.end_transaction(),
                48..55 => self.flush(),
                55..85 => self.compact(),
                85..93 => self.consume(),
                93..95 => self.restart(),
                95..98 => self.crash(),
                _ => self.directory.checkpoint(&[]).unwrap(),
            }
            if self.rng.random_bool(0.1) {
                self.check();
            }
        }
        self.finish_everything();
        self.totals
    }

    fn append(&mut self) {
        if self.rng.random_bool(0.1) {
            self.leader_epoch = LeaderEpoch(self.leader_epoch.get() + 1);
        }
        let codec = Compression::ALL[self.rng.random_range(0..Compression::ALL.len())];
        let mut builder = BatchBuilder::new(codec);
        let count = self.rng.random_range(1..5);
        let transactional = self.rng.random_bool(0.3);
        let producer = (transactional || self.rng.random_bool(0.4)).then(|| self.rng.random_range(0..3_usize));
        let mut transaction = None;
        if let Some(id) = producer {
            let state = &mut self.producers[id];
            builder = builder.producer(ProducerId(id as i64), ProducerEpoch(0), Sequence(state.sequence));
            state.sequence += count;
            if transactional || state.open.is_some() {
                state.open.get_or_insert(self.log_end.get());
                builder = builder.transactional();
                transaction = Some(id as i64);
            }
        }
        for number in 0..count {
            let key = vec![b'k', self.rng.random_range(0..KEYS)];
            let value = self.rng.random_bool(0.8).then(|| vec![self.rng.random(); self.rng.random_range(0..60)]);
            // Times are in no order.
            let timestamp = Timestamp(self.clock - self.rng.random_range(0..10_000));
            builder.append(timestamp, Some(&key), value.as_deref(), &[]);
            let offset = self.log_end.plus(number.into());
            self.written.insert(offset, Written { key, value, timestamp, transaction, aborted: false });
        }
        self.append_batch(builder.build());
    }

    fn append_batch(&mut self, batch: Bytes) {
        let (epoch, now) = (self.leader_epoch, Timestamp(self.clock));
        let limits = ValidationLimits { origin: AppendOrigin::Coordinator, ..ValidationLimits::new(now) };
        let batch = validate_produce(batch, &partition(), &limits).unwrap();
        let appended = self.log().append_leader(&batch, epoch, now).unwrap();
        assert!(!appended.duplicate);
        assert_eq!(appended.base_offset, self.log_end);
        self.log_end = appended.last_offset.plus(1);
    }

    fn end_transaction(&mut self) {
        let open: Vec<usize> = (0..3).filter(|&id| self.producers[id].open.is_some()).collect();
        let Some(&id) = open.get(self.rng.random_range(0..3)) else { return };
        let committed = self.rng.random_bool(0.5);
        let first = Offset(self.producers[id].open.take().unwrap());
        for record in self.written.range_mut(first..).map(|(_, record)| record) {
            record.aborted |= !committed && record.transaction == Some(id as i64);
        }
        let marker = EndTransactionMarker {
            producer_id: ProducerId(id as i64),
            producer_epoch: ProducerEpoch(0),
            committed,
            coordinator_epoch: 1,
        };
        self.append_batch(marker.to_batch(Timestamp(self.clock)));
    }

    fn flush(&mut self) {
        self.flushed = self.log().flush_target().flush().unwrap();
    }

    fn stable(&mut self) -> Offset {
        let end = self.log_end;
        self.log().last_stable_offset(end)
    }

    /// Goes on with a pass for some steps, or begins one. The power may go meanwhile.
    fn compact(&mut self) {
        if self.rng.random_bool(0.15) {
            self.disk.stop_after(self.rng.random_range(0..12));
        }
        if let Err(error) = self.compact_some() {
            assert!(matches!(error, LogError::Io { .. } | LogError::Offline(_)), "{error}");
            self.totals.crashes_amid += 1;
            return self.crash();
        }
        // What is appended afterwards is not to fail.
        self.disk.heal();
    }

    fn compact_some(&mut self) -> Result<(), LogError> {
        if self.pass.is_none() {
            let stable = self.stable();
            let (now, hash_key) = (Timestamp(self.clock), self.rng.random());
            let buffer_bytes = if self.rng.random_bool(0.5) { 1 << 20 } else { 24 * 10 };
            let settings = CompactionSettings { buffer_bytes, load_factor: 0.9, hash_key };
            self.log().roll_for_compaction(now)?;
            self.pass = self.log().begin_compaction(now, stable, settings)?;
        }
        let slice = if self.rng.random_bool(0.5) { u64::MAX / 2 } else { self.rng.random_range(1..3000) };
        while let Some(mut pass) = self.pass.take() {
            let step = match pass.advance(slice) {
                Ok(CompactionStep::Working) => Ok(true),
                Ok(CompactionStep::Ready) => {
                    self.totals.installed += 1;
                    let (reader, before) = (self.log().reader(), self.positions());
                    let old = reader.view();
                    // Who reads them has not opened them yet, but those that are about to be replaced are held open.
                    for segment in &old.segments {
                        segment.release_if_idle();
                        segment.release_if_idle();
                    }
                    let installed = self.log().install_compacted(&mut pass).map(|()| true);
                    if installed.is_ok() {
                        self.disk.heal();
                        check_old_view(&old, &before);
                    }
                    installed
                }
                Ok(CompactionStep::Done) => {
                    self.log().finish_compaction(&pass).map(|()| false).map_err(CompactionError::Log)
                }
                Err(error) => Err(error),
            };
            match step {
                Ok(true) => self.pass = Some(pass),
                Ok(false) => {
                    self.totals.passes += 1;
                    self.disk.heal();
                    let end = pass.end();
                    self.check_newest_only(end, pass.now());
                    self.check_times();
                }
                Err(CompactionError::Log(error)) => return Err(error),
                Err(error) => panic!("{error}"),
            }
            if self.rng.random_bool(0.2) {
                self.consume();
            }
            if self.rng.random_bool(0.1) {
                break;
            }
        }
        Ok(())
    }

    /// Where each batch of each segment is.
    fn positions(&mut self) -> Vec<Vec<(u64, Offset)>> {
        let view = self.log().reader().view();
        // The power may be gone already.
        view.segments.iter().map(|segment| positions_in(segment).unwrap_or_default()).collect()
    }

    fn consume(&mut self) {
        let (log_end, max_bytes) = (self.log_end, self.rng.random_range(0..2000));
        let reader = self.log().reader();
        let Ok(read) = reader.read(self.consumer.position, log_end, max_bytes, true) else {
            // Only the power can be the reason.
            return;
        };
        for batch in split_batches(&Bytes::from(read.batches.concat())) {
            let batch = batch.unwrap();
            for record in batch.records().unwrap().iter().map(Result::unwrap) {
                if record.offset >= self.consumer.position && !batch.header().is_control() {
                    assert!(self.consumer.seen.insert(record.offset), "{} twice", record.offset);
                }
            }
            self.consumer.position = batch.header().next_offset();
        }
    }

    fn restart(&mut self) {
        self.pass = None;
        let closed = self.log.take().unwrap().close().unwrap();
        assert_eq!(closed, self.log_end);
        self.flushed = closed;
        assert!(self.directory.close(None).unwrap());
        self.disk.crash(CrashMode::Drop, 0);
        self.lose_indexes();
        self.directory = open_directory(&self.disk);
        self.open();
        self.check();
    }

    fn crash(&mut self) {
        self.pass = None;
        self.log = None;
        let mode = [CrashMode::Keep, CrashMode::Drop, CrashMode::Torn][self.rng.random_range(0..3)];
        self.disk.crash(mode, self.rng.random());
        self.directory = open_directory(&self.disk);
        if self.rng.random_bool(0.3) {
            // The power goes again while it recovers.
            self.disk.stop_after(self.rng.random_range(0..10));
            let now = Timestamp(self.clock);
            drop(self.directory.open_log(&partition(), TopicId::from_random(7), self.config.clone(), now));
            self.disk.crash(mode, self.rng.random());
            self.directory = open_directory(&self.disk);
        }
        self.open();
        let log_end = self.log().log_end();
        assert!(self.flushed <= log_end && log_end <= self.log_end, "{} <= {log_end}", self.flushed);
        self.log_end = log_end;
        self.flushed = log_end;
        self.written.split_off(&log_end);
        self.consumer.seen.split_off(&log_end);
        self.consumer.position = self.consumer.position.min(log_end);
        self.forget_lost_transactions();
        self.check();
    }

    fn open(&mut self) {
        let (config, now) = (self.config.clone(), Timestamp(self.clock));
        self.log = Some(self.directory.open_log(&partition(), TopicId::from_random(7), config, now).unwrap());
    }

    /// Takes sequences and transactions from the log: what was lost is appended anew.
    fn forget_lost_transactions(&mut self) {
        let states = self.log().producers_for_tests().clone();
        for id in 0..3 {
            let (sequence, open) = states.last_sequence_and_transaction(ProducerId(id as i64));
            self.producers[id] = Producer { sequence: sequence + 1, open: open.map(Offset::get) };
        }
        // A lost marker makes its transaction open again.
        let open: BTreeMap<i64, i64> = (0..3).filter_map(|id| Some((id as i64, self.producers[id].open?))).collect();
        for (offset, record) in &mut self.written {
            if let Some(first) = record.transaction.and_then(|id| open.get(&id)) {
                record.aborted &= offset.get() < *first;
            }
        }
    }

    /// Everything that is in the log now.
    fn surviving(&mut self) -> BTreeMap<Offset, (Vec<u8>, Option<Vec<u8>>)> {
        let (reader, log_end): (Arc<LogReader>, _) = (self.log().reader(), self.log_end);
        let read = reader.read(Offset::ZERO, log_end, usize::MAX, true).unwrap();
        assert_eq!(read.next_offset, log_end, "the log ends where it did");
        let mut found = BTreeMap::new();
        for batch in split_batches(&Bytes::from(read.batches.concat())) {
            let batch = batch.unwrap();
            self.totals.emptied += u64::from(batch.header().record_count == 0);
            if batch.header().is_control() {
                continue;
            }
            for record in batch.records().unwrap().iter().map(Result::unwrap) {
                let original = &self.written[&record.offset];
                let key = record.key.unwrap().to_vec();
                let value = record.value.map(<[u8]>::to_vec);
                assert_eq!((&key, &value), (&original.key, &original.value), "at {}", record.offset);
                assert_eq!(record.timestamp, original.timestamp, "at {}", record.offset);
                found.insert(record.offset, (key, value));
            }
        }
        found
    }

    fn check(&mut self) {
        let found = self.surviving();
        let mut newest: BTreeMap<&[u8], (Offset, &Written)> = BTreeMap::new();
        for (offset, record) in self.written.iter().filter(|(_, record)| !record.aborted) {
            newest.insert(&record.key, (*offset, record));
        }
        for (key, (offset, record)) in newest {
            if record.value.is_some() {
                assert!(found.contains_key(&offset), "the last value of {key:?} at {offset} is gone");
            } else if !found.contains_key(&offset) {
                let older = found.iter().find(|(at, (found, _))| found == key && !self.written[at].aborted);
                assert!(older.is_none(), "{key:?} came back: {older:?}, deleted at {offset}");
            }
        }
        let lost =
            found.keys().find(|offset| **offset < self.consumer.position && !self.consumer.seen.contains(offset));
        assert_eq!(lost, None, "the consumer missed a record that is there");
        self.check_every_position(&found);
        self.check_times();
        self.check_full_scan();
        self.check_leader_epochs();
        self.check_read_committed(&found);
    }

    /// A read from anywhere finds the next record.
    fn check_every_position(&mut self, found: &BTreeMap<Offset, (Vec<u8>, Option<Vec<u8>>)>) {
        let (reader, log_end) = (self.log().reader(), self.log_end);
        for from in (0..log_end.get()).step_by(7).map(Offset) {
            let read = reader.read(from, log_end, 1, true).unwrap();
            let batch = split_batches(&read.batches.concat().into()).next().expect("a batch at or behind it").unwrap();
            assert!(batch.header().last_offset() >= from);
            let skipped = found.range(from..).next().filter(|(offset, _)| **offset < batch.header().base_offset);
            assert_eq!(skipped, None, "read from {from}");
        }
    }

    /// Looking for a time finds the first record, or marker, that is left and not older; the newest is the newest of those left.
    fn check_times(&mut self) {
        let (log_end, log) = (self.log_end, self.log.as_ref().unwrap());
        let read = log.reader().read(Offset::ZERO, log_end, usize::MAX, true).unwrap();
        let mut left = Vec::new();
        for batch in split_batches(&Bytes::from(read.batches.concat())) {
            let records = batch.unwrap().records().unwrap();
            left.extend(records.iter().map(Result::unwrap).map(|record| (record.offset, record.timestamp)));
        }
        let answer = |found: Option<TimestampOffset>| found.map(|found| (found.offset, found.timestamp));
        let newest = left.iter().copied().reduce(|newest, next| if next.1 > newest.1 { next } else { newest });
        assert_eq!(answer(log.max_timestamp().unwrap()), newest);
        let near = left.iter().step_by(5).flat_map(|(_, time)| [time.0 - 1, time.0, time.0 + 1]);
        for time in near.chain([0, i64::MAX]).map(Timestamp) {
            let first = left.iter().copied().find(|(_, found)| *found >= time);
            assert_eq!(answer(log.offset_for_timestamp(time).unwrap()), first, "first at or after {time:?}");
        }
    }

    /// A consumer of committed records sees all that is left of them, from wherever it starts, and nothing else.
    fn check_read_committed(&mut self, found: &BTreeMap<Offset, (Vec<u8>, Option<Vec<u8>>)>) {
        let end = self.log_end;
        let (reader, stable) = (self.log().reader(), self.log().last_stable_offset(end));
        for _ in 0..3 {
            let from = Offset(self.rng.random_range(0..=stable.get()));
            let seen = consume(&reader, from, stable, self.rng.random_range(1..1000)).unwrap();
            let committed = found.keys().filter(|offset| (from..stable).contains(offset));
            let committed: BTreeSet<Offset> =
                committed.copied().filter(|offset| !self.written[offset].aborted).collect();
            let wrong = |a: &BTreeSet<Offset>, b: &BTreeSet<Offset>| a.difference(b).copied().collect::<Vec<_>>();
            let (missed, leaked) = (wrong(&committed, &seen), wrong(&seen, &committed));
            assert!(
                missed.is_empty() && leaked.is_empty(),
                "from {from} to {stable}: {missed:?} missed, {leaked:?} seen"
            );
        }
    }

    /// S7.
    fn lose_indexes(&mut self) {
        let (fs, dir) = (Fs::Sim(self.disk.clone()), Path::new("data").join("topic-0"));
        for entry in fs.read_dir(&dir).unwrap() {
            let lost = [".txnindex", ".snapshot"].iter().any(|suffix| entry.name.ends_with(suffix));
            if lost && self.rng.random_bool(0.3) {
                fs.remove_file(&dir.join(&entry.name)).unwrap();
            }
        }
        fs.sync_dir(&dir).unwrap();
    }

    /// The log tells the same of its producers without snapshots.
    fn check_full_scan(&mut self) {
        let log = self.log();
        let from_log = log.producers_from_batches().unwrap();
        for id in (0..3).map(ProducerId) {
            let known = log.producers_for_tests().sequences_and_transaction(id);
            assert_eq!(from_log.sequences_and_transaction(id), known, "producer {id}");
        }
    }

    /// A replica that gets the log anew learns from its batches what this one knows of leader epochs.
    fn check_leader_epochs(&mut self) {
        let log_end = self.log_end;
        let log = self.log();
        let read = log.reader().read(Offset::ZERO, log_end, usize::MAX, true).unwrap();
        let mut learnt = BTreeMap::new();
        for batch in split_batches(&Bytes::from(read.batches.concat())) {
            let header = *batch.unwrap().header();
            learnt.entry(header.partition_leader_epoch).or_insert(header.base_offset);
        }
        let mut known = BTreeMap::new();
        for offset in (0..log_end.get()).map(Offset) {
            known.entry(log.epoch_of(offset)).or_insert(offset);
        }
        assert_eq!(learnt, known);
    }

    /// After a pass to `end`: below it only the newest record of each key is left, nothing aborted, and young tombstones.
    fn check_newest_only(&mut self, end: Offset, now: Timestamp) {
        let found = self.surviving();
        let mut newest: BTreeMap<Vec<u8>, Offset> = BTreeMap::new();
        for (offset, record) in self.written.range(..end).filter(|(_, record)| !record.aborted) {
            newest.insert(record.key.clone(), *offset);
        }
        for (offset, (key, _)) in found.range(..end) {
            assert!(!self.written[offset].aborted, "aborted at {offset}");
            assert_eq!(newest[key], *offset, "an old record of {key:?} is left");
        }
        for (key, offset) in &newest {
            let young = self.written[offset].timestamp.0 + DELETE_RETENTION_MS > now.0;
            assert!(!young || found.contains_key(offset), "the tombstone of {key:?} at {offset} went too early");
        }
        let behind = self.written.range(end..).find(|(offset, record)| !record.aborted && !found.contains_key(offset));
        assert_eq!(behind, None, "a record behind the compacted part is gone");
        self.totals.dropped += (self.written.len() - found.len()) as u64;
    }

    /// In the end all transactions are decided, everything is compacted twice, and no tombstone is left.
    fn finish_everything(&mut self) {
        while self.producers.iter().any(|producer| producer.open.is_some()) {
            self.end_transaction();
        }
        let this = self;
        this.pass = None;
        this.config.min_compaction_lag_ms = 0;
        this.config.max_compaction_lag_ms = 1;
        let config = this.config.clone();
        this.log().update_config(config);
        for _ in 0..3 {
            this.clock += DELETE_RETENTION_MS + 10_000;
            let now = Timestamp(this.clock);
            this.append();
            this.clock += 10;
            this.log().roll_for_compaction(Timestamp(now.0 + 10)).unwrap();
            this.flush();
            loop {
                let stable = this.stable();
                let dirtiness = this.log().dirtiness(now, stable).unwrap();
                if dirtiness.cleanable_bytes == 0 {
                    break;
                }
                this.disk.heal();
                this.compact_some().unwrap();
            }
            this.check();
        }
    }
}

/// (1) A pass is under way, (2) the topic is deleted and made again, (3) a pass on the new log is through but for its last step,
/// (4) the first one goes on.
#[test]
fn a_pass_on_a_deleted_log_leaves_the_next_one_of_its_name_alone() {
    let directory = open_directory(&SimFs::new());
    let begin = |topic: u128, value: u8| {
        let config = LogConfig {
            compact_policy: true,
            delete_policy: false,
            segment_bytes: 500,
            min_compaction_lag_ms: 0,
            ..LogConfig::default()
        };
        let mut log = directory.open_log(&partition(), TopicId::from_random(topic), config, Timestamp(NOW)).unwrap();
        for number in 0..30 {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.append(Timestamp(NOW), Some(&[number % 3]), Some(&[value; 40]), &[]);
            let limits = ValidationLimits::new(Timestamp(NOW));
            let batch = validate_produce(builder.build(), &partition(), &limits).unwrap();
            log.append_leader(&batch, LeaderEpoch(0), Timestamp(NOW)).unwrap();
        }
        let stable = log.flush_target().flush().unwrap();
        let settings = CompactionSettings { buffer_bytes: 24 * 200, load_factor: 0.9, hash_key: (1, 2) };
        let pass = log.begin_compaction(Timestamp(NOW), stable, settings).unwrap().expect("dirty");
        (log, pass)
    };
    let (old, mut outdated) = begin(1, b'o');
    directory.delete_log(old, 5, Timestamp(NOW)).unwrap();
    let (mut log, mut pass) = begin(2, b'n');
    assert_eq!(pass.advance(u64::MAX / 2).unwrap(), CompactionStep::Ready);
    assert!(matches!(outdated.advance(u64::MAX / 2), Err(CompactionError::Abandoned)));
    log.install_compacted(&mut pass).unwrap();
    let read = log.reader().read(Offset::ZERO, log.log_end(), usize::MAX, true).unwrap();
    for batch in read.batches.iter().flat_map(split_batches) {
        assert!(batch.unwrap().records().unwrap().iter().all(|record| record.unwrap().value == Some(&[b'n'; 40][..])));
    }
}
