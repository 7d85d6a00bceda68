//! Drives a shard as the runtime does: appends (or refuses to), reports outcomes, collects answers, moves the clocks.

use std::collections::VecDeque;

use highwater_group::{CoordinatorRecord, GroupConfig, GroupCoordinatorShard, Now, Output, Reply, Request, Token};
use highwater_types::{ErrorCode, MonoMs, Timestamp};
use rand_core::RngCore;

/// Wall-clock time at the start of every test, so that the two clocks cannot be mixed up unnoticed.
pub const WALL_START_MS: i64 = 1_000_000;

/// Counts up: the n-th member id ends in n.
#[derive(Default)]
pub struct CountingRng(u64);

impl RngCore for CountingRng {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        let value = self.next_u64().to_be_bytes();
        let start = bytes.len() - value.len();
        bytes[..start].fill(0);
        bytes[start..].copy_from_slice(&value);
    }
}

/// What happened, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A batch was appended.
    Appended(Vec<CoordinatorRecord>),
    /// A batch was refused.
    Refused(Vec<CoordinatorRecord>, ErrorCode),
    /// A request was answered.
    Answered(Reply),
}

/// A shard with its log and clocks.
pub struct Harness {
    pub shard: GroupCoordinatorShard,
    pub config: GroupConfig,
    pub log: Vec<CoordinatorRecord>,
    pub now_ms: u64,
    /// The next append is refused with this.
    pub fail_next: Option<ErrorCode>,
    pub rng: Box<dyn RngCore>,
    next_token: u64,
}

impl Harness {
    pub fn new(config: GroupConfig, rng: Box<dyn RngCore>) -> Self {
        let shard = GroupCoordinatorShard::new(config.clone());
        Self { shard, config, log: Vec::new(), now_ms: 0, fail_next: None, rng, next_token: 0 }
    }

    pub fn now(&self) -> Now {
        let wall = Timestamp(WALL_START_MS + i64::try_from(self.now_ms).unwrap());
        Now { wall, mono: MonoMs(self.now_ms) }
    }

    pub fn request(&mut self, request: Request) -> (Token, Vec<Event>) {
        let token = Token(self.next_token);
        self.next_token += 1;
        let output = self.shard.handle(self.now(), self.rng.as_mut(), token, request);
        (token, self.carry_out(output))
    }

    pub fn carry_out(&mut self, output: Output) -> Vec<Event> {
        let mut events = Vec::new();
        let mut outputs = VecDeque::from([output]);
        while let Some(Output { writes, replies, .. }) = outputs.pop_front() {
            for write in writes {
                assert!(!write.records.is_empty(), "an empty write");
                let result = self.fail_next.take().map_or(Ok(()), Err);
                match result {
                    Ok(()) => {
                        self.log.extend(write.records.iter().cloned());
                        events.push(Event::Appended(write.records));
                    }
                    Err(error) => events.push(Event::Refused(write.records, error)),
                }
                outputs.push_back(self.shard.on_append_result(self.now(), write.id, result));
            }
            events.extend(replies.into_iter().map(Event::Answered));
        }
        events
    }

    /// Lets time pass and handles each deadline at its time.
    pub fn sleep(&mut self, ms: u64) -> Vec<Event> {
        let until = self.now_ms + ms;
        let mut events = Vec::new();
        while let Some(MonoMs(deadline)) = self.shard.next_deadline().filter(|MonoMs(deadline)| *deadline <= until) {
            self.now_ms = self.now_ms.max(deadline);
            let output = self.shard.on_deadline(self.now());
            events.extend(self.carry_out(output));
        }
        self.now_ms = until;
        events
    }

    /// What another broker reads back from the log.
    pub fn replayed(&self) -> GroupCoordinatorShard {
        let mut shard = GroupCoordinatorShard::new(self.config.clone());
        for record in &self.log {
            shard.replay(&record.key, record.value.as_deref()).expect("own records can be read back");
        }
        shard
    }

    /// Another broker takes over.
    pub fn fail_over(&mut self) -> Vec<Event> {
        self.shard = self.replayed();
        let output = self.shard.on_loaded(self.now());
        self.carry_out(output)
    }
}
