//! A static member that comes back without its member id (KIP-345, KIP-814).

use std::sync::Arc;

use highwater_types::ErrorCode;

use super::ClassicGroup;
use super::group::answer_sync;
use super::join::refuse;
use crate::effects::{Effects, PendingWrite, StaticMemberReplacement};
use crate::member::Member;
use crate::output::{Response, Token, coordinator_error};
use crate::{GroupState, JoinGroupRequest, JoinGroupResponse, SyncGroupResponse};

impl ClassicGroup {
    /// Gives the member a new id, which fences the old one, and rebalances only if it must.
    pub(super) fn replace_static_member(
        &mut self,
        request: &JoinGroupRequest,
        old_id: &str,
        new_id: Arc<str>,
        token: Token,
        effects: &mut Effects<'_>,
    ) {
        let old_leader = self.leader_id();
        let old_was_leader = self.is_leader(old_id);
        let old = self.rename_static_member(old_id, new_id.clone(), effects);
        self.update_member(&new_id, request, token, effects);
        self.rearm_heartbeat(&self.members[&new_id], effects);
        match self.state {
            GroupState::Stable if self.select_protocol() == self.protocol_name => {
                let replacement = Box::new(StaticMemberReplacement {
                    old,
                    old_was_leader,
                    new_id,
                    old_leader,
                    supports_skip_assignment: request.supports_skip_assignment,
                });
                let records = vec![self.to_record_as_assigned()];
                effects.write(records, PendingWrite::StaticMember { group: self.group_id.clone(), replacement });
            }
            // In CompletingRebalance the leader may already be assigning partitions to the old id.
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(effects),
            GroupState::PreparingRebalance => self.maybe_complete_join_phase(effects),
            GroupState::Empty | GroupState::Dead => {
                unreachable!("a group with a static member is neither empty nor dead")
            }
        }
    }

    /// The record of a replacement was appended, or could not be.
    pub(crate) fn on_static_member_stored(
        &mut self,
        replacement: StaticMemberReplacement,
        result: Result<(), ErrorCode>,
        effects: &mut Effects<'_>,
    ) {
        let new_id = replacement.new_id.clone();
        let Some(token) = self.members.get_mut(&new_id).and_then(|member| member.awaiting_join.take()) else {
            return;
        };
        self.awaiting_join -= 1;
        if let Err(error) = result {
            self.restore_static_member(replacement, effects);
            return refuse(token, coordinator_error(error), "", effects);
        }
        let is_leader = self.is_leader(&new_id);
        let response = if replacement.supports_skip_assignment {
            JoinGroupResponse { skip_assignment: is_leader, ..self.join_response(&new_id, is_leader) }
        } else {
            JoinGroupResponse { leader: replacement.old_leader, ..self.join_response(&new_id, false) }
        };
        if let Some(member) = self.members.get_mut(&new_id) {
            member.is_new = false;
        }
        effects.reply_committed(token, Response::JoinGroup(response));
    }

    /// Puts the member under its new id and answers what waited under the old one. Returns the member as it was.
    fn rename_static_member(&mut self, old_id: &str, new_id: Arc<str>, effects: &mut Effects<'_>) -> Member {
        let was_leader = self.is_leader(old_id);
        let mut old = self.take(old_id).expect("the static id points at a member");
        let fenced = ErrorCode::FencedInstanceId;
        self.answer_join(&mut old, JoinGroupResponse::error(fenced, old_id), effects);
        answer_sync(&mut old, SyncGroupResponse::error(fenced), effects);
        effects.timers.cancel(&crate::timers::TimerKey::Heartbeat(self.group_id.clone(), old.member_id.clone()));
        let mut renamed = old.clone();
        renamed.member_id = new_id.clone();
        renamed.is_new = false;
        self.insert(renamed);
        if was_leader {
            self.leader = Some(new_id);
        }
        old
    }

    fn restore_static_member(&mut self, replacement: StaticMemberReplacement, effects: &mut Effects<'_>) {
        let StaticMemberReplacement { old, old_was_leader, new_id, .. } = replacement;
        self.take(&new_id);
        effects.timers.cancel(&crate::timers::TimerKey::Heartbeat(self.group_id.clone(), new_id));
        let old_id = old.member_id.clone();
        self.rearm_heartbeat(&old, effects);
        self.insert(old);
        if old_was_leader {
            self.leader = Some(old_id);
        }
    }
}
