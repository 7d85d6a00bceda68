//! How voters form a quorum once, and refuse an emptied disk. The argument for its safety is `docs/adr/0002-bootstrap.md`.
//!
//! Transitions of one controller, each durable before its consequences:
//! - fresh -> agreed: every voter has told its directory id and the same list of voters, and none has agreed yet;
//! - fresh -> agreed: some voter has agreed on directories that name ours, and they are committed or every voter answered:
//!   take over what it agreed on;
//! - fresh -> refused: some voter has agreed on, or committed, another directory for this node;
//! - agreed -> agreed: for ever.
//!
//! Only an agreed controller starts Raft.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_env::rng;
use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, DirectoryId};
use openraft::errors::RaftError;
use rand::Rng as _;

use crate::QuorumError;
use crate::config::raft_id;
use crate::controller_core::Core;
use crate::credentials::{node_of, sorted_ids};
use crate::store::{AgreedDirectories, agreed_from_pb};

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
}

/// What one agreed voter has told.
struct Said {
    directories: AgreedDirectories,
    /// The voter knows the cluster's id, so a majority has committed the directories.
    committed: bool,
}

/// Makes sure that this controller has agreed with all voters on their directories. May wait for the others for ever.
pub(crate) async fn agree(core: &Arc<Core>) -> Result<(), QuorumError> {
    if let Some(agreed) = core.identity.agreed() {
        return check_voters(core, &agreed);
    }
    let mut rounds: u32 = 0;
    loop {
        let round = greet_all(core).await?;
        let ours = core.identity.directory_id();
        let node_id = core.config.node_id;
        let expected = round.agreed.iter().find_map(|said| said.directories.get(&node_id).filter(|id| **id != ours));
        if let Some(&expected) = expected {
            return Err(QuorumError::ForeignDirectory { node_id, expected, found: ours });
        }
        let all_answered = round.directories.len() == core.config.voters.len();
        if let Some(said) = round.agreed.iter().find(|said| said.committed || all_answered) {
            check_voters(core, &said.directories)?;
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

/// Writes the first entry of an empty log: the membership. The same on every voter, so that it does not matter who does it.
pub(crate) async fn initialize(core: &Core) -> Result<(), QuorumError> {
    let voters: std::collections::BTreeSet<u64> = core.config.voter_ids().into_iter().map(raft_id).collect();
    match core.raft.initialize(voters).await {
        // Not allowed: the log is not empty. It was initialized before, or the leader was faster.
        Ok(()) | Err(RaftError::APIError(_)) => Ok(()),
        Err(RaftError::Fatal(error)) => Err(QuorumError::Fatal(error.to_string())),
    }
}

fn check_voters(core: &Core, agreed: &AgreedDirectories) -> Result<(), QuorumError> {
    if core.config.voter_ids().iter().eq(agreed.keys()) {
        return Ok(());
    }
    Err(QuorumError::VotersChanged {
        configured: core.config.voter_ids().iter().map(|id| id.0).collect(),
        agreed: agreed.keys().map(|id| id.0).collect(),
    })
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
    let ours = sorted_ids(core.config.voter_ids());
    if answer.voters != ours {
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
            if !agreed.is_empty() {
                let committed = !answer.cluster_id.is_empty();
                round.agreed.push(Said { directories: agreed, committed });
            }
        }
        _ => tracing::warn!(node = %id, "a voter's greeting cannot be read"),
    }
    Ok(())
}
