//! LeaveGroup.

use highwater_types::ErrorCode;

use super::ClassicGroup;
use crate::effects::Effects;
use crate::{GroupState, LeaveGroupMember, LeaveGroupMemberResponse, LeaveGroupRequest, LeaveGroupResponse};

impl ClassicGroup {
    /// Removes members and rebalances once for all of them.
    pub(crate) fn leave(&mut self, request: LeaveGroupRequest, effects: &mut Effects<'_>) -> LeaveGroupResponse {
        let mut members = Vec::with_capacity(request.members.len());
        for member in request.members {
            let error = self.remove_leaving(&member, effects).err().unwrap_or(ErrorCode::None);
            let LeaveGroupMember { member_id, group_instance_id, reason: _ } = member;
            members.push(LeaveGroupMemberResponse { member_id, group_instance_id, error });
        }
        if members.iter().any(|member| member.error == ErrorCode::None) {
            match self.state {
                GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(effects),
                GroupState::PreparingRebalance => self.maybe_complete_join_phase(effects),
                GroupState::Empty | GroupState::Dead => {}
            }
        }
        LeaveGroupResponse { error: ErrorCode::None, members }
    }

    fn remove_leaving(&mut self, member: &LeaveGroupMember, effects: &mut Effects<'_>) -> Result<(), ErrorCode> {
        let instance = member.group_instance_id.as_deref();
        if member.member_id.is_empty() {
            // An administrator removes a static member, whatever member id it has.
            let current = instance.and_then(|instance| self.static_members.get(instance)).cloned();
            self.remove(&current.ok_or(ErrorCode::UnknownMemberId)?, effects);
            return Ok(());
        }
        if !self.pending_members.contains(member.member_id.as_str()) {
            self.validate_member(&member.member_id, instance)?;
        }
        self.remove(&member.member_id, effects);
        Ok(())
    }
}
