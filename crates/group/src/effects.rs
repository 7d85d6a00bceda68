//! What a group may touch besides itself during one step, and what is left to do once its records are appended.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_types::MonoMs;

use crate::GroupConfig;
use crate::member::Member;
use crate::output::{Now, Output, Reply, Response, SendWhen, Token, Write, WriteId};
use crate::schema::CoordinatorRecord;
use crate::timers::{TimerKey, Timers};

/// What to do when the outcome of an append is known.
#[derive(Debug)]
pub(crate) enum PendingWrite {
    /// First record of a new group; its answers wait for the append.
    NewGroup { group: Arc<str>, replies: Vec<Reply> },
    /// A group lost its last member. Nothing depends on it: without it the old generation comes back after a failover
    /// and its members time out.
    EmptyGroup { group: Arc<str> },
    /// The leader's assignment for a generation.
    Assignment { group: Arc<str>, assignments: BTreeMap<String, bytes::Bytes> },
    /// A static member came back under a new member id.
    StaticMember { group: Arc<str>, replacement: Box<StaticMemberReplacement> },
    /// Committed offsets.
    Offsets { records: Vec<CoordinatorRecord>, reply: Reply },
    /// Tombstones, one batch of possibly several; the answer follows the last.
    Tombstones { records: Vec<CoordinatorRecord>, rest: Vec<CoordinatorRecord>, reply: Option<Reply> },
}

/// A static member that came back under a new member id, while its record is being appended.
#[derive(Debug)]
pub(crate) struct StaticMemberReplacement {
    /// The member as it was, to put back if the record cannot be appended.
    pub(crate) old: Member,
    pub(crate) old_was_leader: bool,
    pub(crate) new_id: Arc<str>,
    /// The leader before; told to clients that cannot skip the assignment, so that none of them takes itself for the
    /// leader of a generation that needs no assignment.
    pub(crate) old_leader: String,
    pub(crate) supports_skip_assignment: bool,
}

/// Everything a group may touch besides itself during one step.
pub(crate) struct Effects<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a GroupConfig,
    pub(crate) timers: &'a mut Timers,
    pub(crate) writes: &'a mut PendingWrites,
    pub(crate) output: Output,
}

/// Writes handed out and not yet reported on.
#[derive(Debug, Default)]
pub(crate) struct PendingWrites {
    pub(crate) pending: BTreeMap<WriteId, PendingWrite>,
    next: u64,
}

impl Effects<'_> {
    pub(crate) fn reply(&mut self, token: Token, response: Response) {
        self.output.replies.push(Reply { token, response, send: SendWhen::Now });
    }

    pub(crate) fn reply_committed(&mut self, token: Token, response: Response) {
        self.output.replies.push(Reply { token, response, send: SendWhen::Committed });
    }

    pub(crate) fn write(&mut self, records: Vec<CoordinatorRecord>, pending: PendingWrite) {
        debug_assert!(!records.is_empty(), "an empty write");
        let id = WriteId(self.writes.next);
        self.writes.next += 1;
        self.writes.pending.insert(id, pending);
        self.output.writes.push(Write { id, records });
    }

    /// Sets a deadline `after_ms` from now; a negative time counts as none.
    pub(crate) fn schedule(&mut self, key: TimerKey, after_ms: i32) {
        let after = u64::try_from(after_ms).unwrap_or(0);
        self.timers.schedule(key, MonoMs(self.now.mono.0.saturating_add(after)));
    }
}
