//! Random operations, restarts and power losses on a log beside the model.
//!
//! The power goes between operations and in the middle of them: after any write, creation, rename, removal or sync. What was
//! not synced is then kept, lost or torn.
//!
//! `HIGHWATER_LOG_SEEDS=n cargo test -p highwater-log random_histories -- --nocapture` runs n histories of each kind: 10,000 are
//! 2,400,000 operations.

use highwater_env::{CrashMode, Fs, SimFs};
use highwater_records::{BatchHeader, Compression, patched_header};
use highwater_types::{ErrorCode, LeaderEpoch, Offset};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::model::Model;
use super::*;
use crate::file_names::FileKind;

/// Histories of each kind per test run; each has [`STEPS`] steps.
const SEEDS: u64 = 100;
const STEPS: usize = 120;
/// From this seed on, most appends are flushed by themselves.
const FLUSHING: u64 = 2_000_000;
/// More changes than any operation here makes.
const MANY_CHANGES: u64 = 40;

#[test]
fn a_log_agrees_with_the_model() {
    run_all(0, false);
}

#[test]
fn a_log_agrees_with_the_model_while_data_is_deleted() {
    run_all(1_000_000, true);
}

#[test]
fn a_log_agrees_with_the_model_while_each_append_is_flushed() {
    run_all(FLUSHING, true);
}

/// A flushed batch behind a gap, and behind it one that was not flushed, whose offset the power took.
#[test]
fn a_torn_offset_behind_a_gap_costs_no_flushed_batch() {
    run(968, false);
}

fn seeds() -> u64 {
    std::env::var("HIGHWATER_LOG_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("HIGHWATER_LOG_SEEDS is a number"))
}

fn run_all(first_seed: u64, deleting: bool) {
    for seed in first_seed..first_seed + seeds() {
        run(seed, deleting);
    }
    println!("{} histories, {} operations", seeds(), seeds() * STEPS as u64);
}

fn run(seed: u64, deleting: bool) {
    let outcome = std::panic::catch_unwind(|| History::new(seed, deleting).run());
    if let Err(panic) = outcome {
        eprintln!("history with seed {seed} failed: run({seed}, {deleting})");
        std::panic::resume_unwind(panic);
    }
}

struct History {
    rng: SmallRng,
    disk: SimFs,
    config: LogConfig,
    directory: Arc<LogDirectory>,
    log: Option<Log>,
    model: Model,
    epoch: i32,
    /// Whether retention and log start moves happen: then producer state is not that of a full scan.
    deleting: bool,
    /// Whether most appends are flushed by themselves, so that room is written ahead of them.
    flushing: bool,
    sequences: [(i16, i32); 3],
    clock: i64,
    /// Whether the power goes in this step.
    stopping: bool,
}

impl History {
    fn new(seed: u64, deleting: bool) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let disk = SimFs::new();
        let directory = open_directory(&disk);
        let config = LogConfig {
            segment_bytes: rng.random_range(1500..6000),
            index_interval_bytes: rng.random_range(0..600),
            segment_ms: if rng.random_bool(0.2) { 5_000 } else { i64::MAX / 2 },
            segment_index_bytes: if rng.random_bool(0.2) { 48 } else { 1 << 20 },
            ..small()
        };
        let log = open_log(&directory, &config).unwrap();
        let (model, log) = (Model::default(), Some(log));
        let sequences = [(0, 0); 3];
        let (flushing, clock) = (seed >= FLUSHING, NOW.0);
        Self {
            rng,
            disk,
            config,
            directory,
            log,
            model,
            epoch: 0,
            deleting,
            flushing,
            sequences,
            clock,
            stopping: false,
        }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            // In some steps the power goes midway.
            self.stopping = self.rng.random_bool(0.1);
            if self.stopping {
                self.disk.stop_after(self.rng.random_range(0..MANY_CHANGES));
            }
            match self.rng.random_range(0..100) {
                0..35 => {
                    self.append_as_leader();
                    self.maybe_flush();
                }
                35..55 => {
                    self.append_as_follower();
                    self.maybe_flush();
                }
                55..60 => self.retry(),
                60..65 => self.lead(),
                65..75 => self.flush(),
                75..79 => self.checkpoint(),
                79..83 => self.truncate(),
                83..84 => self.start_over(),
                84..88 if self.deleting => self.delete_some(),
                88..92 => self.restart(),
                92..99 => self.crash(),
                _ => {}
            }
            if self.stopping {
                // The operation made fewer changes: the power goes behind it.
                self.crash();
            }
            if self.rng.random_bool(0.2) {
                self.check();
            }
        }
        self.check();
    }

    fn check(&mut self) {
        let log = self.log.as_ref().unwrap();
        self.model.check(log);
        if !self.deleting {
            self.model.check_producers(log);
        }
    }

    fn sent(&mut self) -> Sent {
        let records =
            if self.rng.random_bool(0.1) { self.rng.random_range(5..20) } else { self.rng.random_range(1..4) };
        let timestamps: Vec<i64> = (0..records).map(|_| self.timestamp()).collect();
        let compression = if self.rng.random_bool(0.2) { Compression::Lz4 } else { Compression::None };
        let producer = self.rng.random_bool(0.6).then(|| {
            let id = self.rng.random_range(0..self.sequences.len());
            if self.rng.random_bool(0.05) {
                self.sequences[id] = (self.sequences[id].0 + 1, 0);
            }
            (id as i64, self.sequences[id].0, self.sequences[id].1)
        });
        Sent { producer, timestamps, value_bytes: self.rng.random_range(0..40), compression }
    }

    fn timestamp(&mut self) -> i64 {
        self.clock += self.rng.random_range(0..500);
        self.clock + self.rng.random_range(-2000..2000)
    }

    /// The producer's next sequence follows what it sent, once that was appended.
    fn on_appended(&mut self, sent: &Sent) {
        if let Some((id, epoch, sequence)) = sent.producer {
            self.sequences[id as usize] = (epoch, sequence + sent.timestamps.len() as i32);
        }
    }

    fn append_as_leader(&mut self) {
        let sent = self.sent();
        let batch = sent.validated();
        let epoch = LeaderEpoch(self.epoch);
        match self.log().append_leader(&batch, epoch, NOW) {
            Ok(appended) => {
                assert_eq!((appended.duplicate, appended.base_offset), (false, self.model.log_end));
                self.model.append(&stored(&batch, appended.base_offset, epoch));
                self.on_appended(&sent);
            }
            Err(error) if self.stopping && error.code() == ErrorCode::KafkaStorageError => {
                let stored = stored(&batch, self.model.log_end, epoch);
                let mut attempted = self.model.clone();
                attempted.append(&stored);
                self.crash_amid(attempted, self.model.flushed);
            }
            Err(error) => {
                // A crash, a truncation or expiry took what the producer believes to be there; a new leader waits for it.
                let lost = [
                    ErrorCode::OutOfOrderSequenceNumber,
                    ErrorCode::InvalidProducerEpoch,
                    ErrorCode::NotLeaderOrFollower,
                ];
                assert!(sent.producer.is_some() && lost.contains(&error.code()), "{error}");
                self.restart_producer(&sent);
            }
        }
    }

    fn restart_producer(&mut self, sent: &Sent) {
        let (id, epoch, _) = sent.producer.unwrap();
        self.sequences[id as usize] = (epoch + 1, 0);
    }

    fn append_as_follower(&mut self) {
        let mut bytes = Vec::new();
        let mut next = self.model.log_end.get();
        for _ in 0..self.rng.random_range(1..8) {
            let sent = self.sent();
            if self.rng.random_bool(0.05) {
                next += self.rng.random_range(1..20);
            }
            if self.rng.random_bool(0.05) {
                self.epoch += 1;
            }
            bytes.extend_from_slice(&sent.replicated(next, self.epoch));
            next += sent.timestamps.len() as i64;
            self.on_appended(&sent);
        }
        let bytes = Bytes::from(bytes);
        let mut attempted = self.model.clone();
        attempted.append(&bytes);
        match self.log().append_follower(&bytes, NOW) {
            Ok(appended) => {
                assert_eq!(appended.log_end, attempted.log_end);
                self.model = attempted;
            }
            Err(error) => {
                assert!(self.stopping, "{error}");
                self.crash_amid(attempted, self.model.flushed);
            }
        }
    }

    /// One of a producer's last batches again.
    fn retry(&mut self) {
        let id = self.rng.random_range(0..self.sequences.len()) as i64;
        let of_producer = |header: &BatchHeader| header.producer_id.get() == id;
        let sent: Vec<_> = self.model.batches.iter().filter(|batch| of_producer(batch.header())).collect();
        let Some(newest) = sent.last() else { return };
        let epoch = newest.header().producer_epoch;
        let same_epoch = sent.iter().rev().take_while(|batch| batch.header().producer_epoch == epoch).count().min(5);
        let original = sent[sent.len() - self.rng.random_range(1..=same_epoch)].clone();
        let (base_offset, last_offset) = (original.header().base_offset, original.header().last_offset());
        let mut bytes = original.bytes().to_vec();
        bytes[..8].fill(0);
        let limits = ValidationLimits { after_max_ms: i64::MAX, ..ValidationLimits::new(NOW) };
        let batch = validate_produce(bytes.into(), &partition(), &limits).unwrap();
        let epoch = LeaderEpoch(self.epoch);
        let answer = self.log().append_leader(&batch, epoch, NOW).unwrap();
        assert!(answer.duplicate);
        assert_eq!((answer.base_offset, answer.last_offset), (base_offset, last_offset));
    }

    fn lead(&mut self) {
        self.epoch += self.rng.random_range(1..3);
        let epoch = LeaderEpoch(self.epoch);
        assert_eq!(self.log().assign_epoch_start(epoch), self.model.log_end);
        self.model.assigned = Some(epoch);
    }

    /// Whether an operation succeeded. It may fail only because the power went.
    fn succeeded<T: std::fmt::Debug>(&self, result: &Result<T, LogError>) -> bool {
        assert!(
            result.is_ok() || (self.stopping && matches!(result, Err(LogError::Io { .. } | LogError::Offline(_)))),
            "{result:?}"
        );
        result.is_ok()
    }

    fn flush(&mut self) {
        let flushed = self.log().flush_target().flush();
        if !self.succeeded(&flushed) {
            return self.crash();
        }
        assert_eq!(flushed.unwrap(), self.model.log_end);
        self.model.flushed = self.model.log_end;
    }

    fn maybe_flush(&mut self) {
        if self.flushing && self.rng.random_bool(0.95) {
            self.flush();
        }
    }

    fn checkpoint(&mut self) {
        let written = self.directory.checkpoint(&[]);
        if !self.succeeded(&written) {
            self.crash();
        }
    }

    fn truncate(&mut self) {
        let (start, end) = (self.model.log_start.get(), self.model.log_end.get());
        let offset = Offset(end - self.rng.random_range(0..=(end - start).min(60)));
        let mut truncated = self.model.clone();
        truncated.truncate(offset);
        let last = truncated.batches.last().map_or(Offset::ZERO, |batch| batch.header().next_offset());
        let result = self.log().truncate_to(offset, NOW);
        if !self.succeeded(&result) {
            return self.crash_amid(self.model.clone(), self.model.flushed.min(last));
        }
        self.model = truncated;
        let log_end = self.log().log_end();
        assert!(last <= log_end && log_end <= offset, "{last} <= {log_end} <= {offset}");
        self.model.log_end = log_end;
        self.model.log_start = self.model.log_start.min(log_end);
        self.model.flushed = self.model.flushed.min(log_end);
        self.settle_epoch();
    }

    fn start_over(&mut self) {
        let offset = Offset(self.rng.random_range(0..self.model.log_end.get() + 100));
        let result = self.log().truncate_fully_and_start_at(offset, NOW);
        if !self.succeeded(&result) {
            // What is left may be all, nothing, or anything between.
            let mut attempted = self.model.clone();
            attempted.log_end = attempted.log_end.max(offset);
            attempted.log_start = attempted.log_start.max(offset);
            return self.crash_amid(attempted, Offset::ZERO);
        }
        self.model.restart_at(offset);
        self.settle_epoch();
    }

    /// The next epoch is newer than all there ever were, as the controller gives them out.
    fn settle_epoch(&mut self) {
        self.epoch += 1;
    }

    fn delete_some(&mut self) {
        if self.rng.random_bool(0.5) {
            let (start, end) = (self.model.log_start.get(), self.model.log_end.get());
            let offset = Offset(self.rng.random_range(start..=end));
            self.log().set_log_start(offset).unwrap();
            self.model.set_log_start(offset);
        } else {
            let high_watermark = Offset(self.rng.random_range(self.model.log_start.get()..=self.model.log_end.get()));
            let mut config = self.config.clone();
            config.retention_bytes = self.rng.random_range(0..8000);
            if self.rng.random_bool(0.3) {
                config.retention_ms = self.rng.random_range(0..20_000);
            }
            self.log().update_config(config);
            let now = Timestamp(self.clock);
            let done = self.log().apply_retention(now, high_watermark);
            let config = self.config.clone();
            self.log().update_config(config);
            if !self.succeeded(&done) {
                let mut attempted = self.model.clone();
                attempted.log_start = attempted.log_start.max(high_watermark);
                return self.crash_amid(attempted, self.model.flushed);
            }
            let done = done.unwrap();
            assert!(done.log_start >= self.model.log_start);
            assert!(done.log_start <= high_watermark.max(self.model.log_start));
            self.model.set_log_start(done.log_start);
        }
    }

    fn restart(&mut self) {
        let log = self.log.take().unwrap();
        let closed = log.close();
        if !self.succeeded(&closed) {
            return self.crash();
        }
        assert_eq!(closed.unwrap(), self.model.log_end);
        self.model.flushed = self.model.log_end;
        self.model.assigned = None;
        if self.rng.random_bool(0.7) {
            let marked = self.directory.close(None);
            if !self.succeeded(&marked) {
                return self.crash();
            }
            assert!(marked.unwrap());
            self.disk.crash(CrashMode::Drop, 0);
            self.stopping = false;
            self.lose_auxiliary_files();
            self.directory = open_directory(&self.disk);
            assert!(self.directory.was_clean_shutdown());
        }
        if self.reopen() {
            let log_start = self.log().log_start();
            assert!(log_start <= self.model.log_start);
            self.model.log_start = log_start;
        }
    }

    /// S7: indexes and snapshots may vanish.
    fn lose_auxiliary_files(&mut self) {
        let fs = Fs::Sim(self.disk.clone());
        let dir = Path::new(DIR).join("topic-0");
        for (name, _) in files(&self.disk) {
            let kind = crate::file_names::parse_file_name(&name).map(|(_, kind)| kind);
            let auxiliary =
                [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex, FileKind::ProducerSnapshot];
            let keeps_producers = !self.deleting || kind != Some(FileKind::ProducerSnapshot);
            if kind.is_some_and(|kind| auxiliary.contains(&kind)) && keeps_producers && self.rng.random_bool(0.2) {
                fs.remove_file(&dir.join(name)).unwrap();
                fs.sync_dir(&dir).unwrap();
            }
        }
    }

    fn crash(&mut self) {
        self.crash_amid(self.model.clone(), self.model.flushed);
    }

    /// The power goes. `attempted` is what the log holds or was about to hold, `flushed` what must remain of it.
    fn crash_amid(&mut self, attempted: Model, flushed: Offset) {
        drop(self.log.take());
        self.model = attempted;
        self.model.assigned = None;
        self.lose_power();
        self.reopen();

        let (log_start, log_end) = (self.log().log_start(), self.log().log_end());
        assert!(
            flushed <= log_end && log_end <= self.model.log_end,
            "{flushed} <= {log_end} <= {}",
            self.model.log_end
        );
        // The log start is checkpointed from time to time only.
        assert!(log_start <= self.model.log_start, "{log_start} <= {}", self.model.log_start);
        assert_eq!(self.log().flushed(), log_end, "recovery makes durable what it keeps");
        self.model.truncate(log_end);
        let boundary = self.model.batches.last().map_or(log_start, |batch| batch.header().next_offset());
        if self.log().reader.view().segments[0].base() == log_end {
            self.model.restart_at(log_end);
        } else {
            assert_eq!(boundary, log_end, "recovery ends behind a batch");
            (self.model.log_end, self.model.flushed) = (log_end, log_end);
            self.model.log_start = log_start;
            self.model.highest_log_start = self.model.highest_log_start.max(log_start);
        }
        self.settle_epoch();
        self.check_that_recovery_is_idempotent();
    }

    fn lose_power(&mut self) {
        let mode = [CrashMode::Keep, CrashMode::Drop, CrashMode::Torn][self.rng.random_range(0..3)];
        self.disk.crash(mode, self.rng.random());
        self.stopping = false;
        self.directory = open_directory(&self.disk);
    }

    fn check_that_recovery_is_idempotent(&mut self) {
        if self.rng.random_bool(0.5) {
            return;
        }
        let digest = |disk: &SimFs| -> Vec<(String, usize, u32)> {
            files(disk).into_iter().map(|(name, bytes)| (name, bytes.len(), crc32c::crc32c(&bytes))).collect()
        };
        let mut recoveries = (0..2).map(|_| {
            drop(self.log.take());
            self.disk.crash(CrashMode::Drop, 0);
            self.directory = open_directory(&self.disk);
            self.reopen();
            digest(&self.disk)
        });
        assert_eq!(recoveries.next(), recoveries.next(), "a second recovery changed files");
    }

    /// Opens the log, where the power may go again and again. Returns whether it did.
    fn reopen(&mut self) -> bool {
        let mut lost_power = false;
        loop {
            if !self.stopping && self.rng.random_bool(0.2) {
                self.stopping = true;
                self.disk.stop_after(self.rng.random_range(0..MANY_CHANGES));
            }
            let opened = open_log(&self.directory, &self.config);
            if self.succeeded(&opened) {
                self.log = opened.ok();
                break;
            }
            self.lose_power();
            lost_power = true;
        }
        self.disk.heal();
        self.stopping = false;
        lost_power
    }
}

/// The batch as a leader writes it.
fn stored(batch: &ValidatedBatch, offset: Offset, epoch: LeaderEpoch) -> Bytes {
    let mut bytes = patched_header(batch, offset, epoch, None).to_vec();
    bytes.extend_from_slice(&batch.body());
    bytes.into()
}
