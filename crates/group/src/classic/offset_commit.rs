//! Who may commit offsets.

use highwater_types::ErrorCode;

use super::ClassicGroup;
use crate::effects::Effects;
use crate::{GroupState, OffsetCommitRequest};

impl ClassicGroup {
    /// Fences an OffsetCommit. Members commit in their generation; a request without one comes from a consumer that
    /// assigns itself or from a tool, and is accepted only while the group is empty.
    pub(crate) fn validate_offset_commit(&self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        if request.generation_id < 0 && self.is_in(GroupState::Empty) {
            return Ok(());
        }
        let instance = request.group_instance_id.as_deref();
        if request.generation_id >= 0 || !request.member_id.is_empty() || instance.is_some() {
            self.validate_member(&request.member_id, instance)?;
            if request.generation_id != self.generation_id {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if !self.is_in(GroupState::Empty) {
            return Err(ErrorCode::UnknownMemberId);
        }
        if self.is_in(GroupState::CompletingRebalance) {
            // The member knows the new generation but not its assignment: let it sync first.
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// A commit shows that the member is alive.
    pub(crate) fn on_offset_commit(&self, member_id: &str, effects: &mut Effects<'_>) {
        if matches!(self.state, GroupState::Stable | GroupState::PreparingRebalance)
            && let Some(member) = self.members.get(member_id)
        {
            self.rearm_heartbeat(member, effects);
        }
    }
}
