//! A member of a classic group.

use std::sync::Arc;

use bytes::Bytes;

use crate::output::Token;
use crate::schema::MemberMetadata;
use crate::{DescribedMember, JoinGroupMember, JoinGroupProtocol, JoinGroupRequest};

/// A member. At most one of its requests waits: JoinGroup in PreparingRebalance, SyncGroup in CompletingRebalance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) member_id: Arc<str>,
    pub(crate) group_instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// Best first; names are unique.
    protocols: Vec<JoinGroupProtocol>,
    pub(crate) assignment: Bytes,
    /// Has not got a JoinGroup answer yet: it cannot send heartbeats, so its deadline counts even while it waits.
    pub(crate) is_new: bool,
    pub(crate) awaiting_join: Option<Token>,
    pub(crate) awaiting_sync: Option<Token>,
}

impl Member {
    pub(crate) fn new(member_id: Arc<str>, request: &JoinGroupRequest) -> Self {
        Self {
            member_id,
            group_instance_id: request.group_instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: unique_protocols(&request.protocols),
            assignment: Bytes::new(),
            is_new: true,
            awaiting_join: None,
            awaiting_sync: None,
        }
    }

    /// A member read back from the log: it supports the one protocol that was chosen.
    pub(crate) fn from_record(value: MemberMetadata, protocol: Option<&str>) -> Self {
        let protocol =
            protocol.map(|name| JoinGroupProtocol { name: name.to_owned(), metadata: value.subscription.clone() });
        let rebalance_timeout_ms =
            if value.rebalance_timeout_ms == -1 { value.session_timeout_ms } else { value.rebalance_timeout_ms };
        Self {
            member_id: Arc::from(value.member_id),
            group_instance_id: value.group_instance_id,
            client_id: value.client_id,
            client_host: value.client_host,
            rebalance_timeout_ms,
            session_timeout_ms: value.session_timeout_ms,
            protocols: protocol.into_iter().collect(),
            assignment: value.assignment,
            is_new: false,
            awaiting_join: None,
            awaiting_sync: None,
        }
    }

    pub(crate) fn to_record(&self, protocol: &str, assignment: Bytes) -> MemberMetadata {
        MemberMetadata {
            member_id: self.member_id.as_ref().to_owned(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }

    /// Takes over what a repeated JoinGroup says. The caller keeps the group's count of protocols in step.
    pub(crate) fn update(&mut self, request: &JoinGroupRequest) {
        self.protocols = unique_protocols(&request.protocols);
        self.rebalance_timeout_ms = request.rebalance_timeout_ms;
        self.session_timeout_ms = request.session_timeout_ms;
    }

    pub(crate) const fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// Whether silence is fine now: a member whose request waits here cannot send heartbeats. One that is new can
    /// still be expired, or retries of a client that gave up would pile up.
    pub(crate) const fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// Whether the request repeats the protocols of the last one, in the same order and with the same subscriptions.
    pub(crate) fn matches(&self, protocols: &[JoinGroupProtocol]) -> bool {
        self.protocols == unique_protocols(protocols)
    }

    pub(crate) fn protocol_names(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().map(|protocol| protocol.name.as_str())
    }

    /// Subscription to a protocol; empty when the member does not support it.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|candidate| candidate.name == protocol);
        found.map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }

    pub(crate) fn as_join_group_member(&self, protocol: &str) -> JoinGroupMember {
        JoinGroupMember {
            member_id: self.member_id.as_ref().to_owned(),
            group_instance_id: self.group_instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }

    /// The subscription is shown only when `protocol` is given (state Stable).
    pub(crate) fn describe(&self, protocol: Option<&str>) -> DescribedMember {
        DescribedMember {
            member_id: self.member_id.as_ref().to_owned(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: protocol.map(|protocol| self.metadata(protocol)).unwrap_or_default(),
            assignment: self.assignment.clone(),
        }
    }
}

/// The first of each name, so that a hostile list cannot vote twice.
fn unique_protocols(protocols: &[JoinGroupProtocol]) -> Vec<JoinGroupProtocol> {
    let mut seen = std::collections::BTreeSet::new();
    protocols.iter().filter(|protocol| seen.insert(protocol.name.as_str())).cloned().collect()
}
