//! JoinGroup.

use std::sync::Arc;

use highwater_types::ErrorCode;

use super::ClassicGroup;
use crate::effects::Effects;
use crate::member::Member;
use crate::output::{Response, Token};
use crate::timers::TimerKey;
use crate::{GroupState, JoinGroupRequest, JoinGroupResponse};

/// A member that has not got its JoinGroup answer within this time is dropped. It cannot heartbeat, its connection is
/// not watched while the request waits, and a client that gave up retries as yet another member. Kafka's number.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 5 * 60 * 1000;

/// A member id nobody has had, for the case that the request needs one.
pub(crate) struct NewMemberId(pub(crate) Arc<str>);

impl ClassicGroup {
    /// Handles JoinGroup. The answer comes at once or when the join phase ends.
    pub(crate) fn join(
        &mut self,
        request: &JoinGroupRequest,
        new_id: NewMemberId,
        token: Token,
        effects: &mut Effects<'_>,
    ) {
        if !self.accepts_joining_member(&request.member_id, effects.config.max_size) {
            self.remove(&request.member_id, effects);
            refuse(token, ErrorCode::GroupMaxSizeReached, "", effects);
            // It may have been the last one the others waited for (Kafka lets them wait until the deadline).
            self.maybe_complete_join_phase(effects);
        } else if !self.supports_protocols(&request.protocol_type, &request.protocols) {
            refuse(token, ErrorCode::InconsistentGroupProtocol, &request.member_id, effects);
        } else if !request.member_id.is_empty() {
            self.join_existing_member(request, token, effects);
        } else if let Some(instance) = &request.group_instance_id {
            match self.static_members.get(instance).cloned() {
                Some(old_id) => self.replace_static_member(request, &old_id, new_id.0, token, effects),
                None => self.add_member(request, new_id.0, token, effects),
            }
        } else if request.requires_known_member_id {
            // KIP-394: the client must come back with its id, so that a retry is not taken for one more member.
            let key = TimerKey::Heartbeat(self.group_id.clone(), new_id.0.clone());
            effects.schedule(key, request.session_timeout_ms);
            refuse(token, ErrorCode::MemberIdRequired, &new_id.0, effects);
            self.pending_members.insert(new_id.0);
        } else {
            self.add_member(request, new_id.0, token, effects);
        }
    }

    /// Refuses every JoinGroup that waits.
    pub(crate) fn refuse_waiting(&mut self, error: ErrorCode, effects: &mut Effects<'_>) {
        let waiting: Vec<(Arc<str>, Token)> = self
            .members
            .values_mut()
            .filter_map(|member| member.awaiting_join.take().map(|token| (member.member_id.clone(), token)))
            .collect();
        self.awaiting_join -= waiting.len();
        waiting.into_iter().for_each(|(member_id, token)| refuse(token, error, &member_id, effects));
    }

    fn join_existing_member(&mut self, request: &JoinGroupRequest, token: Token, effects: &mut Effects<'_>) {
        let member_id = request.member_id.as_str();
        if request.group_instance_id.is_none() && self.pending_members.contains(member_id) {
            return self.add_member(request, Arc::from(member_id), token, effects);
        }
        if let Err(error) = self.validate_member(member_id, request.group_instance_id.as_deref()) {
            return refuse(token, error, member_id, effects);
        }
        let repeats_itself = self.members[member_id].matches(&request.protocols);
        let is_leader = self.is_leader(member_id);
        match self.state {
            // The answer to its first request was lost: repeat it.
            GroupState::CompletingRebalance if repeats_itself => {
                let response = self.join_response(member_id, is_leader);
                effects.reply(token, Response::JoinGroup(response));
            }
            // A follower with nothing new goes on to SyncGroup. The leader may know of changes that do not show in its
            // subscription (partitions were added), so its JoinGroup always rebalances.
            GroupState::Stable if repeats_itself && !is_leader => {
                let response = self.join_response(member_id, false);
                effects.reply(token, Response::JoinGroup(response));
            }
            GroupState::PreparingRebalance | GroupState::CompletingRebalance | GroupState::Stable => {
                self.update_member(member_id, request, token, effects);
                self.maybe_prepare_rebalance_or_complete_join(effects);
            }
            GroupState::Empty | GroupState::Dead => refuse(token, ErrorCode::UnknownMemberId, member_id, effects),
        }
    }

    fn add_member(&mut self, request: &JoinGroupRequest, member_id: Arc<str>, token: Token, effects: &mut Effects<'_>) {
        if self.initial_rebalance.is_some() {
            self.new_member_added = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        let mut member = Member::new(member_id.clone(), request);
        member.awaiting_join = Some(token);
        self.insert(member);
        effects.schedule(TimerKey::Heartbeat(self.group_id.clone(), member_id), NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.maybe_prepare_rebalance_or_complete_join(effects);
    }

    /// `group.max.size`. While members rejoin, those whose JoinGroup waits are counted: the group itself may already be
    /// too large if the limit was lowered, and then the last ones to rejoin are turned away.
    fn accepts_joining_member(&self, member_id: &str, max_size: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                member.is_some_and(|member| member.awaiting_join.is_some()) || self.awaiting_join < max_size
            }
            GroupState::CompletingRebalance | GroupState::Stable => member.is_some() || self.members.len() < max_size,
        }
    }
}

pub(super) fn refuse(token: Token, error: ErrorCode, member_id: &str, effects: &mut Effects<'_>) {
    effects.reply(token, Response::JoinGroup(JoinGroupResponse::error(error, member_id)));
}
