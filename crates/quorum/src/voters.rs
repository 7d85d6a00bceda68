//! The active controller changes the voters (KIP-853): one change at a time, each through Raft's joint consensus, persisted in
//! its log. The argument for its safety is `docs/adr/0078-voters-join-and-leave.md`.
//!
//! Transitions of one controller:
//! - unknown -> observer: it announces itself (`observer`);
//! - observer -> voter: `VoterChange::Add`, once it has caught up;
//! - voter -> observer: `VoterChange::Remove`; the active controller hands its role over first;
//! - observer -> unknown: it was silent for [`FORGET_AFTER`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{Command, CommandError, RegisterController, VoterChange, VoterKey};
use highwater_metadata::{METADATA_VERSION, MetadataImage, SupportedFeature, VOTERS_LEVEL};
use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, DirectoryId, ErrorCode};
use openraft::ChangeMembers;
use openraft::Instant as _;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::Precondition;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::controller_core::Core;
use crate::credentials::node_of;
use crate::members;
use crate::raft_types::{Metrics, RaftId, RaftNode, TypeConfig};
use crate::session_service::hint_to_pb;
use crate::waiting::until;
use crate::wire::{member_from_pb, member_to_pb, refusal_from_pb, refusal_to_pb};

/// A voter that acknowledged nothing for so long does not count as one that could make up a quorum: ten heartbeats.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);
/// Pause between two looks at whether an observer has come or caught up, or a change has been taken over.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Longest wait for another voter to take over the active role.
pub(crate) const HAND_OVER: Duration = Duration::from_secs(3);
/// How often the active controller looks after what a failed change left behind.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// An observer that acknowledged nothing for so long is forgotten (as in Kafka). It announces itself when it comes back.
const FORGET_AFTER: Duration = Duration::from_secs(300);

/// Why a change that was not begun in time was not.
const UNDER_WAY: &str = "another change of the voters is under way; nothing was changed";

/// The answer to a change, or to an announcement.
pub(crate) enum VotersAnswer {
    Done,
    NotController { leader: Option<BrokerId>, term: u64 },
    Refused(CommandError),
}

/// What is to become of a membership.
pub(crate) struct Change {
    pub(crate) changes: ChangeMembers<RaftId, RaftNode>,
    /// Voters that leave are observers afterwards.
    pub(crate) retain: bool,
}

/// Why there is no change.
pub(crate) enum Hindrance {
    /// It may pass, and nothing was changed so far.
    Passing(String),
    Final(CommandError),
}

impl From<CommandError> for Hindrance {
    fn from(error: CommandError) -> Self {
        Self::Final(error)
    }
}

impl Core {
    /// Changes the voters, if this node is the active controller. Waits for at most `limit`.
    pub(crate) async fn change_voters(self: &Arc<Self>, change: VoterChange, limit: Duration) -> VotersAnswer {
        let changed = async {
            self.check_may_change()?;
            let deadline = Instant::now() + limit;
            match change {
                VoterChange::Add(key) => add(self, key, deadline).await,
                VoterChange::Remove(key) => remove(self, key, deadline).await,
            }
        };
        match tokio::time::timeout(limit + HAND_OVER, changed).await {
            Ok(Ok(())) => VotersAnswer::Done,
            Ok(Err(error)) => self.refused(error),
            Err(_) => self.refused(timed_out("no quorum of controllers confirmed it in time")),
        }
    }

    /// The answer to what was refused. Another controller may decide otherwise: this one need not know yet that Raft has another
    /// leader.
    pub(crate) fn refused(&self, error: CommandError) -> VotersAnswer {
        if error.code != ErrorCode::NotController && self.active_term().is_some() {
            return VotersAnswer::Refused(error);
        }
        let (leader, term) = self.leader_hint();
        VotersAnswer::NotController { leader, term }
    }

    /// Whether this node is active, and every controller understands memberships that change. Returns the term.
    pub(crate) fn check_may_change(&self) -> Result<u64, CommandError> {
        let (term, image) = (self.active_term().ok_or_else(not_active)?, self.feed.image());
        // A new cluster has no levels before its first command is committed.
        image.cluster_id().ok_or_else(not_active)?;
        let level = voters_level(&image);
        if level < VOTERS_LEVEL {
            return Err(CommandError::new(
                ErrorCode::UnsupportedVersion,
                format!("Voters can be changed from level {VOTERS_LEVEL} of {METADATA_VERSION} on; it is {level}."),
            ));
        }
        Ok(term)
    }

    /// Has Raft change the membership as `decide` says over the one that is there, which is committed and not joint. What hinders
    /// it and may pass is waited for until `deadline`; then `decide` decides anew. False if `decide` wants no change.
    pub(crate) async fn change_membership(
        &self,
        deadline: Instant,
        decide: impl Fn(&Metrics) -> Result<Option<Change>, Hindrance>,
    ) -> Result<bool, CommandError> {
        loop {
            match self.try_to_change(deadline, &decide).await {
                Ok(changed) => return Ok(changed),
                Err(Hindrance::Final(error)) => return Err(error),
                Err(Hindrance::Passing(reason)) if Instant::now() >= deadline => return Err(timed_out(&reason)),
                Err(Hindrance::Passing(_)) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    async fn try_to_change(
        &self,
        deadline: Instant,
        decide: impl Fn(&Metrics) -> Result<Option<Change>, Hindrance>,
    ) -> Result<bool, Hindrance> {
        let turn = self.take_turn(deadline).await?;
        let (term, metrics) = (self.check_may_change()?, self.raft_metrics());
        if !is_settled(&metrics) {
            return Err(Hindrance::Passing(UNDER_WAY.to_owned()));
        }
        match decide(&metrics)? {
            Some(change) => self.propose(turn, term, change, &metrics).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// One change at a time. Waits until `deadline` for the one before.
    async fn take_turn(&self, deadline: Instant) -> Result<OwnedMutexGuard<()>, CommandError> {
        let turn = tokio::time::timeout_at(deadline, self.changing_voters.clone().lock_owned());
        turn.await.map_err(|_| timed_out(UNDER_WAY))
    }

    /// Has Raft change the membership, if it is still the one of `metrics`. The change goes on, and has its turn, when nobody waits
    /// for it any more, for as long as this node is active in `term`.
    async fn propose(
        &self,
        turn: OwnedMutexGuard<()>,
        term: u64,
        Change { changes, retain }: Change,
        metrics: &Metrics,
    ) -> Result<(), Hindrance> {
        let raft = self.raft.clone();
        let mut active = self.active.subscribe();
        let last_membership_log_id = *metrics.membership_config.log_id();
        let change = tokio::spawn(async move {
            let _turn = turn;
            let unchanged = Precondition::<TypeConfig>::LastMembershipLogId { last_membership_log_id };
            tokio::select! {
                changed = raft.change_membership_if(changes, retain, [unchanged]) => Some(changed),
                // The next active controller completes what was begun.
                _ = until(&mut active, |active| *active != Some(term)) => None,
            }
        });
        match change.await {
            Ok(Some(Ok(_))) => Ok(()),
            Ok(Some(Err(RaftError::APIError(error)))) => Err(hindrance(&error)),
            Ok(Some(Err(RaftError::Fatal(error)))) => Err(timed_out(&error.to_string()).into()),
            Ok(None) => Err(not_active().into()),
            Err(error) => Err(timed_out(&error.to_string()).into()),
        }
    }
}

/// Whether the newest membership is committed and no change is half done.
fn is_settled(metrics: &Metrics) -> bool {
    is_committed(metrics) && metrics.membership_config.membership().get_joint_config().len() == 1
}

fn is_committed(metrics: &Metrics) -> bool {
    metrics.committed_membership_config.log_id() == metrics.membership_config.log_id()
}

async fn add(core: &Arc<Core>, key: VoterKey, deadline: Instant) -> Result<(), CommandError> {
    let VoterKey { id, directory } = key;
    if id < BrokerId(0) || directory.is_reserved() {
        let message = format!("{id} with directory {directory} cannot be a voter.");
        return Err(CommandError::new(ErrorCode::InvalidRequest, message));
    }
    let target = core.raft_metrics().last_log_index;
    let decide = |metrics: &Metrics| {
        let joining = caught_up(core, key, metrics, target)?;
        let mut voters = members::voters(&metrics.membership_config);
        voters.insert(joining);
        check_quorum(core, metrics, &voters)?;
        Ok(Some(Change { changes: ChangeMembers::AddVoterIds(BTreeSet::from([joining])), retain: true }))
    };
    core.change_membership(deadline, decide).await?;
    tracing::info!(controller = %id, %directory, "a controller has become a voter");
    registered(core, id, true, deadline).await;
    Ok(())
}

/// The observer that is meant, if it has announced itself and has the log up to `target`.
fn caught_up(core: &Core, key: VoterKey, metrics: &Metrics, target: Option<u64>) -> Result<RaftId, Hindrance> {
    let VoterKey { id, directory } = key;
    let Some(found) = look_for(core, key, metrics)? else {
        return Err(Hindrance::Passing(format!(
            "no controller {id} with metadata directory {directory} has announced itself: it must run, with the addresses of the \
             voters in controller.quorum.voters; nothing was changed"
        )));
    };
    let matched = metrics.replication.as_ref().and_then(|all| all.get(&found).cloned().flatten());
    if matched.map(|log_id| log_id.index()) < target {
        return Err(Hindrance::Passing(format!("controller {id} has not caught up; nothing was changed")));
    }
    Ok(found)
}

/// The observer that is meant, if it has announced itself.
fn look_for(core: &Core, key: VoterKey, metrics: &Metrics) -> Result<Option<RaftId>, CommandError> {
    if let Some(voter) = members::voters(&metrics.membership_config).into_iter().find(|voter| voter.node == key.id) {
        let directory = directory_of(core, voter);
        let message = format!("Controller {} is a voter already, with metadata directory {directory}.", key.id);
        return Err(CommandError::new(ErrorCode::DuplicateVoter, message));
    }
    let mut observers = members::observers(&metrics.membership_config).map(|(id, _)| id);
    Ok(observers.find(|id| id.node == key.id && directory_of(core, *id) == key.directory))
}

async fn remove(core: &Arc<Core>, key: VoterKey, deadline: Instant) -> Result<(), CommandError> {
    let decide = |metrics: &Metrics| {
        let mut voters = members::voters(&metrics.membership_config);
        let meant = |voter: &RaftId| voter.node == key.id && directory_of(core, *voter) == key.directory;
        let Some(leaving) = voters.iter().copied().find(meant) else {
            let message = format!("There is no voter {} with metadata directory {}.", key.id, key.directory);
            return Err(CommandError::new(ErrorCode::VoterNotFound, message).into());
        };
        voters.remove(&leaving);
        check_quorum(core, metrics, &voters)?;
        Ok((leaving != core.raft_id).then(|| removal(core, leaving, key.directory, metrics)))
    };
    if !core.change_membership(deadline, decide).await? {
        return hand_over(core).await;
    }
    tracing::info!(controller = %key.id, directory = %key.directory, "a controller is no voter any more");
    registered(core, key.id, false, Instant::now() + HAND_OVER).await;
    Ok(())
}

fn removal(core: &Core, leaving: RaftId, directory: DirectoryId, metrics: &Metrics) -> Change {
    // One that is dead may never come back. If it does, it announces itself.
    let retain = silent_for(core, metrics, leaving) <= ALIVE_WITHIN;
    let removal = ChangeMembers::RemoveVoters(BTreeSet::from([leaving]));
    // The metadata will not name it any more, and only founders know a founder's directory from before.
    let known = RaftNode { endpoint: core.peers.endpoint(leaving.node), directory };
    let changes = match retain && leaving.is_founder() {
        true => ChangeMembers::Batch(vec![ChangeMembers::SetNodes(BTreeMap::from([(leaving, known)])), removal]),
        false => removal,
    };
    Change { changes, retain }
}

/// The active controller is to leave: another one takes over, and is asked again.
async fn hand_over(core: &Core) -> Result<(), CommandError> {
    let stays = || timed_out("no other voter took over the active role; nothing was changed");
    let successor = core.successor().ok_or_else(stays)?;
    let mut active = core.active.subscribe();
    core.raft.trigger().transfer_leader(successor).await.map_err(|_| stays())?;
    let given_up = tokio::time::timeout(HAND_OVER, active.wait_for(Option::is_none)).await.is_ok();
    Err(if given_up {
        CommandError::new(ErrorCode::NotController, "Another controller is active now.")
    } else {
        stays()
    })
}

/// Waits until the metadata say so too. They will in any case, by [`keep`].
async fn registered(core: &Core, id: BrokerId, expected: bool, deadline: Instant) {
    while Instant::now() < deadline && core.feed.image().controller(id).is_some() != expected {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Refuses voters of which there would be no quorum now: the change could not be committed, nor anything after it.
fn check_quorum(core: &Core, metrics: &Metrics, voters: &BTreeSet<RaftId>) -> Result<(), Hindrance> {
    let (alive, all) = (voters.iter().filter(|id| is_alive(core, metrics, **id)).count(), voters.len());
    let needed = all / 2 + 1;
    if alive >= needed && all > 0 {
        return Ok(());
    }
    let message =
        format!("Of the {all} voters that there would be, {needed} must run, and {alive} do. Start the others first.");
    // A new active controller has not heard of everybody yet.
    if all > 0 && core.active_for() < ALIVE_WITHIN {
        return Err(Hindrance::Passing(message));
    }
    Err(CommandError::new(ErrorCode::InvalidRequest, message).into())
}

fn is_alive(core: &Core, metrics: &Metrics, id: RaftId) -> bool {
    id == core.raft_id || heard_ago(metrics, id).is_some_and(|ago| ago <= ALIVE_WITHIN)
}

fn directory_of(core: &Core, id: RaftId) -> DirectoryId {
    let founder = || core.credentials.known_directory(id.node).unwrap_or_default();
    if id.is_founder() { founder() } else { id.directory }
}

/// The commands that make the metadata name the voters, with their addresses and directories, and nobody else. None while the
/// voters are being changed.
pub(crate) fn registrations(core: &Core, image: &MetadataImage, cluster_id: &str) -> Vec<Command> {
    let membership = core.raft_metrics().membership_config;
    if membership.membership().get_joint_config().len() != 1 {
        return Vec::new();
    }
    let voters = members::voters(&membership);
    let mut commands = Vec::new();
    if voters_level(image) >= VOTERS_LEVEL {
        let stays = |id: BrokerId| voters.iter().any(|voter| voter.node == id);
        let gone = image.controllers().map(|known| known.id).filter(|id| !stays(*id));
        commands.extend(gone.map(Command::UnregisterController));
    }
    for &voter in &voters {
        let (id, directory_id) = (voter.node, directory_of(core, voter));
        let Some(endpoint) = core.peers.endpoint(id).filter(|_| !directory_id.is_zero()) else { continue };
        let known = image.controller(id);
        if known.is_some_and(|known| known.endpoint == endpoint && known.directory_id == directory_id) {
            continue;
        }
        if known.is_some_and(|known| known.directory_id != directory_id) {
            commands.push(Command::UnregisterController(id));
        }
        let cluster_id = Some(cluster_id.to_owned());
        commands.push(Command::RegisterController(RegisterController { id, endpoint, directory_id, cluster_id }));
    }
    commands
}

/// While this node is active: ends what a change left half done when its controller was lost, gives its role up if that took its own
/// vote, keeps the metadata in step with the voters, and forgets observers that are gone. Runs for as long as Raft does.
pub(crate) async fn keep(core: &Arc<Core>) {
    loop {
        tokio::select! {
            () = core.voters_changed.notified() => {}
            () = tokio::time::sleep(KEEP_EVERY) => {}
        }
        if core.check_may_change().is_err() {
            continue;
        }
        let image = core.feed.image();
        for command in registrations(core, &image, image.cluster_id().unwrap_or_default()) {
            core.submit_own(command).await;
        }
        let Ok(turn) = core.take_turn(Instant::now()).await else { continue };
        let Ok(term) = core.check_may_change() else { continue };
        let metrics = core.raft_metrics();
        if is_settled(&metrics) && !members::voters(&metrics.membership_config).contains(&core.raft_id) {
            // It completed a change that another one had begun. Brokers look for the active controller among the voters.
            tracing::info!("this controller has no vote any more: another one is to be the active controller");
            let _ = hand_over(core).await;
            continue;
        }
        if let Some(changes) = left_over(core, &metrics)
            && let Err(Hindrance::Passing(reason) | Hindrance::Final(CommandError { message: reason, .. })) =
                core.propose(turn, term, Change { changes, retain: true }, &metrics).await
        {
            tracing::info!(reason, "the voters are looked after later");
        }
    }
}

/// What is to be done about a membership without anybody's asking.
fn left_over(core: &Core, metrics: &Metrics) -> Option<ChangeMembers<RaftId, RaftNode>> {
    if !is_committed(metrics) {
        return None;
    }
    if !is_settled(metrics) {
        tracing::info!("completing a change of the voters");
        return Some(ChangeMembers::AddVoterIds(BTreeSet::new()));
    }
    let silent: BTreeSet<RaftId> = silent_observers(core, metrics).collect();
    (!silent.is_empty()).then_some(ChangeMembers::RemoveNodes(silent))
}

/// Observers that were not heard of for so long, in all of this node's time as the active controller.
fn silent_observers<'a>(core: &'a Core, metrics: &'a Metrics) -> impl Iterator<Item = RaftId> + 'a {
    let observers = members::observers(&metrics.membership_config).map(|(id, _)| id);
    observers.filter(|id| silent_for(core, metrics, *id) > FORGET_AFTER)
}

/// How long a member was not heard of, at most for as long as this node has been the active controller.
fn silent_for(core: &Core, metrics: &Metrics, id: RaftId) -> Duration {
    heard_ago(metrics, id).unwrap_or_else(|| core.active_for())
}

fn heard_ago(metrics: &Metrics, id: RaftId) -> Option<Duration> {
    let heard = metrics.heartbeat.as_ref()?.get(&id).cloned().flatten()?;
    Some(heard.into_inner().elapsed())
}

fn voters_level(image: &MetadataImage) -> i16 {
    SupportedFeature::find(METADATA_VERSION).map_or(0, |feature| feature.level(image))
}

fn timed_out(reason: &str) -> CommandError {
    CommandError::new(ErrorCode::RequestTimedOut, reason)
}

fn not_active() -> CommandError {
    CommandError::new(ErrorCode::NotController, "This is not the active controller.")
}

/// Why Raft did not make a change.
fn hindrance(error: &ClientWriteError<TypeConfig>) -> Hindrance {
    match error {
        // Raft looks at these before it does anything: the membership is another one by now, or is about to be.
        ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))
        | ClientWriteError::PreconditionFailed(_) => Hindrance::Passing(UNDER_WAY.to_owned()),
        ClientWriteError::ForwardToLeader(_) => not_active().into(),
        ClientWriteError::LogEntryDiscarded(_) => {
            timed_out("the active controller changed; the outcome is unknown").into()
        }
        other => timed_out(&other.to_string()).into(),
    }
}

pub(crate) fn change_to_pb(change: VoterChange) -> pb::change_voters_request::Change {
    use pb::change_voters_request::Change;
    let member = |key: VoterKey| member_to_pb(RaftId { node: key.id, directory: key.directory }, &RaftNode::default());
    match change {
        VoterChange::Add(key) => Change::Add(member(key)),
        VoterChange::Remove(key) => Change::Remove(member(key)),
    }
}

/// `None` for a change that names no node or no directory.
pub(crate) fn change_from_pb(change: Option<pb::change_voters_request::Change>) -> Option<VoterChange> {
    use pb::change_voters_request::Change;
    let key = |member: pb::Member| {
        let (id, _) = member_from_pb(member).ok()?;
        Some(VoterKey { id: id.node, directory: id.directory })
    };
    Some(match change? {
        Change::Add(member) => VoterChange::Add(key(member)?),
        Change::Remove(member) => VoterChange::Remove(key(member)?),
    })
}

pub(crate) fn answer_to_pb(answer: VotersAnswer) -> pb::VotersResponse {
    use pb::voters_response::Result as Answer;
    let result = match answer {
        VotersAnswer::Done => Answer::Done(pb::Blank {}),
        VotersAnswer::NotController { leader, term } => Answer::NotController(hint_to_pb(leader, term)),
        VotersAnswer::Refused(error) => Answer::Refused(refusal_to_pb(&error)),
    };
    pb::VotersResponse { result: Some(result) }
}

pub(crate) fn answer_from_pb(response: pb::VotersResponse) -> Option<VotersAnswer> {
    use pb::voters_response::Result as Answer;
    Some(match response.result? {
        Answer::Done(_) => VotersAnswer::Done,
        Answer::NotController(hint) => {
            VotersAnswer::NotController { leader: hint.leader.and_then(node_of), term: hint.term }
        }
        Answer::Refused(refused) => VotersAnswer::Refused(refusal_from_pb(refused)),
    })
}
