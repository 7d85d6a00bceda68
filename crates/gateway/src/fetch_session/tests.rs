//! Sessions by script, and beside a client whose picture must be the one that full fetches give.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use highwater_protocol::EpochEndOffset;
use highwater_types::{PartitionIndex, TopicId};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::*;

fn key(index: i32) -> TopicIdPartition {
    TopicIdPartition { topic_id: TopicId::ZERO, partition: PartitionIndex(index) }
}

fn asked(offset: i64) -> AskedPartition {
    let none = LeaderEpoch::NONE;
    AskedPartition { offset: Offset(offset), current_leader_epoch: none, last_fetched_epoch: none, max_bytes: 1 }
}

fn session(partitions: &[i32]) -> FetchSession {
    FetchSession::new(true, partitions.iter().map(|&index| (key(index), asked(0))))
}

/// An answer without records.
fn quiet(high_watermark: i64) -> FetchPartitionResponse {
    FetchPartitionResponse {
        high_watermark: Offset(high_watermark),
        last_stable_offset: Offset(high_watermark),
        log_start_offset: Offset(0),
        ..FetchPartitionResponse::failed(PartitionIndex(0), ErrorCode::None)
    }
}

fn with_records(high_watermark: i64) -> FetchPartitionResponse {
    FetchPartitionResponse { records: vec![Bytes::from_static(b"batch")], ..quiet(high_watermark) }
}

fn order(session: &FetchSession) -> Vec<i32> {
    session.partitions().map(|(key, _)| key.partition.get()).collect()
}

/// Answers the request of that epoch with one answer for each partition; returns which positions were news.
fn answer(session: &mut FetchSession, epoch: i32, answers: &[FetchPartitionResponse]) -> Vec<usize> {
    let mut told = session.answer(SessionEpoch(epoch)).unwrap();
    answers.iter().enumerate().filter(|(position, answer)| told.is_news(*position, answer)).map(|(i, _)| i).collect()
}

/// The next request, which changes nothing, and its answer.
fn next(session: &mut FetchSession, answers: &[FetchPartitionResponse]) -> Vec<usize> {
    let epoch = session.epoch;
    session.begin(epoch, true).unwrap();
    answer(session, epoch.0, answers)
}

#[test]
fn epochs_count_from_one_and_go_round() {
    let mut session = session(&[0]);
    assert_eq!(answer(&mut session, 0, &[quiet(5)]), [0]);
    for wrong in [-7, -1, 0, 2, i32::MAX] {
        assert_eq!(session.begin(SessionEpoch(wrong), true), Err(ErrorCode::InvalidFetchSessionEpoch), "{wrong}");
    }
    assert_eq!(session.begin(SessionEpoch(1), false), Err(ErrorCode::FetchSessionTopicIdError));
    session.begin(SessionEpoch(1), true).unwrap();
    session.begin(SessionEpoch(2), true).unwrap();
    // The answer to 1 comes too late: what it would tell may be of other partitions.
    assert_eq!(session.answer(SessionEpoch(1)).err(), Some(ErrorCode::InvalidFetchSessionEpoch));
    session.epoch = SessionEpoch(i32::MAX);
    session.begin(SessionEpoch(i32::MAX), true).unwrap();
    assert_eq!(session.epoch, SessionEpoch(1));
}

#[test]
fn only_news_is_told() {
    let mut session = session(&[0, 1]);
    assert_eq!(answer(&mut session, 0, &[quiet(5), quiet(5)]), [0, 1]);
    assert_eq!(next(&mut session, &[quiet(5), quiet(5)]), [] as [usize; 0]);
    let start = FetchPartitionResponse { log_start_offset: Offset(1), ..quiet(5) };
    let stable = FetchPartitionResponse { last_stable_offset: Offset(6), ..quiet(6) };
    let unstable = FetchPartitionResponse { last_stable_offset: Offset(5), ..quiet(6) };
    assert_eq!(next(&mut session, &[start.clone(), unstable]), [0, 1]);
    assert_eq!(next(&mut session, &[start.clone(), stable.clone()]), [1]);
    // A preferred replica is told each time: the client came to the wrong place.
    let preferred = FetchPartitionResponse { preferred_read_replica: BrokerId(2), ..start };
    assert_eq!(next(&mut session, &[preferred.clone(), stable.clone()]), [0]);
    assert_eq!(next(&mut session, &[preferred, stable]), [0]);
}

#[test]
fn a_partition_is_told_again_after_an_error_or_a_divergence() {
    let failed = || FetchPartitionResponse::failed(PartitionIndex(0), ErrorCode::NotLeaderOrFollower);
    let diverging = || FetchPartitionResponse {
        diverging_epoch: Some(EpochEndOffset { epoch: LeaderEpoch(1), end_offset: Offset(3) }),
        ..quiet(5)
    };
    let mut session = session(&[0]);
    assert_eq!(answer(&mut session, 0, &[quiet(5)]), [0]);
    for trouble in [failed, diverging] as [fn() -> FetchPartitionResponse; 2] {
        assert_eq!(next(&mut session, &[trouble()]), [0]);
        assert_eq!(next(&mut session, &[trouble()]), [0]);
        assert_eq!(next(&mut session, &[quiet(5)]), [0]);
        assert_eq!(next(&mut session, &[quiet(5)]), [] as [usize; 0]);
    }
}

#[test]
fn requests_change_what_is_asked() {
    let mut session = session(&[0, 1, 2]);
    session.ask(key(1), asked(7));
    session.ask(key(3), asked(8));
    session.forget([key(0), key(9)].into_iter());
    let offsets: Vec<_> = session.partitions().map(|(key, asked)| (key.partition.get(), asked.offset.get())).collect();
    assert_eq!(offsets, [(1, 7), (2, 0), (3, 8)]);
    // What was forgotten and is asked again is news.
    assert_eq!(next(&mut session, &[quiet(1), quiet(1), quiet(1)]), [0, 1, 2]);
    session.forget([key(2)].into_iter());
    session.ask(key(2), asked(0));
    assert_eq!(next(&mut session, &[quiet(1), quiet(1), quiet(1)]), [2]);
}

#[test]
fn partitions_that_gave_records_go_to_the_end() {
    let mut session = session(&[0, 1, 2, 3]);
    answer(&mut session, 0, &[with_records(1), quiet(1), with_records(1), quiet(1)]);
    assert_eq!(order(&session), [1, 3, 0, 2]);
    next(&mut session, &[quiet(2), quiet(1), quiet(1), with_records(1)]);
    assert_eq!(order(&session), [1, 3, 0, 2], "news without records moves nothing");
    next(&mut session, &[with_records(1), with_records(1), with_records(1), with_records(1)]);
    assert_eq!(order(&session), [1, 3, 0, 2]);
    next(&mut session, &[with_records(1), quiet(1), quiet(1), quiet(1)]);
    assert_eq!(order(&session), [3, 0, 2, 1]);
}

/// A partition as a broker has it, and as a client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    error: ErrorCode,
    high_watermark: i64,
    last_stable_offset: i64,
    log_start: i64,
}

impl Known {
    fn response(self, has_records: bool) -> FetchPartitionResponse {
        let records = if has_records { vec![Bytes::from_static(b"batch")] } else { Vec::new() };
        FetchPartitionResponse {
            high_watermark: Offset(self.high_watermark),
            last_stable_offset: Offset(self.last_stable_offset),
            log_start_offset: Offset(self.log_start),
            records,
            ..FetchPartitionResponse::failed(PartitionIndex(0), self.error)
        }
    }

    fn of(response: &FetchPartitionResponse) -> Self {
        Self {
            error: response.error,
            high_watermark: response.high_watermark.get(),
            last_stable_offset: response.last_stable_offset.get(),
            log_start: response.log_start_offset.get(),
        }
    }

    fn change(&mut self, rng: &mut SmallRng) {
        match rng.random_range(0..5) {
            0 => self.error = *[ErrorCode::None, ErrorCode::NotLeaderOrFollower].choose(rng).unwrap(),
            1 => self.log_start = rng.random_range(0..3),
            2 => self.last_stable_offset = rng.random_range(0..3),
            _ => self.high_watermark = rng.random_range(0..3),
        }
    }
}

/// One client with one session: what it wants, and what it was told.
struct Model {
    rng: SmallRng,
    broker: BTreeMap<i32, Known>,
    wanted: BTreeMap<i32, i64>,
    view: BTreeMap<i32, Known>,
    session: FetchSession,
    epoch: i32,
    /// Rounds since each partition last gave records although it had some.
    starving: BTreeMap<i32, usize>,
}

const PARTITIONS: i32 = 8;
/// Partitions that an answer has room for.
const BUDGET: usize = 3;

impl Model {
    fn new(seed: u64) -> Self {
        let known = Known { error: ErrorCode::None, high_watermark: 0, last_stable_offset: 0, log_start: 0 };
        Self {
            rng: SmallRng::seed_from_u64(seed),
            broker: (0..PARTITIONS).map(|index| (index, known)).collect(),
            wanted: BTreeMap::new(),
            view: BTreeMap::new(),
            session: session(&[]),
            epoch: 1,
            starving: BTreeMap::new(),
        }
    }

    /// A request with what the client wants otherwise from now on.
    fn ask(&mut self) {
        let mut forgotten = BTreeSet::new();
        self.session.begin(SessionEpoch(self.epoch), true).unwrap();
        for _ in 0..self.rng.random_range(0..3) {
            let index = self.rng.random_range(0..PARTITIONS);
            if self.rng.random_bool(0.3) && self.wanted.remove(&index).is_some() {
                forgotten.insert(key(index));
                self.view.remove(&index);
                self.starving.remove(&index);
            } else if !forgotten.contains(&key(index)) {
                let offset = self.rng.random_range(0..100);
                self.wanted.insert(index, offset);
                self.session.ask(key(index), asked(offset));
            }
        }
        self.session.forget(forgotten.into_iter());
    }

    /// Reads as a broker does, earlier partitions first, and tells the client.
    fn answer(&mut self) {
        let read: Vec<_> = self.session.partitions().map(|(key, asked)| (key.partition.get(), asked.offset)).collect();
        let wanted: BTreeMap<_, _> = read.iter().map(|(index, offset)| (*index, offset.get())).collect();
        assert_eq!(wanted, self.wanted, "what a full fetch would read");
        let mut budget = BUDGET;
        let mut answer = self.session.answer(SessionEpoch(self.epoch)).unwrap();
        for (position, (index, _)) in read.iter().enumerate() {
            let known = self.broker[index];
            let has_records = !known.error.is_error() && self.rng.random_bool(0.7);
            let gets_records = has_records && budget > 0;
            budget -= usize::from(gets_records);
            let response = known.response(gets_records);
            if answer.is_news(position, &response) {
                self.view.insert(*index, Known::of(&response));
            }
            assert!(!gets_records || self.view[index] == known, "records are always told");
            let starving = self.starving.entry(*index).or_default();
            *starving = if has_records && !gets_records { *starving + 1 } else { 0 };
            assert!(*starving <= PARTITIONS as usize, "partition {index} gets nothing");
        }
        drop(answer);
        self.epoch += 1;
    }

    fn check(&self) {
        let full: BTreeMap<_, _> = self.wanted.keys().map(|index| (*index, self.broker[index])).collect();
        assert_eq!(self.view, full, "after epoch {}", self.epoch);
    }
}

#[test]
fn a_client_knows_what_full_fetches_would_tell_it() {
    for seed in 0..300 {
        let mut model = Model::new(seed);
        for _ in 0..60 {
            for _ in 0..model.rng.random_range(0..3) {
                let index = model.rng.random_range(0..PARTITIONS);
                model.broker.get_mut(&index).unwrap().change(&mut model.rng);
            }
            model.ask();
            model.answer();
            model.check();
        }
    }
}
