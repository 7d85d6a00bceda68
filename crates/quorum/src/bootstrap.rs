//! How voters form a quorum once, and refuse an emptied disk. The argument for its safety is `docs/adr/0002-bootstrap.md`.
//!
//! A controller that `controller.quorum.voters` does not name forms no quorum: it joins one, and needs nobody's agreement for
//! that, because it has no vote until the voters give it one (`docs/adr/0078-voters-join-and-leave.md`).
//!
//! Transitions of one controller, each durable before its consequences:
//! - fresh -> joined: it is not named;
//! - fresh -> agreed: every voter has told its directory id and the same list of voters, and none has agreed yet;
//! - fresh -> agreed: some voter has agreed on directories that name ours, and they are committed or every voter answered:
//!   take over what it agreed on;
//! - fresh -> refused: some voter has agreed on, or committed, another directory for this node, or there is a quorum without it;
//! - agreed -> agreed: for ever.
//!
//! Only an agreed or joined controller starts Raft.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use highwater_env::rng;
use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, DirectoryId};
use openraft::errors::RaftError;
use rand::Rng as _;

use crate::config::raft_id;
use crate::controller_core::Core;
use crate::credentials::{node_of, sorted_ids};
use crate::raft_types::{RaftId, RaftNode};
use crate::store::{AgreedDirectories, Identity, agreed_from_pb};
use crate::{QuorumConfig, QuorumError};

/// Pause between two rounds of greetings: short, because nothing works before the quorum is formed.
const GREET_PAUSE: Duration = Duration::from_millis(100);
/// Limit for one greeting.
const GREET_DEADLINE: Duration = Duration::from_secs(1);
/// Rounds between two lines in the log that say who is missing: about every ten seconds.
const ROUNDS_PER_LOG_LINE: u32 = 100;

/// What the voters that answered have told.
#[derive(Default)]
struct Round {
    directories: BTreeMap<BrokerId, DirectoryId>,
    agreed: Vec<Said>,
    /// The voters of quorums that exist, and who told.
    formed: Vec<(BrokerId, AgreedDirectories)>,
}

/// What one agreed voter has told.
struct Said {
    directories: AgreedDirectories,
    /// The voter knows the cluster's id, so a majority has committed the directories.
    committed: bool,
}

/// Who this controller is to Raft. Decides, durably, whether it is one of those that form a quorum.
pub(crate) async fn raft_identity(config: &QuorumConfig, identity: &Identity) -> Result<RaftId, QuorumError> {
    let node = config.node_id;
    let forms = identity.agreed().is_some() || config.voter_ids().contains(&node);
    if !identity.has_joined() {
        if forms {
            return Ok(RaftId::founder(node));
        }
        identity.join().await?;
    }
    Ok(RaftId { node, directory: identity.directory_id() })
}

/// Makes sure that this controller may take part in Raft: it joins a quorum, or has agreed with all voters on their directories.
/// May wait for the others for ever.
pub(crate) async fn agree(core: &Arc<Core>) -> Result<(), QuorumError> {
    if !core.raft_id.is_founder() || core.identity.agreed().is_some() {
        return Ok(());
    }
    let mut rounds: u32 = 0;
    loop {
        let round = greet_all(core).await?;
        let ours = core.identity.directory_id();
        let node_id = core.config.node_id;
        let expected = round.agreed.iter().find_map(|said| said.directories.get(&node_id).filter(|id| **id != ours));
        for (peer, voters) in &round.formed {
            match voters.get(&node_id) {
                Some(&expected) if expected != ours => {
                    return Err(QuorumError::ForeignDirectory { node_id, expected, found: ours });
                }
                Some(_) => {}
                None => return Err(QuorumError::NotAVoter { node_id, peer: *peer }),
            }
        }
        if let Some(&expected) = expected {
            return Err(QuorumError::ForeignDirectory { node_id, expected, found: ours });
        }
        let all_answered = round.directories.len() == core.config.voters.len();
        if let Some(said) = round.agreed.iter().find(|said| said.committed || all_answered) {
            tracing::info!(directory = %ours, "joining the quorum that the other voters have agreed on");
            return Ok(core.identity.agree(said.directories.clone()).await?);
        }
        if all_answered {
            tracing::info!(directories = ?round.directories, "all voters are new: forming a quorum");
            return Ok(core.identity.agree(round.directories).await?);
        }
        if rounds.is_multiple_of(ROUNDS_PER_LOG_LINE) {
            let missing: Vec<_> =
                core.config.voter_ids().into_iter().filter(|id| !round.directories.contains_key(id)).collect();
            tracing::info!(?missing, "waiting for all voters, to form a quorum");
        }
        rounds += 1;
        tokio::time::sleep(GREET_PAUSE.mul_f64(rng::get().random_range(0.75..1.25))).await;
    }
}

/// Writes the first entry of an empty log: the membership. The same on every founder, so that it does not matter who does it.
pub(crate) async fn initialize(core: &Core) -> Result<(), QuorumError> {
    let Some(agreed) = core.identity.agreed() else { return Ok(()) };
    let voters: BTreeMap<_, _> = agreed.keys().map(|&node| (RaftId::founder(node), RaftNode::default())).collect();
    match core.raft.initialize(voters).await {
        // Not allowed: the log is not empty. It was initialized before, or the leader was faster.
        Ok(()) | Err(RaftError::APIError(_)) => Ok(()),
        Err(RaftError::Fatal(error)) => Err(QuorumError::Fatal(error.to_string())),
    }
}

/// Says so when the configuration names others than the voters: the membership counts.
pub(crate) fn compare_with_configuration(core: &Core) {
    let voters: BTreeSet<BrokerId> = core.members.voters().into_iter().map(|id| id.node).collect();
    let configured = core.config.voter_ids();
    if voters.is_empty() || voters == configured {
        return;
    }
    tracing::warn!(
        ?voters,
        ?configured,
        "controller.quorum.voters is not the list of voters any more; the voters count, and change by `highwater cluster controller`"
    );
}

async fn greet_all(core: &Arc<Core>) -> Result<Round, QuorumError> {
    let mut round = Round::default();
    round.directories.insert(core.config.node_id, core.identity.directory_id());
    let others = core.config.voters.iter().filter(|voter| voter.id != core.config.node_id);
    let answers = futures::future::join_all(others.map(|voter| greet(core, voter.id))).await;
    for (id, answer) in answers.into_iter().flatten() {
        take(core, id, answer, &mut round)?;
    }
    Ok(round)
}

async fn greet(core: &Arc<Core>, id: BrokerId) -> Option<(BrokerId, pb::GreetResponse)> {
    let mut client = core.peers.raft_client(id)?;
    let request = pb::GreetRequest {
        node: raft_id(core.config.node_id),
        directory: core.identity.directory_id().to_bytes().to_vec().into(),
        voters: sorted_ids(core.config.voter_ids()),
    };
    match tokio::time::timeout(GREET_DEADLINE, client.greet(request)).await {
        Ok(Ok(response)) => Some((id, response.into_inner())),
        Ok(Err(_)) | Err(_) => None,
    }
}

/// Takes one answer into account. An answer that makes no sense counts as none.
fn take(core: &Core, id: BrokerId, answer: pb::GreetResponse, round: &mut Round) -> Result<(), QuorumError> {
    if node_of(answer.node) != Some(id) {
        tracing::warn!(expected = %id, actual = answer.node, "another node answers at the address of a voter");
        return Ok(());
    }
    let formed = agreed_from_pb(&answer.voters_now).unwrap_or_default();
    let committed = !answer.cluster_id.is_empty();
    let ours = sorted_ids(core.config.voter_ids());
    if answer.voters != ours && (formed.is_empty() || !committed) {
        return Err(QuorumError::VotersDiffer { peer: id, theirs: answer.voters, ours });
    }
    if let Some(configured) = &core.config.cluster_id
        && !answer.cluster_id.is_empty()
        && *configured != answer.cluster_id
    {
        return Err(QuorumError::WrongCluster { configured: configured.clone(), found: answer.cluster_id });
    }
    let directory = answer.directory.as_ref().try_into().map(DirectoryId::from_bytes);
    match (directory, agreed_from_pb(&answer.agreed)) {
        (Ok(directory), Ok(agreed)) => {
            round.directories.insert(id, directory);
            if committed && !formed.is_empty() {
                round.formed.push((id, formed));
            }
            if !agreed.is_empty() {
                round.agreed.push(Said { directories: agreed, committed });
            }
        }
        _ => tracing::warn!(node = %id, "a voter's greeting cannot be read"),
    }
    Ok(())
}
