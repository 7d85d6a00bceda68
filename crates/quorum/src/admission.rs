//! The active controller takes a controller that announces itself in, as an observer (`docs/adr/0078-voters-join-and-leave.md`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::CommandError;
use highwater_metadata::NodeSoftware;
use highwater_types::{DirectoryId, ErrorCode};
use openraft::ChangeMembers;
use tokio::time::Instant;

use crate::controller_core::Core;
use crate::members;
use crate::raft_types::{Metrics, RaftId, RaftNode};
use crate::voters::{Change, Hindrance, VotersAnswer};
use crate::wire::MAX_MEMBERS;

/// Limit for the change before an admission, within an announcement's.
const ADMIT_DEADLINE: Duration = Duration::from_secs(1);

/// What a controller tells of itself.
pub(crate) struct Announced {
    pub(crate) id: RaftId,
    pub(crate) node: RaftNode,
    /// Empty when it knows none yet.
    pub(crate) cluster_id: String,
    pub(crate) software: NodeSoftware,
}

/// The active controller takes an observer in.
pub(crate) async fn admit(core: &Arc<Core>, announced: Announced) -> VotersAnswer {
    match try_admit(core, announced).await {
        Ok(()) => VotersAnswer::Done,
        Err(error) => core.refused(error),
    }
}

async fn try_admit(core: &Arc<Core>, announced: Announced) -> Result<(), CommandError> {
    core.check_may_change()?;
    check_fits(core, &announced)?;
    let Announced { id, node, .. } = announced;
    let admitted = core.change_membership(Instant::now() + ADMIT_DEADLINE, |metrics| admission(metrics, id, &node));
    if admitted.await? {
        tracing::info!(controller = %id.node, directory = %id.directory, "a controller follows as an observer");
    }
    Ok(())
}

/// What takes a controller in; `None` if it is there already.
fn admission(metrics: &Metrics, id: RaftId, node: &RaftNode) -> Result<Option<Change>, Hindrance> {
    let membership = &metrics.membership_config;
    let voters = members::voters(membership);
    if let Some(other) = voters.iter().find(|voter| voter.node == id.node && **voter != id) {
        let message = format!(
            "Voter {} has another metadata directory than the {} of this controller. Remove the voter first: `highwater cluster \
             controller remove {}`.",
            other.node,
            announced_directory(id, node),
            other.node
        );
        return Err(CommandError::new(ErrorCode::DuplicateVoter, message).into());
    }
    let known = membership.nodes().find(|(known, _)| **known == id).map(|(_, known)| known);
    // A founder that kept its vote is where the configuration says.
    if known == Some(node) || (known.is_some() && voters.contains(&id) && id.is_founder()) {
        return Ok(None);
    }
    if known.is_none() && membership.nodes().count() >= MAX_MEMBERS - 1 {
        let message = format!("There are {MAX_MEMBERS} controllers already.");
        return Err(CommandError::new(ErrorCode::InvalidRequest, message).into());
    }
    let replaced =
        members::observers(membership).map(|(other, _)| other).filter(|other| other.node == id.node && *other != id);
    let changes = ChangeMembers::Batch(vec![
        ChangeMembers::RemoveNodes(replaced.collect()),
        ChangeMembers::SetNodes(BTreeMap::from([(id, node.clone())])),
    ]);
    Ok(Some(Change { changes, retain: true }))
}

fn announced_directory(id: RaftId, node: &RaftNode) -> DirectoryId {
    if id.is_founder() { node.directory } else { id.directory }
}

/// Whether the controller is of this cluster and can read its log.
fn check_fits(core: &Core, announced: &Announced) -> Result<(), CommandError> {
    let image = core.feed.image();
    if let (Some(ours), theirs) = (image.cluster_id(), announced.cluster_id.as_str())
        && !theirs.is_empty()
        && theirs != ours
    {
        let message = format!("This is cluster {ours}, and the controller is of {theirs}.");
        return Err(CommandError::new(ErrorCode::InconsistentClusterId, message));
    }
    if announced.node.endpoint.is_none() {
        return Err(CommandError::new(ErrorCode::InvalidRequest, "The controller does not say where it listens."));
    }
    match announced.software.first_unknown(&image) {
        None => Ok(()),
        Some((name, level)) => Err(CommandError::new(
            ErrorCode::UnsupportedVersion,
            format!(
                "This cluster has finalized version {level} of feature {name}, which the controller does not know."
            ),
        )),
    }
}
