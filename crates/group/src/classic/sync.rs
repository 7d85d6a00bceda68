//! SyncGroup.

use std::collections::BTreeMap;

use bytes::Bytes;
use highwater_types::ErrorCode;

use super::ClassicGroup;
use super::group::answer_sync;
use crate::effects::{Effects, PendingWrite};
use crate::output::{Response, Token, coordinator_error};
use crate::timers::TimerKey;
use crate::{GroupState, SyncGroupRequest, SyncGroupResponse};

impl ClassicGroup {
    /// Handles SyncGroup. The answer comes at once or with the leader's assignment.
    pub(crate) fn sync(&mut self, request: SyncGroupRequest, token: Token, effects: &mut Effects<'_>) {
        if let Err(error) = self.validate_sync(&request) {
            return effects.reply(token, Response::SyncGroup(SyncGroupResponse::error(error)));
        }
        match self.state {
            GroupState::CompletingRebalance => self.await_assignment(request, token, effects),
            GroupState::Stable => {
                self.on_synced(&request.member_id, effects);
                let response = self.sync_response(&request.member_id);
                effects.reply_committed(token, Response::SyncGroup(response));
            }
            GroupState::PreparingRebalance => {
                effects.reply(token, Response::SyncGroup(SyncGroupResponse::error(ErrorCode::RebalanceInProgress)));
            }
            GroupState::Empty | GroupState::Dead => {
                effects.reply(token, Response::SyncGroup(SyncGroupResponse::error(ErrorCode::UnknownMemberId)));
            }
        }
    }

    /// The record with the leader's assignments was appended, or could not be.
    pub(crate) fn on_assignment_stored(
        &mut self,
        mut assignments: BTreeMap<String, Bytes>,
        result: Result<(), ErrorCode>,
        effects: &mut Effects<'_>,
    ) {
        if let Err(error) = result {
            self.reset_assignments(coordinator_error(error), effects);
            return self.prepare_rebalance(effects);
        }
        self.transition_to(GroupState::Stable, effects.now.wall);
        let (protocol_type, protocol_name) = (self.protocol_type.clone(), self.protocol_name.clone());
        let mut rearm = Vec::new();
        for member in self.members.values_mut() {
            let assignment = assignments.remove(member.member_id.as_ref()).unwrap_or_default();
            member.assignment = assignment.clone();
            let (protocol_type, protocol_name) = (protocol_type.clone(), protocol_name.clone());
            let response = SyncGroupResponse { error: ErrorCode::None, protocol_type, protocol_name, assignment };
            // While SyncGroup waited, a passed deadline was ignored: start the session anew.
            if answer_sync(member, response, effects) {
                rearm.push((member.member_id.clone(), member.session_timeout_ms));
            }
        }
        self.rearm_heartbeats(rearm, effects);
    }

    /// Members that have not sent SyncGroup in time are removed.
    pub(crate) fn on_sync_deadline(&mut self, effects: &mut Effects<'_>) {
        let waiting = matches!(self.state, GroupState::CompletingRebalance | GroupState::Stable);
        if waiting && !self.pending_sync_members.is_empty() {
            let late = std::mem::take(&mut self.pending_sync_members);
            late.iter().for_each(|member_id| self.remove(member_id, effects));
            self.prepare_rebalance(effects);
        }
    }

    fn await_assignment(&mut self, request: SyncGroupRequest, token: Token, effects: &mut Effects<'_>) {
        self.on_synced(&request.member_id, effects);
        let member = self.members.get_mut(request.member_id.as_str()).expect("validated");
        // A retry of the same client on another connection supersedes the request that waited.
        answer_sync(member, SyncGroupResponse::error(ErrorCode::RebalanceInProgress), effects);
        member.awaiting_sync = Some(token);
        if self.is_leader(&request.member_id) {
            let given = request.assignments.into_iter().map(|given| (given.member_id, given.assignment));
            let assignments: BTreeMap<String, Bytes> = given.collect();
            let records = vec![self.to_record(&assignments)];
            effects.write(records, PendingWrite::Assignment { group: self.group_id.clone(), assignments });
        }
    }

    /// KIP-559: what the client believes about the protocol must be so.
    fn validate_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        let differs = |claimed: &Option<String>, actual: &Option<String>| claimed.is_some() && claimed != actual;
        if request.generation_id != self.generation_id {
            Err(ErrorCode::IllegalGeneration)
        } else if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            Err(ErrorCode::InconsistentGroupProtocol)
        } else {
            Ok(())
        }
    }

    fn sync_response(&self, member_id: &str) -> SyncGroupResponse {
        SyncGroupResponse {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: self.members[member_id].assignment.clone(),
        }
    }

    fn on_synced(&mut self, member_id: &str, effects: &mut Effects<'_>) {
        self.pending_sync_members.remove(member_id);
        if self.pending_sync_members.is_empty() {
            effects.timers.cancel(&TimerKey::Sync(self.group_id.clone()));
        }
    }
}
