//! Requests of members: finding the group, and what must hold before it sees them.

use std::sync::Arc;

use highwater_types::ErrorCode;
use rand_core::RngCore;

use super::limits::{fits_member_id, fits_record};
use super::{GroupCoordinatorShard, Request};
use crate::classic::{ClassicGroup, NewMemberId};
use crate::effects::PendingWrite;
use crate::output::{Now, Output, Reply, Response, Token, coordinator_error};
use crate::{
    GroupConfig, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupMemberResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};

impl Request {
    /// The group it is about.
    pub fn group_id(&self) -> &str {
        match self {
            Self::JoinGroup(request) => &request.group_id,
            Self::SyncGroup(request) => &request.group_id,
            Self::Heartbeat(request) => &request.group_id,
            Self::LeaveGroup(request) => &request.group_id,
            Self::OffsetCommit(request) => &request.group_id,
            Self::OffsetFetch(request) => &request.group_id,
            Self::OffsetDelete(request) => &request.group_id,
            Self::DeleteGroup(group_id) => group_id,
        }
    }
}

impl GroupCoordinatorShard {
    pub(super) fn join_group(
        &mut self,
        now: Now,
        rng: &mut dyn RngCore,
        token: Token,
        request: &JoinGroupRequest,
    ) -> Output {
        let known = self.groups.contains_key(request.group_id.as_str());
        let refusal = match validate_join(request, &self.config) {
            Err(error) => Some(error),
            // Only a member without id creates a group.
            Ok(()) if !known && !request.member_id.is_empty() => Some(ErrorCode::UnknownMemberId),
            Ok(()) => None,
        };
        if let Some(error) = refusal {
            let response = JoinGroupResponse::error(error, request.member_id.clone());
            return self.reply(now, token, Response::JoinGroup(response));
        }
        let new_id = new_member_id(rng, request);
        let group = self.group_or_new(&request.group_id);
        let group_id = group.classic.group_id.clone();
        if !known {
            group.classic = ClassicGroup::created_at(group_id.clone(), now.wall);
        }
        let output = self.step(now, &group_id, |group, effects| group.join(request, new_id, token, effects));
        if known { output } else { self.store_new_group(now, &group_id, output) }
    }

    pub(super) fn sync_group(&mut self, now: Now, token: Token, request: SyncGroupRequest) -> Output {
        let group_id = request.group_id.clone();
        match self.known_group(&group_id) {
            Ok(()) => self.step(now, &group_id, |group, effects| group.sync(request, token, effects)),
            Err(error) => self.reply(now, token, Response::SyncGroup(SyncGroupResponse::error(error))),
        }
    }

    pub(super) fn heartbeat(&mut self, now: Now, token: Token, request: &HeartbeatRequest) -> Output {
        match self.known_group(&request.group_id) {
            Ok(()) => self.step(now, &request.group_id, |group, effects| {
                let error = group.heartbeat(request, effects);
                effects.reply(token, Response::Heartbeat(error));
            }),
            Err(error) => self.reply(now, token, Response::Heartbeat(error)),
        }
    }

    pub(super) fn leave_group(&mut self, now: Now, token: Token, request: LeaveGroupRequest) -> Output {
        let group_id = request.group_id.clone();
        match self.known_group(&group_id) {
            Ok(()) => self.step(now, &group_id, |group, effects| {
                let response = group.leave(request, effects);
                effects.reply(token, Response::LeaveGroup(response));
            }),
            // Nobody can be a member of an unknown group: that is each member's error, not the request's.
            Err(error @ ErrorCode::UnknownMemberId) => {
                let members = request.members.into_iter().map(|member| LeaveGroupMemberResponse {
                    member_id: member.member_id,
                    group_instance_id: member.group_instance_id,
                    error,
                });
                let response = LeaveGroupResponse { error: ErrorCode::None, members: members.collect() };
                self.reply(now, token, Response::LeaveGroup(response))
            }
            Err(error) => self.reply(now, token, Response::LeaveGroup(LeaveGroupResponse::error(error))),
        }
    }

    pub(super) fn on_new_group_stored(
        &mut self,
        now: Now,
        group_id: &str,
        replies: Vec<Reply>,
        result: Result<(), ErrorCode>,
    ) -> Output {
        let Err(error) = result else {
            let output = self.step_stored(now, group_id, result, |_, _| ());
            return Output { replies, ..output };
        };
        // A group that is not in the log has never been: refuse whoever waits in it or has just been told its id.
        let mut output =
            self.step(now, group_id, |group, effects| group.refuse_waiting(coordinator_error(error), effects));
        let refused =
            replies.into_iter().map(|reply| Reply { response: reply.response.into_write_failure(error), ..reply });
        output.replies.extend(refused);
        self.remove_group(group_id);
        output
    }

    /// A group exists once its first record is in the log, even if its first member has not joined yet; then a
    /// coordinator that takes over knows that members of the group are none of its own.
    fn store_new_group(&mut self, now: Now, group_id: &Arc<str>, output: Output) -> Output {
        debug_assert!(output.writes.is_empty(), "a group's first join ends no join phase");
        let group = &self.groups[group_id];
        if group.classic.is_unused() {
            // The request was refused; a bad request changes nothing.
            self.remove_group(group_id);
            return output;
        }
        let record = ClassicGroup::created_at(group_id.clone(), now.wall).to_record(&Default::default());
        let pending = PendingWrite::NewGroup { group: group_id.clone(), replies: output.replies };
        self.with_effects(now, |effects| effects.write(vec![record], pending))
    }

    fn known_group(&self, group_id: &str) -> Result<(), ErrorCode> {
        if group_id.is_empty() {
            Err(ErrorCode::InvalidGroupId)
        } else if self.groups.contains_key(group_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }
}

fn validate_join(request: &JoinGroupRequest, config: &GroupConfig) -> Result<(), ErrorCode> {
    let session = config.min_session_timeout_ms..=config.max_session_timeout_ms;
    let id_base = request.group_instance_id.as_deref().unwrap_or(&request.client_id);
    let texts = [&request.group_id, &request.member_id, &request.client_host, &request.protocol_type];
    let names = request.protocols.iter().map(|protocol| &protocol.name);
    if request.group_id.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else if !session.contains(&request.session_timeout_ms) {
        Err(ErrorCode::InvalidSessionTimeout)
    } else if !fits_member_id(id_base)
        || !fits_record(&request.client_id)
        || !texts.into_iter().chain(names).all(|text| fits_record(text))
    {
        Err(ErrorCode::InvalidRequest)
    } else {
        Ok(())
    }
}

/// `<client id or static id>-<random UUID>`
fn new_member_id(rng: &mut dyn RngCore, request: &JoinGroupRequest) -> NewMemberId {
    let mut random = [0; 16];
    rng.fill_bytes(&mut random);
    let uuid = uuid::Builder::from_random_bytes(random).into_uuid();
    let base = request.group_instance_id.as_deref().unwrap_or(&request.client_id);
    NewMemberId(Arc::from(format!("{base}-{uuid}")))
}
