//! The replica: one step function.
//!
//! Legal transitions:
//! - `Offline -> Leader | Follower`, `Follower -> Leader`, `Leader -> Follower`: metadata of a higher leader epoch
//! - `Leader | Follower -> Offline`: metadata without a leader, a failed disk, removal
//! - `Leader -> Leader`, `Follower -> Follower`: metadata of a higher leader epoch (everything starts anew), or of the same
//!   leader epoch and a higher partition epoch (only the ISR changes)
//!
//! The number line, asserted after each step:
//! ```text
//!  log start <= high watermark <= flushed (strict) <= log end
//!                                 log end (relaxed)
//! ```

use std::sync::Arc;

use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, MonoMs, Offset, PartitionEpoch};

use crate::divergence::truncation_point;
use crate::follower::{Follower, Link};
use crate::leader::{Leader, Surroundings};
use crate::mutation::Defects;
use crate::{Action, Actions, Assignment, Durability, EpochEnd, Event, IsrState, LogCursors, Mutation, Settings};

#[derive(Debug, Clone)]
enum Role {
    Offline,
    Follower(Follower),
    Leader(Leader),
}

/// What a replica is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleKind {
    /// Neither of the two.
    Offline,
    /// It follows.
    Follower,
    /// It leads.
    Leader,
}

/// Why a leader may not append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendRefusal {
    /// This replica does not lead.
    NotLeader,
    /// acks=all, and fewer than `min.insync.replicas` are in sync.
    NotEnoughReplicas {
        /// Members of the committed ISR.
        in_sync: usize,
        /// The effective minimum.
        required: usize,
    },
}

/// One replica of one partition on this broker.
#[derive(Debug, Clone)]
pub struct Replica {
    id: BrokerId,
    settings: Settings,
    cursors: LogCursors,
    /// Everything below is committed. Never goes back but by a truncation that an unclean election (or relaxed durability)
    /// explains.
    high_watermark: Offset,
    /// What was committed while durability was relaxed: up to there the high watermark may be above what is flushed.
    relaxed_until: Offset,
    /// Highest epoch this replica was assigned in.
    leader_epoch: LeaderEpoch,
    role: Role,
    /// Brokers that may join an ISR.
    active: Arc<[(BrokerId, BrokerEpoch)]>,
    defects: Defects,
}

impl Replica {
    /// A replica on broker `id` whose log was just opened, with the high watermark of the checkpoint (0 if none).
    pub fn new(id: BrokerId, settings: Settings, cursors: LogCursors, checkpoint: Offset) -> Self {
        let high_watermark = checkpoint.min(cursors.held(settings.durability)).max(cursors.log_start);
        let replica = Self {
            id,
            settings,
            cursors,
            high_watermark,
            relaxed_until: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            role: Role::Offline,
            active: Arc::default(),
            defects: Defects::of_new_core(),
        };
        replica.assert_number_line();
        replica
    }

    /// Switches a defect on.
    #[cfg(test)]
    pub(crate) fn with_mutation(mut self, mutation: Option<Mutation>) -> Self {
        self.defects.active = mutation;
        self
    }

    /// Takes one event in, at time `now`, and appends what is to be done to `actions`.
    pub fn step(&mut self, now: MonoMs, event: Event, actions: &mut Actions) {
        match event {
            Event::Assigned(assignment) => self.on_assigned(&assignment, now, actions),
            Event::WentOffline => self.go_offline(actions),
            Event::Configured(settings) => self.on_configured(settings),
            Event::ActiveBrokers(active) => self.active = active,
            Event::Appended { log_end } => self.on_appended(log_end, now, actions),
            Event::Flushed { flushed } => self.on_flushed(flushed, actions),
            Event::LogStartMoved { log_start } => {
                assert!(log_start <= self.high_watermark, "log start {log_start} above what is committed: {self:?}");
                self.cursors.log_start = self.cursors.log_start.max(log_start);
            }
            Event::Truncated { cursors } => self.on_truncated(cursors),
            Event::FollowerOpened { .. }
            | Event::FollowerAcked { .. }
            | Event::FollowerClosed { .. }
            | Event::IsrAnswered { .. } => self.step_as_leader(now, event, actions),
            Event::OpenAccepted { .. }
            | Event::Diverged { .. }
            | Event::OutOfRange { .. }
            | Event::LeaderMoved { .. }
            | Event::LinkLost => self.step_as_follower(event, actions),
            Event::Tick => {}
        }
        self.settle(now, actions);
        self.assert_number_line();
    }

    /// This broker's id.
    pub fn id(&self) -> BrokerId {
        self.id
    }

    /// What the replica is at the moment.
    pub fn role(&self) -> RoleKind {
        match self.role {
            Role::Offline => RoleKind::Offline,
            Role::Follower(_) => RoleKind::Follower,
            Role::Leader(_) => RoleKind::Leader,
        }
    }

    /// The highest leader epoch this replica was assigned in; NONE before the first.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The partition epoch last heard of; -1 when offline.
    pub fn partition_epoch(&self) -> PartitionEpoch {
        match &self.role {
            Role::Offline => PartitionEpoch(-1),
            Role::Follower(follower) => follower.partition_epoch,
            Role::Leader(leader) => leader.partition_epoch,
        }
    }

    /// Whom this replica takes for the leader: itself, the one it follows, or [`BrokerId::NONE`].
    pub fn leader(&self) -> BrokerId {
        match &self.role {
            Role::Offline => BrokerId::NONE,
            Role::Follower(follower) => follower.leader,
            Role::Leader(_) => self.id,
        }
    }

    /// Positions of the log.
    pub fn cursors(&self) -> LogCursors {
        self.cursors
    }

    /// The settings it obeys.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// This replica's own high watermark.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The high watermark that clients may be told; `None` unless this replica leads and its high watermark has reached
    /// the start of its epoch. Before that an earlier leader may have told clients a higher one (P3, KIP-207).
    pub fn exposed_high_watermark(&self) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) => {
                let reached = self.high_watermark >= leader.epoch_start || self.defects.has(Mutation::ExposeEarly);
                reached.then_some(self.high_watermark)
            }
            _ => None,
        }
    }

    /// As leader: the in-sync replicas and the change in flight.
    pub fn isr(&self) -> Option<&IsrState> {
        match &self.role {
            Role::Leader(leader) => Some(&leader.isr),
            _ => None,
        }
    }

    /// As leader: all that may be in the controller's ISR or ELR, which is what the high watermark counts (P4).
    pub fn maximal_isr(&self) -> Option<Vec<BrokerId>> {
        match &self.role {
            Role::Leader(leader) => Some(leader.maximal_isr().collect()),
            _ => None,
        }
    }

    /// As leader: the log end of each other assigned replica as last acknowledged; NONE of one that has not come in this
    /// leadership.
    pub fn follower_ends(&self) -> impl Iterator<Item = (BrokerId, Offset)> {
        let leader = match &self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        };
        leader.into_iter().flat_map(|leader| leader.follower_ends())
    }

    /// As leader: whether a follower that comes with that registration may not replicate, because another process has its id by
    /// now (KIP-903).
    pub fn is_outdated_follower(&self, follower: BrokerId, broker_epoch: BrokerEpoch) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.is_outdated((follower, broker_epoch), &self.active))
    }

    /// As leader: `min.insync.replicas` capped by the number of replicas.
    pub fn effective_min_isr(&self) -> Option<usize> {
        match &self.role {
            Role::Leader(leader) => Some(leader.effective_min_isr(self.settings)),
            _ => None,
        }
    }

    /// As leader: whether the committed ISR has the minimum (P6).
    pub fn has_enough_in_sync(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.has_enough_in_sync(self.settings))
    }

    /// Whether this replica may append in its epoch, which is returned. `acks_all` asks for the minimum of in-sync replicas.
    pub fn check_append(&self, acks_all: bool) -> Result<LeaderEpoch, AppendRefusal> {
        let Role::Leader(leader) = &self.role else { return Err(AppendRefusal::NotLeader) };
        if acks_all && !leader.has_enough_in_sync(self.settings) {
            return Err(AppendRefusal::NotEnoughReplicas {
                in_sync: leader.isr.committed().len(),
                required: leader.effective_min_isr(self.settings),
            });
        }
        Ok(leader.epoch)
    }

    /// As follower: whether a push of that epoch may be appended.
    pub fn accepts_push(&self, leader_epoch: LeaderEpoch) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.epoch == leader_epoch && follower.link == Link::Open)
    }

    /// As follower: whether the partition should be opened with the leader (it is not open, and following is not refused).
    pub fn wants_open(&self) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.link == Link::Closed)
    }

    /// As follower: whether the log was found to be a prefix of the leader's, in this epoch. Then nothing below the high
    /// watermark is cut any more, as long as the leader leads.
    pub fn is_following(&self) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.link == Link::Open)
    }

    /// As follower: whether it holds all that its leader had committed when it last said so.
    pub fn is_level(&self) -> bool {
        matches!(&self.role, Role::Follower(follower)
            if follower.link == Link::Open && self.cursors.log_end >= follower.leader_high_watermark)
    }

    /// Whether [`Event::Tick`] may change something.
    pub fn needs_ticks(&self, now: MonoMs) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.needs_ticks(self.surroundings(now)))
    }

    fn surroundings(&self, now: MonoMs) -> Surroundings<'_> {
        Surroundings {
            cursors: self.cursors,
            high_watermark: self.high_watermark,
            settings: self.settings,
            active: &self.active,
            now,
        }
    }

    /// Splits the borrow: the leader, and what it looks at.
    fn with_leader(&mut self, now: MonoMs, change: impl FnOnce(&mut Leader, Surroundings<'_>)) {
        if let Role::Leader(leader) = &mut self.role {
            let around = Surroundings {
                cursors: self.cursors,
                high_watermark: self.high_watermark,
                settings: self.settings,
                active: &self.active,
                now,
            };
            change(leader, around);
        }
    }

    fn on_assigned(&mut self, assignment: &Assignment, now: MonoMs, actions: &mut Actions) {
        if assignment.leader_epoch < self.leader_epoch {
            return;
        }
        if assignment.leader == BrokerId::NONE {
            self.go_offline(actions);
            self.leader_epoch = assignment.leader_epoch;
            return;
        }
        let same_epoch = assignment.leader_epoch == self.leader_epoch;
        match &mut self.role {
            Role::Leader(leader) if same_epoch && assignment.leader == self.id => {
                leader.on_assigned(assignment, now, actions);
                return;
            }
            Role::Follower(follower)
                if same_epoch && assignment.leader == follower.leader && follower.link != Link::Refused =>
            {
                follower.partition_epoch = follower.partition_epoch.max(assignment.partition_epoch);
                follower.unclean = assignment.unclean;
                return;
            }
            _ => {}
        }
        if matches!(self.role, Role::Leader(_)) {
            actions.push(Action::Resign);
        }
        self.leader_epoch = assignment.leader_epoch;
        if assignment.leader == self.id {
            self.become_leader(assignment, now, actions);
        } else {
            self.become_follower(assignment, actions);
        }
    }

    fn become_leader(&mut self, assignment: &Assignment, now: MonoMs, actions: &mut Actions) {
        if matches!(self.role, Role::Follower(_)) {
            actions.push(Action::StopFollowing);
        }
        let start = self.cursors.log_end;
        actions.push(Action::StartLeaderEpoch { leader_epoch: assignment.leader_epoch, start });
        self.role = Role::Leader(Leader::new(self.id, assignment, start, now, self.defects));
    }

    fn become_follower(&mut self, assignment: &Assignment, actions: &mut Actions) {
        self.role = Role::Follower(Follower::new(assignment));
        if self.defects.has(Mutation::TruncateToHighWatermark) && self.high_watermark < self.cursors.log_end {
            actions.push(Action::TruncateTo { offset: self.high_watermark });
        }
        actions.push(Action::Follow { leader: assignment.leader, leader_epoch: assignment.leader_epoch });
    }

    fn go_offline(&mut self, actions: &mut Actions) {
        match self.role {
            Role::Leader(_) => actions.push(Action::Resign),
            Role::Follower(_) => actions.push(Action::StopFollowing),
            Role::Offline => {}
        }
        self.role = Role::Offline;
    }

    fn on_configured(&mut self, settings: Settings) {
        self.settings = settings;
        if settings.durability == Durability::Strict && self.high_watermark > self.cursors.flushed {
            self.relaxed_until = self.high_watermark;
        }
    }

    fn on_appended(&mut self, log_end: Offset, now: MonoMs, actions: &mut Actions) {
        assert!(log_end >= self.cursors.log_end, "append moved the log end back to {log_end}: {self:?}");
        let before = self.cursors.log_end;
        if let Role::Leader(leader) = &mut self.role {
            leader.on_append(before, self.settings, now);
        }
        self.cursors.log_end = log_end;
        if self.settings.durability == Durability::Relaxed || self.defects.has(Mutation::NoFlush) {
            self.maybe_acknowledge(actions);
        }
    }

    fn on_flushed(&mut self, flushed: Offset, actions: &mut Actions) {
        let flushed = flushed.min(self.cursors.log_end);
        if flushed <= self.cursors.flushed {
            return;
        }
        self.cursors.flushed = flushed;
        if self.settings.durability == Durability::Strict {
            self.follow_log_start(actions);
            self.maybe_acknowledge(actions);
        }
    }

    fn on_truncated(&mut self, cursors: LogCursors) {
        self.cursors = cursors;
        // Cut below only where `may_cut` allowed it, or moved up by a log that starts later.
        self.high_watermark = self.high_watermark.min(cursors.held(self.settings.durability)).max(cursors.log_start);
        self.relaxed_until = self.relaxed_until.min(self.high_watermark);
    }

    fn step_as_leader(&mut self, now: MonoMs, event: Event, actions: &mut Actions) {
        let unchecked = self.defects.has(Mutation::NoEpochCheck);
        self.with_leader(now, |leader, around| match event {
            Event::FollowerOpened { leader_epoch, follower } if leader_epoch == leader.epoch => {
                leader.on_opened(&follower, around);
            }
            Event::FollowerAcked { replica, session, leader_epoch, log_end, flushed }
                if leader_epoch == leader.epoch || unchecked =>
            {
                leader.on_acked((replica, session), (log_end, flushed), around);
            }
            Event::FollowerClosed { replica, session } => leader.on_closed(replica, session),
            Event::IsrAnswered { leader_epoch, partition_epoch, answer } => {
                leader.on_isr_answered((leader_epoch, partition_epoch), &answer, around, actions);
            }
            _ => {}
        });
    }

    fn step_as_follower(&mut self, event: Event, actions: &mut Actions) {
        let Role::Follower(follower) = &mut self.role else { return };
        match event {
            Event::OpenAccepted { leader_epoch, high_watermark, log_start } if leader_epoch == follower.epoch => {
                if follower.link == Link::Refused {
                    return;
                }
                follower.link = Link::Open;
                self.on_leader_positions(high_watermark, log_start, actions);
                // What was flushed since the opening was sent has not been told yet.
                self.maybe_acknowledge(actions);
            }
            Event::LeaderMoved { leader_epoch, high_watermark, log_start }
                if leader_epoch == follower.epoch && follower.link == Link::Open =>
            {
                self.on_leader_positions(high_watermark, log_start, actions);
            }
            Event::Diverged { leader_epoch, leader, local } if leader_epoch == follower.epoch => {
                self.on_diverged(leader, local, actions);
            }
            Event::OutOfRange { leader_epoch, log_start } if leader_epoch == follower.epoch => {
                self.on_out_of_range(log_start, actions);
            }
            Event::LinkLost if follower.link == Link::Open => follower.link = Link::Closed,
            _ => {}
        }
    }

    fn on_leader_positions(&mut self, high_watermark: Offset, log_start: Offset, actions: &mut Actions) {
        let Role::Follower(follower) = &mut self.role else { return };
        follower.leader_high_watermark = follower.leader_high_watermark.max(high_watermark);
        follower.leader_log_start = follower.leader_log_start.max(log_start);
        self.follow_log_start(actions);
    }

    /// Moves the log start to the leader's, as far as what is below it is committed here.
    fn follow_log_start(&mut self, actions: &mut Actions) {
        let Role::Follower(follower) = &self.role else { return };
        let committed = follower.committed(self.cursors, self.settings.durability).max(self.high_watermark);
        let log_start = follower.leader_log_start.min(committed);
        if log_start > self.cursors.log_start {
            // The high watermark moves first (in `settle`, before the shell acts), so the number line holds.
            self.high_watermark_moved(committed, actions);
            actions.push(Action::AdvanceLogStart { log_start });
        }
    }

    fn on_diverged(&mut self, leader: EpochEnd, local: EpochEnd, actions: &mut Actions) {
        let Role::Follower(follower) = &mut self.role else { return };
        if self.defects.has(Mutation::NoTruncation) {
            follower.link = Link::Open;
            return;
        }
        let offset = truncation_point(leader, local, self.cursors.log_end).max(self.cursors.log_start);
        // Cutting at the log end itself still forgets an epoch that began there and got no records.
        if follower.link == Link::Closed {
            if follower.may_cut(offset, self.high_watermark, self.settings.durability) {
                actions.push(Action::TruncateTo { offset });
            } else {
                follower.link = Link::Refused;
                actions.push(Action::RefuseTruncation { offset, high_watermark: self.high_watermark });
            }
        }
    }

    fn on_out_of_range(&mut self, log_start: Offset, actions: &mut Actions) {
        let Role::Follower(follower) = &mut self.role else { return };
        if follower.link != Link::Closed {
            return;
        }
        // What lies below the leader's first offset is deleted everywhere; what is committed above it must stay.
        let keeps = self.high_watermark <= log_start || self.cursors.log_end <= log_start;
        if keeps || follower.may_cut(log_start, self.high_watermark, self.settings.durability) {
            actions.push(Action::StartAt { offset: log_start });
        } else {
            follower.link = Link::Refused;
            actions.push(Action::RefuseTruncation { offset: log_start, high_watermark: self.high_watermark });
        }
    }

    fn maybe_acknowledge(&self, actions: &mut Actions) {
        if let Role::Follower(follower) = &self.role
            && follower.link == Link::Open
        {
            let LogCursors { log_end, flushed, .. } = self.cursors;
            let flushed = if self.defects.has(Mutation::NoFlush) { log_end } else { flushed };
            actions.push(Action::Acknowledge { log_end, flushed });
        }
    }

    /// After every event: what follows from the new state.
    fn settle(&mut self, now: MonoMs, actions: &mut Actions) {
        let committed = match &self.role {
            Role::Offline => return,
            Role::Follower(follower) => follower.committed(self.cursors, self.settings.durability),
            Role::Leader(leader) => leader.committed(self.surroundings(now)),
        };
        self.high_watermark_moved(committed, actions);
        self.with_leader(now, |leader, around| {
            leader.maybe_shrink(around, actions);
            leader.maybe_expand(around, actions);
        });
    }

    fn high_watermark_moved(&mut self, committed: Offset, actions: &mut Actions) {
        if committed > self.high_watermark {
            self.high_watermark = committed;
            // A leader with too few in sync moves nothing that a follower would hear of.
            let enough_in_sync = self.has_enough_in_sync() || matches!(self.role, Role::Follower(_));
            actions.push(Action::HighWatermarkMoved { high_watermark: committed, enough_in_sync });
        }
    }

    fn assert_number_line(&self) {
        let LogCursors { log_start, flushed, log_end } = self.cursors;
        let durable = match self.settings.durability {
            Durability::Strict => flushed.max(self.relaxed_until),
            Durability::Relaxed => log_end,
        };
        let defective = self.defects.has(Mutation::NoFlush) || self.defects.has(Mutation::IgnoreOwnFlush);
        assert!(log_start <= self.high_watermark && flushed <= log_end, "number line broken: {self:?}");
        assert!(self.high_watermark <= durable || defective, "high watermark above what is durable: {self:?}");
    }
}
