//! The leader's side: who is in sync, how far the log is committed.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, MonoMs, Offset, PartitionEpoch};

use crate::mutation::Defects;
use crate::progress::Progress;
use crate::{
    Action, Actions, Assignment, IsrAnswer, IsrChange, IsrState, LogCursors, Mutation, OpenedFollower, SessionId,
    Settings,
};

/// After a refusal the same change is not proposed for so long: the reason (it is fenced, it registered anew) goes away
/// with metadata that is on its way, usually within milliseconds; a loop of refusals would load the controller.
const REFUSAL_PAUSE: Duration = Duration::from_millis(500);

/// A leadership of one epoch.
#[derive(Debug, Clone)]
pub(crate) struct Leader {
    pub id: BrokerId,
    pub epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// Log end when the leadership began. Everything committed in earlier epochs is below it.
    pub epoch_start: Offset,
    /// Members sorted; the leader is one of them.
    pub isr: IsrState,
    /// Eligible leader replicas as the controller last said. While there are any, the controller has the ISR below
    /// `min.insync.replicas`, whatever this broker's configuration says, and nothing more may be committed (P2, P4).
    ///
    /// Without it: (1) the minimum is raised from 1 to 2; (2) broker 3 is fenced, so the controller has ISR {1} and ELR {3};
    /// (3) leader 1 hears of that before it hears of the new minimum, and commits without 3; (4) 1 dies and 3 is elected.
    elr: Box<[BrokerId]>,
    /// One entry for each assigned replica but the leader, which is one of them.
    followers: BTreeMap<BrokerId, Progress>,
    /// Do not propose to shrink before this time: the controller refused.
    shrink_not_before: MonoMs,
    pub defects: Defects,
}

/// What a leader looks at but does not own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub cursors: LogCursors,
    pub high_watermark: Offset,
    pub settings: Settings,
    /// Brokers that may join.
    pub active: &'a [(BrokerId, BrokerEpoch)],
    pub now: MonoMs,
}

impl Leader {
    /// A new leadership; the log ends at `epoch_start`.
    pub fn new(id: BrokerId, assignment: &Assignment, epoch_start: Offset, now: MonoMs, defects: Defects) -> Self {
        let others = assignment.replicas.iter().filter(|&&replica| replica != id);
        Self {
            id,
            epoch: assignment.leader_epoch,
            partition_epoch: assignment.partition_epoch,
            epoch_start,
            isr: IsrState::Committed { isr: sorted(&assignment.isr) },
            elr: elr_of(&assignment.elr, defects),
            followers: others.map(|&replica| (replica, Progress::unknown(now))).collect(),
            shrink_not_before: MonoMs(0),
            defects,
        }
    }

    /// Newer metadata of the same leadership. Whatever was in flight is settled: the proposal built on an older partition
    /// epoch and can no longer be accepted.
    pub fn on_assigned(&mut self, assignment: &Assignment, now: MonoMs, actions: &mut Actions) {
        if assignment.partition_epoch <= self.partition_epoch {
            return;
        }
        let id = self.id;
        self.followers.retain(|replica, _| assignment.replicas.contains(replica));
        for &replica in assignment.replicas.iter().filter(|&&replica| replica != id) {
            self.followers.entry(replica).or_insert_with(|| Progress::unknown(now));
        }
        self.commit((&assignment.isr, &assignment.elr), assignment.partition_epoch, actions);
    }

    fn commit(
        &mut self,
        (isr, elr): (&[BrokerId], &[BrokerId]),
        partition_epoch: PartitionEpoch,
        actions: &mut Actions,
    ) {
        let isr = sorted(isr);
        self.elr = elr_of(elr, self.defects);
        let before = self.isr.committed();
        let grown = isr.iter().any(|member| !before.contains(member));
        let shrunk = before.iter().any(|member| !isr.contains(member));
        self.partition_epoch = partition_epoch;
        self.isr = IsrState::Committed { isr };
        if grown || shrunk {
            actions.push(Action::IsrCommitted { grown, shrunk });
        }
    }

    /// A follower came with a log that is a prefix of this one.
    pub fn on_opened(&mut self, follower: &OpenedFollower, around: Surroundings<'_>) {
        if self.is_outdated((follower.replica, follower.broker_epoch), around.active) {
            return;
        }
        let durability = around.settings.durability;
        let Some(progress) = self.followers.get_mut(&follower.replica) else { return };
        if progress.session.is_some_and(|session| session > follower.session)
            || follower.log_end > around.cursors.log_end
        {
            return;
        }
        progress.on_opened(follower.session, follower.broker_epoch);
        progress.on_ack(follower.log_end, follower.flushed, around.cursors.log_end, durability, around.now);
    }

    /// Whether a follower is a process that has been superseded by another one with its id (KIP-903): one that came with a later
    /// registration, or that the metadata know. What it holds is not what that one holds, which the ISR is about.
    pub fn is_outdated(
        &self,
        (replica, broker_epoch): (BrokerId, BrokerEpoch),
        active: &[(BrokerId, BrokerEpoch)],
    ) -> bool {
        let came = self.followers.get(&replica).map_or(BrokerEpoch::NONE, |progress| progress.broker_epoch);
        let registered = active.iter().find(|(id, _)| *id == replica).map_or(BrokerEpoch::NONE, |&(_, epoch)| epoch);
        broker_epoch < came.max(registered) && !self.defects.has(Mutation::NoBrokerEpochCheck)
    }

    /// A follower acknowledged. Returns false if it does not count.
    pub fn on_acked(
        &mut self,
        (replica, session): (BrokerId, SessionId),
        (log_end, flushed): (Offset, Offset),
        around: Surroundings<'_>,
    ) -> bool {
        let unchecked = self.defects.has(Mutation::NoEpochCheck);
        let Some(progress) = self.followers.get_mut(&replica) else { return false };
        if progress.session != Some(session) && !unchecked {
            return false;
        }
        if log_end > around.cursors.log_end && !unchecked {
            return false;
        }
        // Acknowledgements of one session are cumulative: an older one says nothing new.
        let log_end = log_end.max(progress.log_end).min(around.cursors.log_end);
        let flushed = flushed.max(progress.flushed);
        progress.on_ack(log_end, flushed, around.cursors.log_end, around.settings.durability, around.now);
        true
    }

    /// The follower's stream ended.
    pub fn on_closed(&mut self, replica: BrokerId, session: SessionId) {
        if let Some(progress) = self.followers.get_mut(&replica)
            && progress.session == Some(session)
        {
            progress.session = None;
        }
    }

    /// The leader appends; its log ended at `log_end`.
    pub fn on_append(&mut self, log_end: Offset, settings: Settings, now: MonoMs) {
        for progress in self.followers.values_mut() {
            progress.on_leader_append(log_end, settings.durability, now);
        }
    }

    /// How far the log is committed: held by the leader and by every replica that may be in sync; never less than before.
    pub fn committed(&self, around: Surroundings<'_>) -> Offset {
        if !self.has_enough_in_sync(around.settings) && !self.defects.has(Mutation::AdvanceBelowMinIsr) {
            // KIP-966: eligible leader replicas left the ISR when it fell below the minimum; they must hold all that is
            // committed, so nothing is committed without them.
            return around.high_watermark;
        }
        let durability =
            if self.defects.has(Mutation::NoFlush) { crate::Durability::Relaxed } else { around.settings.durability };
        let mut committed = around.cursors.held(durability);
        if self.defects.has(Mutation::IgnoreOwnFlush) {
            committed = around.cursors.log_end;
        }
        for member in self.maximal_isr().filter(|&member| member != self.id) {
            if self.defects.has(Mutation::SmallerIsrInFlight) && self.isr.added() == Some(member) {
                continue;
            }
            if self.defects.has(Mutation::SkipUnheard) && self.is_unheard(member) {
                continue;
            }
            // A member without progress is one that is no longer assigned: it counts until it has left the ISR.
            let held = self.followers.get(&member).map_or(Offset::NONE, |progress| progress.held(durability));
            committed = committed.min(held);
        }
        committed.max(around.high_watermark)
    }

    /// The log end of each other assigned replica as last acknowledged; NONE of one that has not come in this epoch.
    pub fn follower_ends(&self) -> impl Iterator<Item = (BrokerId, Offset)> {
        self.followers.iter().map(|(&id, progress)| (id, progress.log_end))
    }

    /// `min.insync.replicas`, capped by how many replicas there are.
    pub fn effective_min_isr(&self, settings: Settings) -> usize {
        settings.min_isr.min(self.followers.len() + 1).max(1)
    }

    /// Whether the committed ISR has the minimum, as far as this broker's settings and the controller's ELR tell.
    pub fn has_enough_in_sync(&self, settings: Settings) -> bool {
        self.elr.is_empty() && self.isr.committed().len() >= self.effective_min_isr(settings)
    }

    /// All that may be in the controller's ISR or ELR: what the high watermark counts (P4).
    pub fn maximal_isr(&self) -> impl Iterator<Item = BrokerId> {
        let isr = self.isr.committed().iter().copied().chain(self.isr.added());
        isr.chain(self.elr.iter().copied().filter(|&member| self.isr.added() != Some(member)))
    }

    /// Whether something here changes with time alone: the shell then sends ticks.
    pub fn needs_ticks(&self, around: Surroundings<'_>) -> bool {
        let durability = around.settings.durability;
        self.followers.iter().any(|(replica, progress)| {
            let member = self.is_committed_member(*replica);
            (member && !progress.is_caught_up(around.cursors.log_end, durability))
                || (!member && progress.session.is_some())
        })
    }

    /// Proposes that members leave which were not caught up for `lag_max`, or lost what they had acknowledged.
    pub fn maybe_shrink(&mut self, around: Surroundings<'_>, actions: &mut Actions) {
        if !self.isr.is_committed() || around.now < self.shrink_not_before {
            return;
        }
        let is_behind = |progress: &Progress| lags(progress, around) || has_lost(progress, around);
        let leaves = |replica: &BrokerId| self.followers.get(replica).is_some_and(is_behind);
        let removed: Vec<BrokerId> = self.isr.committed().iter().copied().filter(leaves).collect();
        if !removed.is_empty() {
            self.propose_shrink(removed, around, actions);
        }
    }

    fn propose_shrink(&mut self, removed: Vec<BrokerId>, around: Surroundings<'_>, actions: &mut Actions) {
        if !self.isr.is_committed() {
            return;
        }
        let isr = self.isr.committed().to_vec();
        self.isr = IsrState::PendingShrink { isr, removed };
        actions.push(Action::ProposeIsr(self.change(around.active)));
        if self.defects.has(Mutation::ShrinkAlone)
            && let IsrState::PendingShrink { isr, removed } = &self.isr
        {
            let isr = isr.iter().copied().filter(|member| !removed.contains(member)).collect();
            self.isr = IsrState::Committed { isr };
        }
    }

    /// Proposes the first follower that holds everything committed in earlier epochs and in this one.
    pub fn maybe_expand(&mut self, around: Surroundings<'_>, actions: &mut Actions) {
        if !self.isr.is_committed() {
            return;
        }
        // What earlier leaders committed may be anything below this epoch's start, even above the local high watermark
        // (P3). So a follower has to hold both.
        let mut needed = around.high_watermark.max(self.epoch_start);
        if self.defects.has(Mutation::ExpandEarly) {
            needed = around.high_watermark;
        }
        let durability =
            if self.defects.has(Mutation::NoFlush) { crate::Durability::Relaxed } else { around.settings.durability };
        let ready = self.followers.iter().find(|(replica, progress)| {
            !self.isr.committed().contains(replica)
                && progress.session.is_some()
                && progress.held(durability) >= needed
                // Or it would have to leave again at once.
                && !lags(progress, around)
                && progress.not_before <= around.now
                && around.active.contains(&(**replica, progress.broker_epoch))
        });
        if let Some((&added, &Progress { broker_epoch, .. })) = ready {
            let isr = self.isr.committed().to_vec();
            self.isr = IsrState::PendingExpand { isr, added, broker_epoch, in_doubt: false };
            actions.push(Action::ProposeIsr(self.change(around.active)));
        }
    }

    /// The change that the state in flight asks for.
    fn change(&self, active: &[(BrokerId, BrokerEpoch)]) -> IsrChange {
        let registered = |replica: BrokerId| {
            active.iter().find(|(id, _)| *id == replica).map_or(BrokerEpoch::NONE, |&(_, broker_epoch)| broker_epoch)
        };
        let epoch_of = |replica: BrokerId| match (&self.isr, self.followers.get(&replica)) {
            (IsrState::PendingExpand { added, broker_epoch, .. }, _) if *added == replica => *broker_epoch,
            (_, Some(progress)) if progress.session.is_some() => progress.broker_epoch,
            _ => registered(replica),
        };
        let isr = match &self.isr {
            IsrState::Committed { isr } | IsrState::Settling { isr, .. } => isr.clone(),
            IsrState::PendingExpand { isr, added, .. } => {
                let mut isr = isr.clone();
                isr.push(*added);
                isr.sort_unstable();
                isr
            }
            IsrState::PendingShrink { isr, removed } => {
                isr.iter().copied().filter(|member| !removed.contains(member)).collect()
            }
        };
        IsrChange {
            leader_epoch: self.epoch,
            partition_epoch: self.partition_epoch,
            isr: isr.into_iter().map(|member| (member, epoch_of(member))).collect(),
        }
    }

    /// An answer to the proposal in flight. Answers to earlier ones are ignored.
    pub fn on_isr_answered(
        &mut self,
        (leader_epoch, partition_epoch): (LeaderEpoch, PartitionEpoch),
        answer: &IsrAnswer,
        around: Surroundings<'_>,
        actions: &mut Actions,
    ) {
        if leader_epoch != self.epoch || partition_epoch != self.partition_epoch || self.isr.is_committed() {
            return;
        }
        match answer {
            IsrAnswer::Accepted { isr, elr, leader_epoch, partition_epoch } => {
                if *leader_epoch == self.epoch && *partition_epoch >= self.partition_epoch {
                    self.commit((isr, elr), *partition_epoch, actions);
                }
            }
            IsrAnswer::Stale => {}
            IsrAnswer::Unknown => {
                if let IsrState::PendingExpand { in_doubt, .. } = &mut self.isr {
                    *in_doubt = true;
                }
                actions.push(Action::ProposeIsr(self.change(around.active)));
            }
            IsrAnswer::Refused => self.on_refused(around, actions),
        }
    }

    fn on_refused(&mut self, around: Surroundings<'_>, actions: &mut Actions) {
        let forget = self.defects.has(Mutation::ForgetInDoubt);
        let isr = self.isr.committed().to_vec();
        if let Some(progress) = self.isr.added().and_then(|added| self.followers.get_mut(&added)) {
            progress.not_before = around.now + REFUSAL_PAUSE;
        } else {
            self.shrink_not_before = around.now + REFUSAL_PAUSE;
        }
        self.isr = match self.isr {
            IsrState::PendingExpand { added, in_doubt: true, .. } if !forget => IsrState::Settling { isr, added },
            IsrState::Settling { added, .. } if !forget => IsrState::Settling { isr, added },
            _ => IsrState::Committed { isr },
        };
        if !self.isr.is_committed() {
            actions.push(Action::ProposeIsr(self.change(around.active)));
        }
    }

    /// Whether a replica has not come in this epoch.
    fn is_unheard(&self, replica: BrokerId) -> bool {
        self.followers.get(&replica).is_none_or(|progress| progress.log_end == Offset::NONE)
    }

    fn is_committed_member(&self, replica: BrokerId) -> bool {
        self.isr.committed().contains(&replica)
    }
}

/// Whether a follower has not been caught up for longer than it may.
fn lags(progress: &Progress, around: Surroundings<'_>) -> bool {
    !progress.is_caught_up(around.cursors.log_end, around.settings.durability)
        && around.now - progress.caught_up_at > around.settings.lag_max
}

/// Whether a follower came with less than is committed, all of which it had held as a member: its page cache is gone (relaxed
/// durability), or its disk was replaced. It may have become a member only after it came: while its joining was in flight.
fn has_lost(progress: &Progress, around: Surroundings<'_>) -> bool {
    progress.log_end != Offset::NONE && progress.log_end < around.high_watermark
}

fn elr_of(elr: &[BrokerId], defects: Defects) -> Box<[BrokerId]> {
    if defects.has(Mutation::IgnoreElr) { Box::default() } else { sorted(elr).into() }
}

fn sorted(brokers: &[BrokerId]) -> Vec<BrokerId> {
    let mut brokers = brokers.to_vec();
    brokers.sort_unstable();
    brokers
}
