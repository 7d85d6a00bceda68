//! Random transactional histories, appended in different ways: as leader, batch by batch, in random groups, all at once, with
//! restarts, crashes, truncations, rolls and lost indexes in between. All logs must give the same answers: last stable offset,
//! aborted transactions, and what a `read_committed` consumer makes of them (P11).
//!
//! `HIGHWATER_LOG_SEEDS=n cargo test -p highwater-log --release transactions` runs n histories.

use std::collections::BTreeSet;

use highwater_env::CrashMode;
use highwater_records::{AppendOrigin, EndTransactionMarker, RecordBatch, split_batches};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::AbortedTransaction;
use crate::file_names::{FileKind, parse_file_name};
use crate::read_committed::consume;

const SEEDS: u64 = 60;
const PRODUCERS: usize = 4;

#[test]
fn how_a_log_was_appended_changes_no_answer() {
    let seeds = std::env::var("HIGHWATER_LOG_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let (mut aborted, mut answers) = (0, 0);
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| run(seed));
        match outcome {
            Ok(of_one) => (aborted, answers) = (aborted + of_one.0, answers + of_one.1),
            Err(panic) => {
                eprintln!("history with seed {seed} failed");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("transactional histories: {seeds}, aborted transactions: {aborted}, answers compared: {answers}");
    assert!(aborted > seeds * 5 && answers > seeds * 100);
}

/// Returns how many transactions were aborted, and how many answers compared.
fn run(seed: u64) -> (u64, u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let history = History::random(&mut rng);
    let mut compared = 0;
    for way in [Way::Leader, Way::OneByOne, Way::Groups, Way::AtOnce, Way::Disturbed, Way::Disturbed] {
        let mut replica = Replica::new(&mut rng);
        replica.append_all(&history, way, &mut rng);
        compared += replica.check(&history, &mut rng);
        replica.lose_indexes(&mut rng, 1.0);
        compared += replica.check(&history, &mut rng);
    }
    (history.transactions.iter().filter(|transaction| !transaction.committed).count() as u64, compared)
}

/// A transaction that ended.
#[derive(Debug, Clone, Copy)]
struct Transaction {
    producer: i64,
    first: i64,
    marker: i64,
    committed: bool,
}

#[derive(Debug, Default)]
struct History {
    /// As clients and coordinators send them.
    sent: Vec<Bytes>,
    /// As a log has them.
    stored: Vec<Bytes>,
    /// Per batch: base offset and the offset behind it.
    places: Vec<(i64, i64)>,
    transactions: Vec<Transaction>,
    /// First offsets of transactions that have no marker.
    open: Vec<i64>,
    end: i64,
}

impl History {
    fn random(rng: &mut SmallRng) -> Self {
        let mut history = Self::default();
        let mut sequences = [0; PRODUCERS];
        let mut open: [Option<i64>; PRODUCERS] = [None; PRODUCERS];
        for _ in 0..rng.random_range(10..120) {
            let producer = rng.random_range(0..PRODUCERS);
            match rng.random_range(0..10) {
                0 | 1 => history.append_data(rng, None, false),
                2..=6 => {
                    let transactional = producer > 0;
                    if transactional {
                        open[producer].get_or_insert(history.end);
                    }
                    history.append_data(rng, Some((producer, &mut sequences[producer])), transactional);
                }
                // Also where no transaction is open: such a marker ends nothing.
                _ => {
                    let committed = rng.random_bool(0.4);
                    if let Some(first) = open[producer].take() {
                        let (producer, marker) = (producer as i64, history.end);
                        history.transactions.push(Transaction { producer, first, marker, committed });
                    }
                    history.append_marker(producer, committed);
                }
            }
        }
        history.open = open.into_iter().flatten().collect();
        history
    }

    fn append_data(&mut self, rng: &mut SmallRng, producer: Option<(usize, &mut i32)>, transactional: bool) {
        let count = rng.random_range(1..4);
        let mut builder = BatchBuilder::new(Compression::None);
        if let Some((id, sequence)) = producer {
            builder = builder.producer(ProducerId(id as i64), ProducerEpoch(0), Sequence(*sequence));
            *sequence += count;
        }
        if transactional {
            builder = builder.transactional();
        }
        for _ in 0..count {
            builder.append(NOW, Some(b"key"), Some(&[7; 20]), &[]);
        }
        self.push(builder.clone().build(), builder.placed_at(Offset(self.end), LeaderEpoch(0)).build(), count.into());
    }

    fn append_marker(&mut self, producer: usize, committed: bool) {
        let producer_id = ProducerId(producer as i64);
        let marker =
            EndTransactionMarker { producer_id, producer_epoch: ProducerEpoch(0), committed, coordinator_epoch: 3 };
        let sent = marker.to_batch(NOW);
        let mut stored = sent.to_vec();
        stored[..8].copy_from_slice(&self.end.to_be_bytes());
        stored[12..16].fill(0);
        self.push(sent, stored.into(), 1);
    }

    fn push(&mut self, sent: Bytes, stored: Bytes, records: i64) {
        self.sent.push(sent);
        self.stored.push(stored);
        self.places.push((self.end, self.end + records));
        self.end += records;
    }

    fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        let undecided = self.transactions.iter().filter(|transaction| transaction.marker >= high_watermark);
        let firsts = undecided.map(|transaction| transaction.first).chain(self.open.iter().copied());
        firsts.min().unwrap_or(high_watermark).min(high_watermark)
    }

    fn aborted(&self, from: i64, up_to: i64) -> Vec<(i64, i64)> {
        let overlapping = |transaction: &&Transaction| {
            !transaction.committed && transaction.first < up_to && transaction.marker >= from
        };
        let mut aborted: Vec<(i64, i64)> =
            self.transactions.iter().filter(overlapping).map(|t| (t.first, t.producer)).collect();
        aborted.sort_unstable();
        aborted
    }

    /// Offsets of the records that a `read_committed` consumer must see.
    fn visible(&self, from: i64, last_stable_offset: i64) -> BTreeSet<Offset> {
        let mut visible = BTreeSet::new();
        for bytes in &self.stored {
            let batch = RecordBatch::parse(bytes).unwrap();
            let header = batch.header();
            let (base, producer) = (header.base_offset.get(), header.producer_id.get());
            let is_aborted = header.is_transactional()
                && self.transactions.iter().any(|transaction| {
                    let within = transaction.first <= base && base < transaction.marker;
                    transaction.producer == producer && within && !transaction.committed
                });
            if header.is_control() || is_aborted || header.last_offset().get() >= last_stable_offset {
                continue;
            }
            let offsets = header.base_offset.get()..header.next_offset().get();
            visible.extend(offsets.filter(|offset| *offset >= from).map(Offset));
        }
        visible
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Leader,
    OneByOne,
    Groups,
    AtOnce,
    /// In groups, with everything else that may happen to a log.
    Disturbed,
}

struct Replica {
    disk: SimFs,
    directory: Arc<LogDirectory>,
    config: LogConfig,
    log: Option<Log>,
    /// Markers below may have been forgotten by a restart.
    restarted_at: i64,
}

impl Replica {
    fn new(rng: &mut SmallRng) -> Self {
        let disk = SimFs::new();
        let directory = open_directory(&disk);
        let config = LogConfig { segment_bytes: rng.random_range(300..3000), ..small() };
        let log = open_log(&directory, &config).unwrap();
        Self { disk, directory, config, log: Some(log), restarted_at: 0 }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn append_all(&mut self, history: &History, way: Way, rng: &mut SmallRng) {
        let mut next = 0;
        while next < history.stored.len() {
            let count = match way {
                Way::Leader | Way::OneByOne => 1,
                Way::Groups | Way::Disturbed => rng.random_range(1..12),
                Way::AtOnce => usize::MAX,
            };
            let end = next.saturating_add(count).min(history.stored.len());
            if way == Way::Leader {
                let limits = ValidationLimits { origin: AppendOrigin::Coordinator, ..ValidationLimits::new(NOW) };
                let batch = validate_produce(history.sent[next].clone(), &partition(), &limits).unwrap();
                self.log().append_leader(&batch, LeaderEpoch(0), NOW).unwrap();
            } else {
                let bytes = Bytes::from(history.stored[next..end].concat());
                self.log().append_follower(&bytes, NOW).unwrap();
            }
            next = end;
            if way == Way::Disturbed {
                self.disturb(rng);
                let log_end = self.log().log_end().get();
                next = history.places.iter().position(|place| place.0 >= log_end).unwrap_or(history.places.len());
            }
        }
        assert_eq!(self.log().log_end(), Offset(history.end));
    }

    fn disturb(&mut self, rng: &mut SmallRng) {
        match rng.random_range(0..12) {
            0 => self.crash(CrashMode::Keep, rng),
            1 => self.crash(CrashMode::Drop, rng),
            2 => self.crash(CrashMode::Torn, rng),
            3 => {
                self.log.take().unwrap().close().unwrap();
                assert!(self.directory.close(None).unwrap());
                self.disk.crash(CrashMode::Drop, 0);
                self.reopen();
            }
            4 | 5 => {
                let log_end = self.log().log_end().get();
                let offset = Offset(rng.random_range(0..=log_end));
                self.log().truncate_to(offset, NOW).unwrap();
            }
            6 => _ = self.log().flush_target().flush().unwrap(),
            7 => self.directory.checkpoint(&[]).unwrap(),
            8 => _ = self.log().roll_if_filled(NOW).unwrap(),
            9 => self.lose_indexes(rng, 0.4),
            _ => {}
        }
    }

    fn crash(&mut self, mode: CrashMode, rng: &mut SmallRng) {
        self.log = None;
        self.disk.crash(mode, rng.random());
        self.reopen();
    }

    fn reopen(&mut self) {
        self.directory = open_directory(&self.disk);
        self.log = Some(open_log(&self.directory, &self.config).unwrap());
        self.restarted_at = self.log().log_end().get();
    }

    /// Stops properly or not, and starts with some indexes, or all, missing or damaged.
    fn lose_indexes(&mut self, rng: &mut SmallRng, share: f64) {
        let log = self.log.take().unwrap();
        if rng.random_bool(0.7) {
            log.close().unwrap();
            self.directory.close(None).unwrap();
        } else {
            drop(log);
        }
        self.disk.crash(CrashMode::Keep, 0);
        let (fs, dir) = (Fs::Sim(self.disk.clone()), Path::new(DIR).join("topic-0"));
        let auxiliary = [FileKind::TransactionIndex, FileKind::ProducerSnapshot, FileKind::OffsetIndex];
        for (name, bytes) in files(&self.disk) {
            let kind = parse_file_name(&name).map(|(_, kind)| kind);
            if !kind.is_some_and(|kind| auxiliary.contains(&kind)) || !rng.random_bool(share) {
                continue;
            }
            match rng.random_bool(0.3) && bytes.len() > 1 {
                true => fs.write_atomic(&dir.join(name), &bytes[..bytes.len() - 1]).unwrap(),
                false => fs.remove_file(&dir.join(name)).unwrap(),
            }
        }
        fs.sync_dir(&dir).unwrap();
        self.reopen();
    }

    /// Returns how many answers were compared.
    fn check(&mut self, history: &History, rng: &mut SmallRng) -> u64 {
        let restarted_at = self.restarted_at;
        let high_watermarks: BTreeSet<i64> =
            (0..6).map(|_| rng.random_range(restarted_at..=history.end)).chain([history.end]).collect();
        // Ascending, as high watermarks move.
        for &high_watermark in &high_watermarks {
            let expected = history.last_stable_offset(high_watermark);
            let stable = self.log().last_stable_offset(Offset(high_watermark));
            assert_eq!(stable, Offset(expected), "last stable offset at {high_watermark}");
        }
        let reader = self.log().reader();
        let stable = history.last_stable_offset(history.end);
        for _ in 0..10 {
            let from = rng.random_range(0..=stable);
            let up_to = rng.random_range(from..=stable);
            let found = reader.aborted_transactions(Offset(from), Offset(up_to)).unwrap();
            let found: Vec<(i64, i64)> = found.iter().map(|t| (t.first_offset.get(), t.producer_id.get())).collect();
            assert_eq!(found, history.aborted(from, up_to), "aborted in {from}..{up_to}");
            let max_bytes = rng.random_range(1..1500);
            let seen = consume(&reader, Offset(from), Offset(stable), max_bytes).unwrap();
            assert!(
                seen == history.visible(from, stable),
                "read_committed from {from} to {stable}, {max_bytes} at a time"
            );
        }
        high_watermarks.len() as u64 + 20
    }
}

/// The scenario in which Kafka 4.3 leaks: a follower appends at once what ends one transaction of a producer and begins the
/// next, while another producer's began later.
#[test]
fn several_transactions_of_one_producer_in_one_append() {
    let mut bytes = Vec::new();
    let data = |offset: i64, producer: i64, sequence: i32| {
        let mut builder = BatchBuilder::new(Compression::None).transactional();
        builder = builder.producer(ProducerId(producer), ProducerEpoch(0), Sequence(sequence));
        builder.append(NOW, None, Some(b"value"), &[]);
        builder.placed_at(Offset(offset), LeaderEpoch(0)).build().to_vec()
    };
    let abort = |offset: i64, producer: i64| {
        let (producer_id, producer_epoch) = (ProducerId(producer), ProducerEpoch(0));
        let marker = EndTransactionMarker { producer_id, producer_epoch, committed: false, coordinator_epoch: 0 };
        let mut bytes = marker.to_batch(NOW).to_vec();
        bytes[..8].copy_from_slice(&offset.to_be_bytes());
        bytes[12..16].fill(0);
        bytes
    };
    let batches = [data(0, 1, 0), abort(1, 1), data(2, 1, 1), data(3, 2, 0), abort(4, 1), abort(5, 2)];
    batches.iter().for_each(|batch| bytes.extend_from_slice(batch));
    let disk = SimFs::new();
    let directory = open_directory(&disk);
    let mut log = open_log(&directory, &small()).unwrap();
    log.append_follower(&bytes.into(), NOW).unwrap();

    let aborted = |from: i64, up_to: i64| -> Vec<AbortedTransaction> {
        log.reader().aborted_transactions(Offset(from), Offset(up_to)).unwrap()
    };
    let firsts = |aborted: &[AbortedTransaction]| aborted.iter().map(|t| t.first_offset.get()).collect::<Vec<_>>();
    assert_eq!(firsts(&aborted(0, 3)), [0, 2], "Kafka tells of the first one only");
    let stable: Vec<i64> = aborted(0, 6).iter().map(|t| t.last_stable_offset.get()).collect();
    assert_eq!(stable, [2, 3, 6], "as if appended one by one");
    assert!(split_batches(&Bytes::from(read_all(&log))).count() == 6);
}
