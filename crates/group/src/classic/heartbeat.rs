//! Heartbeats and what happens without them.

use std::sync::Arc;

use highwater_types::ErrorCode;

use super::ClassicGroup;
use crate::effects::Effects;
use crate::member::Member;
use crate::timers::TimerKey;
use crate::{GroupState, HeartbeatRequest};

impl ClassicGroup {
    /// Answers a heartbeat and puts the member's deadline off.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, effects: &mut Effects<'_>) -> ErrorCode {
        if let Err(error) = self.validate_member(&request.member_id, request.group_instance_id.as_deref()) {
            return error;
        }
        if request.generation_id != self.generation_id {
            return ErrorCode::IllegalGeneration;
        }
        let member = &self.members[request.member_id.as_str()];
        match self.state {
            GroupState::Empty | GroupState::Dead => ErrorCode::UnknownMemberId,
            GroupState::PreparingRebalance => {
                self.rearm_heartbeat(member, effects);
                ErrorCode::RebalanceInProgress
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.rearm_heartbeat(member, effects);
                ErrorCode::None
            }
        }
    }

    /// The deadline of a member or pending member has passed.
    pub(crate) fn on_heartbeat_deadline(&mut self, member_id: &str, effects: &mut Effects<'_>) {
        if self.pending_members.contains(member_id) {
            self.remove(member_id, effects);
            if self.is_in(GroupState::PreparingRebalance) && self.has_all_members_joined() {
                self.complete_join(effects);
            }
        } else if self.members.get(member_id).is_some_and(|member| !member.has_satisfied_heartbeat()) {
            self.remove(member_id, effects);
            self.after_removal(effects);
        }
    }

    /// Session deadlines of a group that was just read back.
    pub(crate) fn rearm_all_heartbeats(&self, effects: &mut Effects<'_>) {
        self.members.values().for_each(|member| self.rearm_heartbeat(member, effects));
    }

    pub(super) fn rearm_heartbeat(&self, member: &Member, effects: &mut Effects<'_>) {
        let key = TimerKey::Heartbeat(self.group_id.clone(), member.member_id.clone());
        effects.schedule(key, member.session_timeout_ms);
    }

    pub(super) fn rearm_heartbeats(&self, members: Vec<(Arc<str>, i32)>, effects: &mut Effects<'_>) {
        for (member_id, session_timeout_ms) in members {
            effects.schedule(TimerKey::Heartbeat(self.group_id.clone(), member_id), session_timeout_ms);
        }
    }

    fn after_removal(&mut self, effects: &mut Effects<'_>) {
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(effects),
            GroupState::PreparingRebalance if self.has_all_members_joined() => self.complete_join(effects),
            GroupState::PreparingRebalance | GroupState::Empty | GroupState::Dead => {}
        }
    }
}
