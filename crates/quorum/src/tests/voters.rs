//! Controllers join, get a vote, and lose it (docs/adr/0078-voters-join-and-leave.md).

use std::collections::BTreeSet;

use highwater_controller::{QuorumDescription, VoterChange, VoterKey};
use highwater_metadata::{FeatureRange, METADATA_VERSION, VOTERS_LEVEL};
use highwater_types::ErrorCode;

use openraft::ChangeMembers;

use super::*;
use crate::members;
use crate::raft_types::Metrics;
use crate::voters::Change;

impl Cluster {
    /// A new machine, which knows the addresses of the founders, starts.
    pub(super) fn join(&mut self, id: i32) {
        let mut machine = Machine::new(id, &self.runtime);
        machine.joins = true;
        self.machines.insert(BrokerId(id), machine);
        self.start(id).unwrap();
    }

    pub(super) fn key(&self, id: i32) -> VoterKey {
        VoterKey { id: BrokerId(id), directory: self.controller(BrokerId(id)).directory_id() }
    }

    pub(super) fn change(&self, change: VoterChange) -> Result<(), CommandError> {
        self.runtime.block_on(self.client().change_voters(change, Duration::from_secs(10)))
    }

    pub(super) fn add(&self, id: i32) -> Result<(), CommandError> {
        self.change(VoterChange::Add(self.key(id)))
    }

    fn remove(&self, id: i32) -> Result<(), CommandError> {
        self.change(VoterChange::Remove(self.key(id)))
    }

    pub(super) fn hand_over_to(&self, id: i32) {
        let successor = self.controller(BrokerId(id));
        let raft = self.controller(self.active()).core().raft.clone();
        let id = successor.core().raft_id;
        self.within_patience(async { raft.trigger().transfer_leader(id).await }).unwrap();
        self.eventually("the successor leads", || successor.is_active().then_some(()));
    }

    pub(super) fn described(&self) -> QuorumDescription {
        self.runtime.block_on(self.client().describe_quorum()).unwrap()
    }

    /// Waits until Raft and the metadata of all running nodes name exactly these voters.
    pub(super) fn voters_are(&self, expected: &[i32]) {
        let expected: BTreeSet<BrokerId> = expected.iter().copied().map(BrokerId).collect();
        self.eventually(&format!("voters {expected:?}"), || {
            let agrees = |process: &Process| {
                let membership = process.controller.core().raft_metrics().membership_config;
                let configs = membership.membership().get_joint_config().len();
                let voters: BTreeSet<BrokerId> = members::voters(&membership).into_iter().map(|id| id.node).collect();
                let image = process.controller.image();
                let registered: BTreeSet<BrokerId> = image.controllers().map(|known| known.id).collect();
                configs == 1 && voters == expected && registered == expected
            };
            self.processes.values().all(agrees).then_some(())
        });
    }

    pub(super) fn observer(&self, id: i32) {
        let deadline = Instant::now() + PATIENCE;
        while self.described().observers.iter().all(|one| one.id.0 != id) {
            assert!(Instant::now() < deadline, "{id} is no observer");
            self.sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn works(&self, number: u32) {
        self.submit(&self.client(), set_config(number)).unwrap();
    }

    /// Whether a command can be committed while only these nodes run.
    fn is_stuck(&self) -> bool {
        let limit = Duration::from_millis(2500);
        self.runtime.block_on(self.client().submit_within(set_config(9999), limit)).is_err()
    }
}

/// Whether a controller's newest membership is one in which a change is under way.
fn is_changing(controller: &ControllerNode) -> bool {
    controller.core().raft_metrics().membership_config.membership().get_joint_config().len() > 1
}

/// Whether the membership that it knows is committed.
fn is_settled(controller: &ControllerNode) -> bool {
    let metrics = controller.core().raft_metrics();
    metrics.last_applied >= *metrics.membership_config.log_id()
}

fn code(result: Result<(), CommandError>) -> ErrorCode {
    result.expect_err("a refusal").code
}

#[test]
fn three_become_five_and_three_again() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.join(4);
    cluster.observer(4);
    cluster.add(4).unwrap();
    cluster.join(5);
    cluster.add(5).unwrap();
    cluster.voters_are(&[1, 2, 3, 4, 5]);
    let described = cluster.described();
    let directory = |id: i32| described.voters.iter().find(|voter| voter.id.0 == id).unwrap().directory;
    assert!((1..=5).all(|id| directory(id) == Some(cluster.key(id).directory)));
    // Five bear the loss of two, and of two founders.
    cluster.kill(BrokerId(1));
    cluster.kill(BrokerId(2));
    cluster.active();
    cluster.works(1);
    cluster.start(1).unwrap();
    cluster.start(2).unwrap();
    cluster.works(2);
    cluster.voters_are(&[1, 2, 3, 4, 5]);
    // Of whom the active controller is one.
    let first = cluster.active().0;
    cluster.remove(first).unwrap();
    let second = cluster.active().0;
    assert_ne!(first, second);
    cluster.remove(second).unwrap();
    let left: Vec<i32> = (1..=5).filter(|id| ![first, second].contains(id)).collect();
    cluster.voters_are(&left);
    cluster.observer(first);
    // They bear the loss of one, and those that left have no vote.
    cluster.kill(BrokerId(left[0]));
    cluster.active();
    cluster.works(3);
    cluster.kill(BrokerId(left[1]));
    assert!(cluster.is_stuck());
}

#[test]
fn an_emptied_voter_has_no_vote_until_it_is_removed_and_added() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.works(1);
    let lost = cluster.key(3);
    cluster.kill(BrokerId(3));
    let machine = cluster.machines.get_mut(&BrokerId(3)).unwrap();
    machine.empty_disk();
    machine.joins = true;
    cluster.start(3).unwrap();
    assert_eq!(code(cluster.add(3)), ErrorCode::DuplicateVoter);
    assert_eq!(code(cluster.remove(3)), ErrorCode::VoterNotFound, "the directory of the voter is another one");
    let other = cluster.ids().into_iter().find(|&id| id != cluster.active() && id != BrokerId(3)).unwrap();
    cluster.kill(other);
    assert!(cluster.is_stuck(), "one voter and an emptied one are no quorum");
    cluster.start(other.0).unwrap();
    cluster.works(2);
    cluster.change(VoterChange::Remove(lost)).unwrap();
    cluster.observer(3);
    assert!(!cluster.controller(BrokerId(3)).is_voter());
    cluster.kill(other);
    assert!(cluster.is_stuck(), "nor is one voter with an observer");
    cluster.start(other.0).unwrap();
    cluster.add(3).unwrap();
    cluster.voters_are(&[1, 2, 3]);
    cluster.kill(other);
    cluster.active();
    cluster.works(3);
    assert_eq!(configured(&cluster.converged(MetadataOffset(5))), Some(3));
}

#[test]
fn an_emptied_voter_that_had_joined_is_another_controller() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.join(4);
    cluster.add(4).unwrap();
    cluster.remove(3).unwrap();
    cluster.voters_are(&[1, 2, 4]);
    let lost = cluster.key(4);
    cluster.kill(BrokerId(4));
    cluster.machines.get_mut(&BrokerId(4)).unwrap().empty_disk();
    cluster.start(4).unwrap();
    assert_ne!(cluster.key(4), lost);
    let other = if cluster.active() == BrokerId(1) { BrokerId(2) } else { BrokerId(1) };
    cluster.kill(other);
    assert!(cluster.is_stuck(), "what is left of the voters are one and an emptied one");
    cluster.start(other.0).unwrap();
    cluster.works(1);
    cluster.change(VoterChange::Remove(lost)).unwrap();
    cluster.add(4).unwrap();
    cluster.voters_are(&[1, 2, 4]);
}

#[test]
fn a_change_that_one_controller_left_half_done_is_completed() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.works(0);
    let active = cluster.active();
    let others: Vec<BrokerId> = cluster.ids().into_iter().filter(|id| *id != active).collect();
    let (leaving, away) = (others[0], others[1]);
    cluster.kill(away);
    // Straight to Raft, which does not ask whether there would be a quorum. There is none, so that the change stays half done, known
    // to the one that makes it and the one that leaves.
    let core = cluster.controller(active).core().clone();
    let leaves = BTreeSet::from([cluster.controller(leaving).core().raft_id]);
    cluster.processes[&active].runtime.spawn(async move {
        let removal = |_: &Metrics| {
            let changes = ChangeMembers::RemoveVoters(leaves.clone());
            Ok(Some(Change { changes, retain: true }))
        };
        core.change_membership(Instant::now() + PATIENCE, removal).await
    });
    cluster.eventually("a change", || is_changing(cluster.controller(leaving)).then_some(()));
    cluster.kill(active);
    cluster.start(away.0).unwrap();
    assert!(cluster.is_stuck(), "of the two that will be left, one is needed in any case, and it is dead");
    cluster.start(active.0).unwrap();
    let mut left = [active.0, away.0];
    left.sort_unstable();
    cluster.voters_are(&left);
    cluster.works(1);
    cluster.observer(leaving.0);
}

#[test]
fn one_that_joined_leads_after_its_restart_at_another_address() {
    let mut cluster = Cluster::started([1]);
    cluster.join(2);
    cluster.add(2).unwrap();
    cluster.remove(1).unwrap();
    cluster.voters_are(&[2]);
    cluster.kill(BrokerId(2));
    let elsewhere = Machine::new(2, &cluster.runtime);
    let machine = cluster.machines.get_mut(&BrokerId(2)).unwrap();
    (machine.voter, machine.listener) = (elsewhere.voter, elsewhere.listener);
    cluster.start(2).unwrap();
    assert_eq!(cluster.active(), BrokerId(2));
    cluster.works(1);
    let moved = cluster.machines[&BrokerId(2)].voter.endpoint.clone();
    // Node 1 is configured to be alone. It follows the one that it does not find in its configuration.
    cluster.eventually("the new address", || {
        let knows =
            |one: &Process| one.controller.image().controller(BrokerId(2)).is_some_and(|two| two.endpoint == moved);
        cluster.processes.values().all(knows).then_some(())
    });
    cluster.voters_are(&[2]);
}

#[test]
fn one_that_joined_knows_the_founder_that_it_takes_the_vote_from() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.join(4);
    cluster.add(4).unwrap();
    cluster.voters_are(&[1, 2, 3, 4]);
    cluster.hand_over_to(4);
    cluster.remove(2).unwrap();
    cluster.observer(2);
    let described = cluster.described();
    let two = described.observers.iter().find(|one| one.id == BrokerId(2)).unwrap();
    assert_eq!(two.directory, Some(cluster.key(2).directory));
    cluster.add(2).unwrap();
    cluster.voters_are(&[1, 2, 3, 4]);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.works(0);
    let unknown = VoterKey { id: BrokerId(9), directory: DirectoryId::from_random(9) };
    assert_eq!(code(cluster.change(VoterChange::Remove(unknown))), ErrorCode::VoterNotFound);
    let elsewhere = VoterKey { directory: DirectoryId::from_random(9), ..cluster.key(2) };
    assert_eq!(code(cluster.change(VoterChange::Remove(elsewhere))), ErrorCode::VoterNotFound);
    assert_eq!(code(cluster.add(2)), ErrorCode::DuplicateVoter);
    let reserved = VoterKey { directory: DirectoryId::LOST, ..unknown };
    assert_eq!(code(cluster.change(VoterChange::Add(reserved))), ErrorCode::InvalidRequest);
    let soon = Duration::from_millis(300);
    let absent = cluster.runtime.block_on(cluster.client().change_voters(VoterChange::Add(unknown), soon));
    assert_eq!(code(absent), ErrorCode::RequestTimedOut);
    cluster.join(4);
    cluster.observer(4);
    let other_disk = VoterKey { directory: DirectoryId::from_random(9), ..cluster.key(4) };
    let refused =
        cluster.runtime.block_on(cluster.client().change_voters(VoterChange::Add(other_disk), soon)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::RequestTimedOut);
    assert!(refused.message.contains("has announced itself"), "{refused}");
    let behind = VoterChange::Add(cluster.key(4));
    cluster.kill(BrokerId(4));
    cluster.works(2);
    let refused = cluster.runtime.block_on(cluster.client().change_voters(behind, soon)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::RequestTimedOut);
    assert!(refused.message.contains("has not caught up"), "{refused}");
    // Two of three run: without one of the two there would be no quorum of the two that were left.
    let others: Vec<i32> = [1, 2, 3].into_iter().filter(|&id| BrokerId(id) != cluster.active()).collect();
    cluster.kill(BrokerId(others[0]));
    cluster.sleep(Duration::from_millis(2500));
    assert_eq!(code(cluster.remove(others[1])), ErrorCode::InvalidRequest);
    cluster.start(others[0]).unwrap();
    cluster.works(1);
    cluster.voters_are(&[1, 2, 3]);
}

#[test]
fn the_last_voter_stays() {
    let cluster = Cluster::started([1]);
    cluster.works(0);
    assert_eq!(code(cluster.remove(1)), ErrorCode::InvalidRequest);
    cluster.works(1);
}

#[test]
fn one_voter_becomes_three_and_is_replaced() {
    let mut cluster = Cluster::started([1]);
    for id in [2, 3] {
        cluster.join(id);
        cluster.add(id).unwrap();
    }
    let lost = cluster.key(1);
    cluster.voters_are(&[1, 2, 3]);
    cluster.kill(BrokerId(1));
    cluster.active();
    cluster.sleep(Duration::from_secs(2));
    cluster.change(VoterChange::Remove(lost)).unwrap();
    assert!(cluster.described().observers.is_empty(), "who is dead does not follow");
    // It comes back with an empty log, in which the first membership is itself alone. The founders it is told of are the others.
    for id in [2, 3] {
        cluster.machines.get_mut(&BrokerId(id)).unwrap().joins = false;
    }
    let machine = cluster.machines.get_mut(&BrokerId(1)).unwrap();
    machine.empty_disk();
    machine.joins = true;
    cluster.start(1).unwrap();
    cluster.observer(1);
    cluster.add(1).unwrap();
    cluster.voters_are(&[1, 2, 3]);
    cluster.works(1);
}

#[test]
fn voters_do_not_change_below_their_level() {
    let mut cluster = Cluster::new([1]);
    let range = FeatureRange { min: 1, max: VOTERS_LEVEL - 1 };
    cluster.software.features.insert(METADATA_VERSION.to_owned(), range);
    cluster.start(1).unwrap();
    cluster.active();
    cluster.software = NodeSoftware::of_this_build();
    cluster.join(2);
    assert_eq!(code(cluster.add(2)), ErrorCode::UnsupportedVersion);
    assert!(cluster.described().observers.is_empty());
}

#[test]
fn the_voters_are_those_in_the_log_after_all_lose_power() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.join(4);
    cluster.add(4).unwrap();
    cluster.remove(1).unwrap();
    cluster.voters_are(&[2, 3, 4]);
    cluster.lose_power();
    for id in 1..=4 {
        cluster.start(id).unwrap();
    }
    cluster.active();
    cluster.voters_are(&[2, 3, 4]);
    for id in [2, 3] {
        cluster.kill(BrokerId(id));
    }
    assert!(cluster.is_stuck(), "node 1 is in everybody's configuration, and has no vote");
}

#[test]
fn a_change_survives_the_loss_of_the_active_controller() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.join(4);
    cluster.observer(4);
    for round in 0..6_u64 {
        let key = cluster.key(4);
        let (change, done) = match round % 2 {
            0 => (VoterChange::Add(key), ErrorCode::DuplicateVoter),
            _ => (VoterChange::Remove(key), ErrorCode::VoterNotFound),
        };
        let client = cluster.client();
        let active = cluster.active();
        let asked = cluster.runtime.spawn(async move { client.change_voters(change, Duration::from_secs(5)).await });
        let controller = cluster.controller(active);
        cluster.eventually("a change", || (is_changing(controller) || asked.is_finished()).then_some(()));
        cluster.sleep(Duration::from_millis(round / 2));
        cluster.kill(active);
        let _ = cluster.within_patience(asked).unwrap();
        cluster.start(active.0).unwrap();
        loop {
            match cluster.change(change) {
                Ok(()) => break,
                Err(error) if error.code == done => break,
                Err(error) => assert_eq!(error.code, ErrorCode::RequestTimedOut, "{error}"),
            }
        }
        let voters: &[i32] = if round % 2 == 0 { &[1, 2, 3, 4] } else { &[1, 2, 3] };
        cluster.voters_are(voters);
        cluster.works(u32::try_from(round).unwrap());
    }
}

#[test]
fn changes_at_once_happen_one_after_the_other() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.join(4);
    cluster.join(5);
    cluster.observer(4);
    cluster.observer(5);
    let changes =
        [VoterChange::Add(cluster.key(4)), VoterChange::Add(cluster.key(5)), VoterChange::Remove(cluster.key(3))];
    let client = cluster.client();
    let outcomes = cluster.runtime.block_on(async {
        let asked = changes.map(|change| client.change_voters(change, Duration::from_secs(10)));
        futures::future::join_all(asked).await
    });
    let mut voters: Vec<i32> = vec![1, 2, 3];
    for (change, outcome) in changes.into_iter().zip(outcomes) {
        match (change, outcome) {
            (VoterChange::Add(key), Ok(())) => voters.push(key.id.0),
            (VoterChange::Remove(key), Ok(())) => voters.retain(|id| *id != key.id.0),
            (_, Err(error)) => assert_eq!(error.code, ErrorCode::RequestTimedOut, "{error}"),
        }
    }
    cluster.voters_are(&voters);
}

#[test]
fn a_change_waits_for_one_that_raft_has_begun() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.join(4);
    cluster.observer(4);
    let active = cluster.active();
    let others: Vec<BrokerId> = [1, 2, 3].map(BrokerId).into_iter().filter(|id| *id != active).collect();
    let (leaving, away) = (others[0], others[1]);
    // Raft begins no change before the last one is committed: here that the fourth observes.
    cluster.eventually("an end of the last change", || is_settled(cluster.controller(active)).then_some(()));
    cluster.kill(away);
    // Begun by nobody who has a turn, and held up: of the two that will be left, one is dead.
    let raft = cluster.controller(active).core().raft.clone();
    let leaves = BTreeSet::from([cluster.controller(leaving).core().raft_id]);
    cluster.processes[&active]
        .runtime
        .spawn(async move { raft.change_membership(ChangeMembers::RemoveVoters(leaves), true).await });
    cluster.eventually("a change", || is_changing(cluster.controller(active)).then_some(()));
    let (client, add) = (cluster.client(), VoterChange::Add(cluster.key(4)));
    let asked = cluster.runtime.spawn(async move { client.change_voters(add, PATIENCE).await });
    cluster.sleep(Duration::from_millis(300));
    assert!(!asked.is_finished());
    cluster.start(away.0).unwrap();
    cluster.within_patience(asked).unwrap().unwrap();
    let mut left = [active.0, away.0, 4];
    left.sort_unstable();
    cluster.voters_are(&left);
    cluster.works(1);
}

#[test]
fn an_active_controller_that_completes_the_loss_of_its_own_vote_gives_its_role_up() {
    let cluster = Cluster::started([1, 2, 3]);
    cluster.works(0);
    let active = cluster.active();
    let controller = cluster.controller(active);
    // Straight to Raft, as if another one had begun it: this one would have handed its role over first.
    let leaves = BTreeSet::from([controller.core().raft_id]);
    cluster
        .within_patience(controller.core().raft.change_membership(ChangeMembers::RemoveVoters(leaves), true))
        .unwrap();
    cluster.eventually("it is active no more", || (!controller.is_active()).then_some(()));
    assert_ne!(cluster.active(), active);
    assert!(!controller.is_voter());
    let left: Vec<i32> = [1, 2, 3].into_iter().filter(|id| *id != active.0).collect();
    cluster.voters_are(&left);
    cluster.works(1);
    cluster.observer(active.0);
}
