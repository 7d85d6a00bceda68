//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup.

use bytes::Bytes;
use highwater_types::ErrorCode;

/// JoinGroup (API 11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroupRequest {
    /// The group; must not be empty.
    pub group_id: String,
    /// How long the member may stay silent, in milliseconds.
    pub session_timeout_ms: i32,
    /// How long the member may take to rejoin, in milliseconds. Version 0 has no such field: pass the session time-out.
    pub rebalance_timeout_ms: i32,
    /// Empty for a member that has no id yet.
    pub member_id: String,
    /// Static member (KIP-345), version 5 and later.
    pub group_instance_id: Option<String>,
    /// `consumer`, `connect`, ...; a new member must name one.
    pub protocol_type: String,
    /// Assignors by the member's preference, best first, each with the member's subscription.
    pub protocols: Vec<JoinGroupProtocol>,
    /// Client's reason for joining (KIP-800), for logs.
    pub reason: Option<String>,
    /// From the request header; empty when absent.
    pub client_id: String,
    /// `/` and the peer's address, as Kafka shows it.
    pub client_host: String,
    /// Version 4 and later: a new dynamic member must come back with the id it is given (KIP-394).
    pub requires_known_member_id: bool,
    /// Version 9 and later: the leader can be told to skip the assignment (KIP-814).
    pub supports_skip_assignment: bool,
}

/// One protocol a member supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroupProtocol {
    /// Name of the assignor.
    pub name: String,
    /// The member's subscription, opaque except for `consumer` groups.
    pub metadata: Bytes,
}

/// JoinGroup's answer. Versions below 7 cannot carry an absent protocol name: write the empty string there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroupResponse {
    /// `ErrorCode::None` on success.
    pub error: ErrorCode,
    /// Generation of the group, -1 on error.
    pub generation_id: i32,
    /// Protocol type of the group (KIP-559, version 7 and later).
    pub protocol_type: Option<String>,
    /// The protocol chosen for this generation.
    pub protocol_name: Option<String>,
    /// Member id of the leader; empty on error.
    pub leader: String,
    /// True when a static leader that rejoined must not compute a new assignment (KIP-814).
    pub skip_assignment: bool,
    /// The member's id; set too with `MEMBER_ID_REQUIRED`.
    pub member_id: String,
    /// All members with their subscription to the chosen protocol; filled for the leader only.
    pub members: Vec<JoinGroupMember>,
}

/// One member, as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroupMember {
    /// Member id.
    pub member_id: String,
    /// Static id, if it has one.
    pub group_instance_id: Option<String>,
    /// Subscription to the chosen protocol.
    pub metadata: Bytes,
}

impl JoinGroupResponse {
    /// A refusal.
    pub fn error(error: ErrorCode, member_id: impl Into<String>) -> Self {
        Self {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.into(),
            members: Vec::new(),
        }
    }
}

/// SyncGroup (API 14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroupRequest {
    /// The group; must not be empty.
    pub group_id: String,
    /// Generation the member joined.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Static id (version 3 and later).
    pub group_instance_id: Option<String>,
    /// Must equal the group's when present (KIP-559, version 5 and later).
    pub protocol_type: Option<String>,
    /// Must equal the group's when present (KIP-559, version 5 and later).
    pub protocol_name: Option<String>,
    /// The leader's assignments; empty from other members.
    pub assignments: Vec<SyncGroupAssignment>,
}

/// What the leader gives one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroupAssignment {
    /// The member.
    pub member_id: String,
    /// Opaque to the coordinator.
    pub assignment: Bytes,
}

/// SyncGroup's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroupResponse {
    /// `ErrorCode::None` on success.
    pub error: ErrorCode,
    /// Protocol type of the group (version 5 and later).
    pub protocol_type: Option<String>,
    /// Protocol of this generation (version 5 and later).
    pub protocol_name: Option<String>,
    /// The member's assignment.
    pub assignment: Bytes,
}

impl SyncGroupResponse {
    /// A refusal.
    pub const fn error(error: ErrorCode) -> Self {
        Self { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
    }
}

/// Heartbeat (API 12). The answer is an error code only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// The group; must not be empty.
    pub group_id: String,
    /// Generation the member is in.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Static id (version 3 and later).
    pub group_instance_id: Option<String>,
}

/// LeaveGroup (API 13). Versions 0 to 2 name one member: pass one element, and answer that element's error on top level
/// (see [`LeaveGroupResponse::single_member_error`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroupRequest {
    /// The group; must not be empty.
    pub group_id: String,
    /// The members that leave.
    pub members: Vec<LeaveGroupMember>,
}

/// One member that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroupMember {
    /// Member id; empty when an administrator removes a static member by its static id.
    pub member_id: String,
    /// Static id.
    pub group_instance_id: Option<String>,
    /// Client's reason (KIP-800), for logs.
    pub reason: Option<String>,
}

/// LeaveGroup's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroupResponse {
    /// Error of the whole request.
    pub error: ErrorCode,
    /// One answer per member of the request, in its order; empty when `error` is set.
    pub members: Vec<LeaveGroupMemberResponse>,
}

/// One member's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroupMemberResponse {
    /// As in the request.
    pub member_id: String,
    /// As in the request.
    pub group_instance_id: Option<String>,
    /// This member's error.
    pub error: ErrorCode,
}

impl LeaveGroupResponse {
    /// A refusal of the whole request.
    pub const fn error(error: ErrorCode) -> Self {
        Self { error, members: Vec::new() }
    }

    /// The error that versions 0 to 2, which name one member, answer on top level.
    pub fn single_member_error(&self) -> ErrorCode {
        match (self.error, self.members.first()) {
            (ErrorCode::None, Some(member)) => member.error,
            (error, _) => error,
        }
    }
}
