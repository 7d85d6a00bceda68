//! One shard: the groups of one partition of `__consumer_offsets`.

mod admin;
mod cleanup;
mod limits;
mod membership;
mod offsets;
mod replay;

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_types::{ErrorCode, MonoMs};
use rand_core::RngCore;

use crate::classic::ClassicGroup;
use crate::effects::{Effects, PendingWrite, PendingWrites};
use crate::offsets::GroupOffsets;
use crate::output::{Now, Output, Response, Token, WriteId};
use crate::schema::CoordinatorRecord;
use crate::timers::{TimerKey, Timers};
use crate::{
    GroupConfig, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, SyncGroupRequest,
};

pub use replay::ReplayError;

/// A request that may change the shard or wait in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// API 11
    JoinGroup(JoinGroupRequest),
    /// API 14
    SyncGroup(SyncGroupRequest),
    /// API 12
    Heartbeat(HeartbeatRequest),
    /// API 13
    LeaveGroup(LeaveGroupRequest),
    /// API 8
    OffsetCommit(OffsetCommitRequest),
    /// API 9, one group
    OffsetFetch(OffsetFetchRequest),
    /// API 47
    OffsetDelete(OffsetDeleteRequest),
    /// API 42, one group by its id
    DeleteGroup(String),
}

/// The groups of one partition of `__consumer_offsets`.
///
/// State is that of the log up to its end, plus what needs no log (members that are joining, deadlines). A step that
/// needs records hands them out in [`Output::writes`] and changes stored state only when [`Self::on_append_result`]
/// reports success; so a failed append never has to be undone from the log's point of view. What is appended but not
/// yet committed may show in memory; replies that show it carry [`crate::SendWhen::Committed`]. When leadership is lost
/// the shard is thrown away and read back from the log.
#[derive(Debug)]
pub struct GroupCoordinatorShard {
    config: GroupConfig,
    groups: BTreeMap<Arc<str>, Group>,
    timers: Timers,
    writes: PendingWrites,
    skipped_records: u64,
}

/// Members and offsets of one group.
#[derive(Debug)]
pub(crate) struct Group {
    classic: ClassicGroup,
    offsets: GroupOffsets,
    /// The log holds a group metadata record of it.
    has_record: bool,
}

impl GroupCoordinatorShard {
    /// A shard of an empty partition.
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
            timers: Timers::default(),
            writes: PendingWrites::default(),
            skipped_records: 0,
        }
    }

    /// Handles one request. Its answer is in this output or in that of a later step, always under `token`, exactly once.
    pub fn handle(&mut self, now: Now, rng: &mut dyn RngCore, token: Token, request: Request) -> Output {
        debug_assert!(self.writes.pending.is_empty(), "a write of an earlier step has not been reported on");
        let output = match request {
            Request::JoinGroup(request) => self.join_group(now, rng, token, &request),
            Request::SyncGroup(request) => self.sync_group(now, token, request),
            Request::Heartbeat(request) => self.heartbeat(now, token, &request),
            Request::LeaveGroup(request) => self.leave_group(now, token, request),
            Request::OffsetCommit(request) => self.offset_commit(now, token, request),
            Request::OffsetFetch(request) => self.offset_fetch(now, token, &request),
            Request::OffsetDelete(request) => self.offset_delete(now, token, &request),
            Request::DeleteGroup(group_id) => self.delete_group(now, token, &group_id),
        };
        self.ensure_expiration_timer(now);
        output
    }

    /// When [`Self::on_deadline`] must be called; `None` while nothing is timed.
    pub fn next_deadline(&self) -> Option<MonoMs> {
        self.timers.next_deadline()
    }

    /// Handles the earliest deadline if it is due at `now`, else does nothing. One deadline per call, because its writes
    /// must be reported on before the next.
    pub fn on_deadline(&mut self, now: Now) -> Output {
        match self.timers.pop_due(now.mono) {
            None => Output::default(),
            Some(TimerKey::Heartbeat(group, member)) => {
                self.step(now, &group, |group, effects| group.on_heartbeat_deadline(&member, effects))
            }
            Some(TimerKey::Join(group)) => self.step(now, &group, ClassicGroup::on_join_deadline),
            Some(TimerKey::Sync(group)) => self.step(now, &group, ClassicGroup::on_sync_deadline),
            Some(TimerKey::Expiration) => self.on_expiration_deadline(now),
        }
    }

    /// Reports that the records of a write are in the log (not yet committed), or why they are not.
    ///
    /// # Panics
    /// If `write` was not handed out or was reported on before.
    pub fn on_append_result(&mut self, now: Now, write: WriteId, result: Result<(), ErrorCode>) -> Output {
        let pending = self.writes.pending.remove(&write).expect("each write is reported on once");
        match pending {
            PendingWrite::NewGroup { group, replies } => self.on_new_group_stored(now, &group, replies, result),
            PendingWrite::EmptyGroup { group } => self.step_stored(now, &group, result, |_, _| ()),
            PendingWrite::Assignment { group, assignments } => {
                self.step_stored(now, &group, result, |group, effects| {
                    group.on_assignment_stored(assignments, result, effects);
                })
            }
            PendingWrite::StaticMember { group, replacement } => {
                self.step_stored(now, &group, result, |group, effects| {
                    group.on_static_member_stored(*replacement, result, effects);
                })
            }
            PendingWrite::Offsets { records, reply } => {
                self.apply_if_stored(&records, result);
                answer_after_write(reply, result)
            }
            PendingWrite::Tombstones { records, rest, reply } => {
                self.apply_if_stored(&records, result);
                match reply {
                    _ if result.is_ok() && !rest.is_empty() => self.write_tombstones(now, rest, reply),
                    Some(reply) => answer_after_write(reply, result),
                    None => Output::default(),
                }
            }
        }
    }

    /// Number of records read back that belong to group kinds not served here.
    pub const fn skipped_records(&self) -> u64 {
        self.skipped_records
    }

    /// Runs one event of a group; nothing if the group is gone.
    fn step(&mut self, now: Now, group_id: &str, event: impl FnOnce(&mut ClassicGroup, &mut Effects<'_>)) -> Output {
        let Self { config, groups, timers, writes, .. } = self;
        let mut effects = Effects { now, config, timers, writes, output: Output::default() };
        if let Some(group) = groups.get_mut(group_id) {
            event(&mut group.classic, &mut effects);
        }
        effects.output
    }

    /// As [`Self::step`], when a group metadata record was appended or could not be.
    fn step_stored(
        &mut self,
        now: Now,
        group_id: &str,
        result: Result<(), ErrorCode>,
        event: impl FnOnce(&mut ClassicGroup, &mut Effects<'_>),
    ) -> Output {
        if let (Some(group), Ok(())) = (self.groups.get_mut(group_id), result) {
            group.has_record = true;
        }
        self.step(now, group_id, event)
    }

    /// Runs a step that belongs to no single group.
    fn with_effects(&mut self, now: Now, step: impl FnOnce(&mut Effects<'_>)) -> Output {
        let Self { config, timers, writes, .. } = self;
        let mut effects = Effects { now, config, timers, writes, output: Output::default() };
        step(&mut effects);
        effects.output
    }

    fn reply(&mut self, now: Now, token: Token, response: Response) -> Output {
        self.with_effects(now, |effects| effects.reply(token, response))
    }

    fn apply_if_stored(&mut self, records: &[CoordinatorRecord], result: Result<(), ErrorCode>) {
        if result.is_ok() {
            for record in records {
                self.replay(&record.key, record.value.as_deref()).expect("own records can be read back");
            }
        }
    }

    fn group_or_new(&mut self, group_id: &str) -> &mut Group {
        if !self.groups.contains_key(group_id) {
            let group_id: Arc<str> = Arc::from(group_id);
            self.groups.insert(group_id.clone(), Group::new(group_id));
        }
        self.groups.get_mut(group_id).expect("inserted")
    }

    /// Takes a group with its deadlines out of the shard.
    fn remove_group(&mut self, group_id: &str) {
        if let Some((group_id, _)) = self.groups.remove_entry(group_id) {
            self.timers.cancel_group(&group_id);
        }
    }
}

impl Group {
    fn new(group_id: Arc<str>) -> Self {
        Self { classic: ClassicGroup::new(group_id), offsets: GroupOffsets::default(), has_record: false }
    }
}

fn answer_after_write(mut reply: crate::Reply, result: Result<(), ErrorCode>) -> Output {
    if let Err(error) = result {
        reply.response = reply.response.into_write_failure(error);
        reply.send = crate::SendWhen::Now;
    }
    Output { replies: vec![reply], ..Output::default() }
}
