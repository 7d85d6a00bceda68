//! The join phase: who is waited for, for how long, and what ends it.

use std::sync::Arc;

use highwater_types::ErrorCode;

use super::ClassicGroup;
use super::group::answer_sync;
use crate::effects::{Effects, PendingWrite};
use crate::timers::TimerKey;
use crate::{GroupState, JoinGroupResponse, SyncGroupResponse};

/// The first rebalance of an empty group waits `group.initial.rebalance.delay.ms` for more members, and again as long as
/// members keep arriving, up to the rebalance time-out (KIP-134).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InitialRebalance {
    /// The delay that runs now.
    delay_ms: i32,
    /// What is left of the rebalance time-out beyond it.
    remaining_ms: i32,
}

impl ClassicGroup {
    /// Starts a rebalance unless one is going on; then only looks whether that one can end.
    pub(super) fn maybe_prepare_rebalance_or_complete_join(&mut self, effects: &mut Effects<'_>) {
        if self.state.may_become(GroupState::PreparingRebalance) {
            self.prepare_rebalance(effects);
        } else {
            self.maybe_complete_join_phase(effects);
        }
    }

    /// Asks all members to rejoin.
    pub(crate) fn prepare_rebalance(&mut self, effects: &mut Effects<'_>) {
        if self.is_in(GroupState::CompletingRebalance) {
            self.reset_assignments(ErrorCode::RebalanceInProgress, effects);
        }
        self.pending_sync_members.clear();
        effects.timers.cancel(&TimerKey::Sync(self.group_id.clone()));

        let is_initial = self.is_in(GroupState::Empty);
        self.transition_to(GroupState::PreparingRebalance, effects.now.wall);
        if is_initial {
            let delay_ms = effects.config.initial_rebalance_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.new_member_added = false;
            self.initial_rebalance = Some(InitialRebalance { delay_ms, remaining_ms });
            effects.schedule(TimerKey::Join(self.group_id.clone()), delay_ms);
        } else if self.has_all_members_joined() {
            self.complete_join(effects);
        } else {
            effects.schedule(TimerKey::Join(self.group_id.clone()), self.rebalance_timeout_ms());
        }
    }

    /// Ends the join phase if all have joined. An initial rebalance is ended by its delay alone.
    pub(super) fn maybe_complete_join_phase(&mut self, effects: &mut Effects<'_>) {
        let initial = self.previous_state == GroupState::Empty;
        if self.is_in(GroupState::PreparingRebalance) && !initial && self.has_all_members_joined() {
            self.complete_join(effects);
        }
    }

    /// The deadline of the join phase has passed.
    pub(crate) fn on_join_deadline(&mut self, effects: &mut Effects<'_>) {
        if !self.is_in(GroupState::PreparingRebalance) {
            return;
        }
        match self.initial_rebalance {
            Some(InitialRebalance { delay_ms, remaining_ms }) if self.new_member_added && remaining_ms != 0 => {
                self.new_member_added = false;
                let next_delay_ms = effects.config.initial_rebalance_delay_ms.min(remaining_ms);
                let remaining_ms = remaining_ms.saturating_sub(delay_ms).max(0);
                self.initial_rebalance = Some(InitialRebalance { delay_ms: next_delay_ms, remaining_ms });
                effects.schedule(TimerKey::Join(self.group_id.clone()), next_delay_ms);
            }
            _ => self.complete_join(effects),
        }
    }

    /// Ends the join phase: drops dynamic members that have not rejoined (static ones keep their place until their
    /// session ends), and starts the next generation.
    pub(super) fn complete_join(&mut self, effects: &mut Effects<'_>) {
        effects.timers.cancel(&TimerKey::Join(self.group_id.clone()));
        let missing = self.members.values().filter(|member| member.awaiting_join.is_none() && !member.is_static());
        let missing: Vec<Arc<str>> = missing.map(|member| member.member_id.clone()).collect();
        missing.iter().for_each(|member_id| self.remove(member_id, effects));

        if !self.elect_joined_leader() && !self.members.is_empty() {
            // Only static members are left and none has rejoined: wait again, until their sessions end.
            effects.schedule(TimerKey::Join(self.group_id.clone()), self.rebalance_timeout_ms());
            return;
        }
        self.init_next_generation(effects.now.wall);
        effects.output.completed_rebalances += 1;
        if self.is_in(GroupState::Empty) {
            let records = vec![self.to_record_as_assigned()];
            effects.write(records, PendingWrite::EmptyGroup { group: self.group_id.clone() });
        } else {
            self.answer_joined_members(effects);
            effects.schedule(TimerKey::Sync(self.group_id.clone()), self.rebalance_timeout_ms());
        }
    }

    /// What a member learns about the current generation; all members only if `with_members`.
    pub(super) fn join_response(&self, member_id: &str, with_members: bool) -> JoinGroupResponse {
        JoinGroupResponse {
            error: ErrorCode::None,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader_id(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: if with_members { self.join_group_members() } else { Vec::new() },
        }
    }

    /// Takes all assignments back and answers every SyncGroup that waits with `error`.
    pub(super) fn reset_assignments(&mut self, error: ErrorCode, effects: &mut Effects<'_>) {
        let mut rearm = Vec::new();
        for member in self.members.values_mut() {
            member.assignment = bytes::Bytes::new();
            if answer_sync(member, SyncGroupResponse::error(error), effects) {
                rearm.push((member.member_id.clone(), member.session_timeout_ms));
            }
        }
        self.rearm_heartbeats(rearm, effects);
    }

    fn answer_joined_members(&mut self, effects: &mut Effects<'_>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in ids {
            let response = self.join_response(&member_id, self.is_leader(&member_id));
            let mut member = self.members.remove(&member_id).expect("ids are of members");
            self.answer_join(&mut member, response, effects);
            member.is_new = false;
            self.rearm_heartbeat(&member, effects);
            self.members.insert(member_id.clone(), member);
            self.pending_sync_members.insert(member_id);
        }
    }

    /// Keeps the leader if it has rejoined, else elects the first member that has. False if none has.
    fn elect_joined_leader(&mut self) -> bool {
        let joined = |id: &Arc<str>| self.members.get(id).is_some_and(|member| member.awaiting_join.is_some());
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        let next = self.members.keys().find(|id| joined(id)).cloned();
        if next.is_some() {
            self.leader = next;
            return true;
        }
        false
    }
}
