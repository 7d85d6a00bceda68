//! State of a classic group and the questions one can ask it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use highwater_types::{ErrorCode, Timestamp};

use super::rebalance::InitialRebalance;
use crate::consumer_protocol::{CONSUMER_PROTOCOL_TYPE, subscribed_topics};
use crate::effects::Effects;
use crate::member::Member;
use crate::output::{Response, Token};
use crate::schema::{CoordinatorRecord, GroupMetadataValue};
use crate::timers::TimerKey;
use crate::{
    DescribedGroup, GroupState, GroupType, JoinGroupProtocol, JoinGroupResponse, ListedGroup, SyncGroupResponse,
};

/// A classic group. Fields hold what the comment says after each step.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    pub(crate) group_id: Arc<str>,
    /// Moves only as `GroupState::may_become` allows.
    pub(super) state: GroupState,
    /// The state before `state`; tells an initial rebalance from others.
    pub(super) previous_state: GroupState,
    /// When `state` was entered; `None` when an old record did not say.
    pub(super) state_timestamp: Option<Timestamp>,
    /// Grows with each completed join phase.
    pub(super) generation_id: i32,
    /// `None` as long as no member ever joined: a group of plain offsets ("simple group").
    pub(super) protocol_type: Option<String>,
    /// The chosen protocol of this generation; `None` when the group is empty.
    pub(super) protocol_name: Option<String>,
    /// A member; set whenever there are members.
    pub(super) leader: Option<Arc<str>>,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Static id -> member id; exactly the static ones among `members`.
    pub(super) static_members: BTreeMap<String, Arc<str>>,
    /// Ids given out by KIP-394 whose owners have not come back; disjoint from `members`.
    pub(super) pending_members: BTreeSet<Arc<str>>,
    /// Members that got a JoinGroup answer of this generation and have not sent SyncGroup.
    pub(super) pending_sync_members: BTreeSet<Arc<str>>,
    /// How many members support each protocol.
    supported_protocols: BTreeMap<String, usize>,
    /// How many members have a JoinGroup waiting.
    pub(super) awaiting_join: usize,
    /// A member joined during the current delay of the initial rebalance.
    pub(super) new_member_added: bool,
    /// Set in PreparingRebalance out of Empty.
    pub(super) initial_rebalance: Option<InitialRebalance>,
    /// Topics of all members of protocol type `consumer`; `None` when unknown.
    subscribed_topics: Option<BTreeSet<String>>,
}

impl ClassicGroup {
    /// A group of offsets alone: nobody has joined it, and the log does not say since when.
    pub(crate) fn new(group_id: Arc<str>) -> Self {
        Self {
            group_id,
            state: GroupState::Empty,
            previous_state: GroupState::Empty,
            state_timestamp: None,
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_members: BTreeSet::new(),
            pending_sync_members: BTreeSet::new(),
            supported_protocols: BTreeMap::new(),
            awaiting_join: 0,
            new_member_added: false,
            initial_rebalance: None,
            subscribed_topics: None,
        }
    }

    /// A group that its first member is about to join.
    pub(crate) fn created_at(group_id: Arc<str>, now: Timestamp) -> Self {
        Self { state_timestamp: Some(now), ..Self::new(group_id) }
    }

    /// A group read back from the log: Stable with its members, or Empty.
    pub(crate) fn from_record(group_id: Arc<str>, value: GroupMetadataValue) -> Self {
        let mut group = Self::new(group_id);
        group.state = if value.members.is_empty() { GroupState::Empty } else { GroupState::Stable };
        group.generation_id = value.generation;
        group.protocol_type = Some(value.protocol_type).filter(|protocol_type| !protocol_type.is_empty());
        group.state_timestamp = Some(value.current_state_timestamp).filter(|at| *at != Timestamp::NONE);
        for member in value.members {
            group.insert(Member::from_record(member, value.protocol.as_deref()));
        }
        group.protocol_name = value.protocol;
        group.leader = value.leader.map(Arc::from).filter(|leader| group.members.contains_key(leader)).or(group.leader);
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// The record of the group with these assignments (a member without one gets the empty one).
    pub(crate) fn to_record(&self, assignments: &BTreeMap<String, Bytes>) -> CoordinatorRecord {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let assignment = |member: &Member| assignments.get(member.member_id.as_ref()).cloned().unwrap_or_default();
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader.as_deref().map(str::to_owned),
            current_state_timestamp: self.state_timestamp.unwrap_or(Timestamp::NONE),
            members: self.members.values().map(|member| member.to_record(protocol, assignment(member))).collect(),
        };
        CoordinatorRecord::group_metadata(&self.group_id, &value)
    }

    /// The record with the assignments members have now.
    pub(super) fn to_record_as_assigned(&self) -> CoordinatorRecord {
        let own = |member: &Member| (member.member_id.as_ref().to_owned(), member.assignment.clone());
        self.to_record(&self.members.values().map(own).collect())
    }

    pub(crate) const fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn is_in(&self, state: GroupState) -> bool {
        self.state == state
    }

    pub(crate) fn member_count(&self) -> usize {
        self.members.len()
    }

    /// No members, and nobody about to become one.
    pub(crate) fn is_unused(&self) -> bool {
        self.state == GroupState::Empty && self.pending_members.is_empty()
    }

    /// Never had a member.
    pub(crate) const fn is_simple(&self) -> bool {
        self.protocol_type.is_none()
    }

    pub(crate) const fn state_timestamp(&self) -> Option<Timestamp> {
        self.state_timestamp
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn leader_id(&self) -> String {
        self.leader.as_deref().unwrap_or_default().to_owned()
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Whether the topics of the group are known.
    pub(crate) const fn knows_subscribed_topics(&self) -> bool {
        self.subscribed_topics.is_some()
    }

    /// Whether some member reads the topic; a consumer group whose topics are unknown might.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    /// The longest rebalance time-out of the members, in milliseconds.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    pub(super) fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_members.is_empty()
    }

    /// Whether a member with these protocols can be in the group: same type, and one protocol that all others support.
    pub(super) fn supports_protocols(&self, protocol_type: &str, protocols: &[JoinGroupProtocol]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let supported_by_all = |protocol: &JoinGroupProtocol| self.supporters(&protocol.name) == self.members.len();
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(supported_by_all)
    }

    /// The id must be that of a member, and of the member that holds the static id if one is given (KIP-345).
    pub(super) fn validate_member(&self, member_id: &str, group_instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = group_instance_id {
            match self.static_members.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if current.as_ref() != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Adds a member that is not in the group yet.
    pub(super) fn insert(&mut self, member: Member) {
        if let Some(instance) = &member.group_instance_id {
            let previous = self.static_members.insert(instance.clone(), member.member_id.clone());
            assert!(previous.is_none(), "static member {instance} is already in group {}", self.group_id);
        }
        self.count_protocols(&member);
        self.awaiting_join += usize::from(member.awaiting_join.is_some());
        self.pending_members.remove(&member.member_id);
        self.leader.get_or_insert_with(|| member.member_id.clone());
        let previous = self.members.insert(member.member_id.clone(), member);
        assert!(previous.is_none(), "a member joined group {} twice", self.group_id);
    }

    /// Takes a member, or a pending one, out of the group with its deadline; a request of it that waits is answered
    /// UNKNOWN_MEMBER_ID, so that a client that is alive after all joins anew.
    pub(super) fn remove(&mut self, member_id: &str, effects: &mut Effects<'_>) {
        if let Some(mut member) = self.take(member_id) {
            self.answer_join(&mut member, JoinGroupResponse::error(ErrorCode::UnknownMemberId, ""), effects);
            answer_sync(&mut member, SyncGroupResponse::error(ErrorCode::UnknownMemberId), effects);
        }
        let member_id: Arc<str> = Arc::from(member_id);
        self.pending_members.remove(&member_id);
        effects.timers.cancel(&TimerKey::Heartbeat(self.group_id.clone(), member_id));
    }

    /// Takes a member out without answering it. It no longer counts, though its tokens are still its own.
    pub(super) fn take(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        self.uncount_protocols(&member);
        if let Some(instance) = &member.group_instance_id {
            self.static_members.remove(instance);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_sync_members.remove(member_id);
        Some(member)
    }

    /// Replaces what a member said about itself by its new JoinGroup, which now waits.
    pub(super) fn update_member(
        &mut self,
        member_id: &str,
        request: &crate::JoinGroupRequest,
        token: Token,
        effects: &mut Effects<'_>,
    ) {
        let mut member = self.members.remove(member_id).expect("the caller has found the member");
        self.uncount_protocols(&member);
        member.update(request);
        self.count_protocols(&member);
        // A retry of the same client on another connection supersedes the request that waited.
        let superseded = JoinGroupResponse::error(ErrorCode::RebalanceInProgress, member_id);
        self.answer_join(&mut member, superseded, effects);
        member.awaiting_join = Some(token);
        self.awaiting_join += 1;
        self.members.insert(member.member_id.clone(), member);
    }

    /// Answers a member's JoinGroup, if one waits.
    pub(super) fn answer_join(&mut self, member: &mut Member, response: JoinGroupResponse, effects: &mut Effects<'_>) {
        if let Some(token) = member.awaiting_join.take() {
            self.awaiting_join -= 1;
            effects.reply(token, Response::JoinGroup(response));
        }
    }

    /// The generation, which is also the number of rebalances so far.
    pub(crate) fn generation(&self) -> i32 {
        self.generation_id
    }

    /// # Panics
    /// If the move is not legal.
    pub(super) fn transition_to(&mut self, next: GroupState, now: Timestamp) {
        assert!(self.state.may_become(next), "group {} cannot go from {} to {next}", self.group_id, self.state);
        self.previous_state = self.state;
        self.state = next;
        self.state_timestamp = Some(now);
    }

    /// Counts up the generation and chooses its protocol.
    pub(super) fn init_next_generation(&mut self, now: Timestamp) {
        self.generation_id = self.generation_id.wrapping_add(1).max(0);
        self.protocol_name = self.select_protocol();
        self.subscribed_topics = self.compute_subscribed_topics();
        self.pending_sync_members.clear();
        self.initial_rebalance = None;
        let next = if self.members.is_empty() { GroupState::Empty } else { GroupState::CompletingRebalance };
        self.transition_to(next, now);
    }

    /// Each member votes for the first of its protocols that all support; most votes win, and among equals the one the
    /// leader likes best. `None` without members.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let by_all = |name: &&str| self.supporters(name) == self.members.len();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(vote) = member.protocol_names().find(by_all) {
                *votes.entry(vote).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        let leader = self.members.get(self.leader.as_ref()?)?;
        let by_leader = leader.protocol_names().find(|name| votes.get(name) == Some(&most));
        by_leader.map(str::to_owned)
    }

    /// All members as the leader sees them.
    pub(super) fn join_group_members(&self) -> Vec<crate::JoinGroupMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        self.members.values().map(|member| member.as_join_group_member(protocol)).collect()
    }

    pub(crate) fn listed(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.group_id.as_ref().to_owned(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state,
            group_type: GroupType::Classic,
        }
    }

    pub(crate) fn described(&self) -> DescribedGroup {
        let protocol = self.protocol_name.as_deref().filter(|_| self.state == GroupState::Stable);
        DescribedGroup {
            error: ErrorCode::None,
            error_message: None,
            group_id: self.group_id.as_ref().to_owned(),
            state: self.state.name().to_owned(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.unwrap_or_default().to_owned(),
            members: self.members.values().map(|member| member.describe(protocol)).collect(),
        }
    }

    fn supporters(&self, protocol: &str) -> usize {
        self.supported_protocols.get(protocol).copied().unwrap_or(0)
    }

    fn count_protocols(&mut self, member: &Member) {
        for name in member.protocol_names() {
            *self.supported_protocols.entry(name.to_owned()).or_default() += 1;
        }
    }

    fn uncount_protocols(&mut self, member: &Member) {
        for name in member.protocol_names() {
            let count = self.supported_protocols.get_mut(name).expect("every member's protocols are counted");
            *count -= 1;
            if *count == 0 {
                self.supported_protocols.remove(name);
            }
        }
    }

    fn compute_subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        let protocol = self.protocol_name.as_deref();
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.append(&mut subscribed_topics(&member.metadata(protocol?))?);
        }
        Some(topics)
    }
}

/// Answers a member's SyncGroup, if one waits; true if so.
pub(super) fn answer_sync(member: &mut Member, response: SyncGroupResponse, effects: &mut Effects<'_>) -> bool {
    let Some(token) = member.awaiting_sync.take() else { return false };
    if response.error == ErrorCode::None {
        effects.reply_committed(token, Response::SyncGroup(response));
    } else {
        effects.reply(token, Response::SyncGroup(response));
    }
    true
}
