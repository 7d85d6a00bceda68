//! A broken connection to the leader starts an election at once, instead of after a time-out.
//!
//! Each follower holds a stream open to its leader. When it breaks and the leader cannot be dialled again, the follower
//! 1. gives up its own leader lease (it would otherwise refuse pre-votes, its own included, for up to two seconds), and
//! 2. asks for pre-votes.
//!
//! Why this cannot hurt a healthy leader: a pre-vote needs a quorum, and a voter that still hears the leader holds its lease
//! and refuses; so does a leader that a quorum still acknowledges. A follower that alone lost its connection gets nowhere,
//! and no term changes. The vote that follows is a normal one, under Raft's rules.

use std::sync::Arc;
use std::time::Duration;

use highwater_env::rng;
use highwater_rpc::metadata::software_to_message;
use highwater_rpc::pb::quorum as pb;
use highwater_types::BrokerId;
use openraft::async_runtime::WatchReceiver as _;
use openraft::raft::TransferLeaderRequest;
use rand::Rng as _;

use crate::config::{broker_id, raft_id};
use crate::controller_core::Core;
use crate::raft_types::Vote;

/// Limit for dialling the leader again. A process that runs accepts within a round trip; a host that is gone is left to the
/// election time-out, which is not much longer than any limit that would be safe here.
const REDIAL_DEADLINE: Duration = Duration::from_millis(250);
/// Limit for opening the watch.
const OPEN_DEADLINE: Duration = Duration::from_secs(1);
/// Rounds of pre-votes in one suspicion. The others may notice a little later than we do; after these the election time-out
/// takes over.
const ROUNDS: u32 = 10;
/// Pause between two rounds.
const ROUND_PAUSE: Duration = Duration::from_millis(60);
/// How much later each further voter asks, so that they do not split the votes: a few round trips and flushes.
const RANK_DELAY: Duration = Duration::from_millis(25);
/// Time for a leader, if there is one, to be heard of after a start: its next heartbeat, and a little more.
const START_PAUSE: Duration = Duration::from_millis(250);
/// Pause before the leader is watched again after an attempt that led to nothing.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// After a start of the whole cluster nobody leads: do not wait for the election time-out to find that out. Where there is a
/// leader, pre-votes are refused and nothing happens.
pub(crate) async fn campaign_at_start(core: &Core) {
    tokio::time::sleep(START_PAUSE + RANK_DELAY * rank(core, core.config.node_id)).await;
    for _ in 0..ROUNDS {
        if core.leader_hint().0.is_some() || core.raft.trigger().elect(true).await.is_err() {
            return;
        }
        tokio::time::sleep(START_PAUSE.mul_f64(rng::get().random_range(0.8..1.2))).await;
    }
}

/// Runs for as long as Raft does.
pub(crate) async fn watch_leaders(core: Arc<Core>) {
    let mut metrics = core.raft.metrics();
    loop {
        let leader = established_leader(&core);
        let Some((vote, leader)) = leader.filter(|(_, leader)| *leader != core.config.node_id) else {
            if metrics.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            () = watch(&core, vote, leader) => {}
            () = changed_from(&core, vote) => continue,
        }
        if can_dial(&core, leader).await && leads(&core, leader, vote).await {
            tokio::time::sleep(RETRY_PAUSE).await;
            continue;
        }
        tokio::select! {
            () = elect(&core, vote, leader) => tokio::time::sleep(RETRY_PAUSE).await,
            () = changed_from(&core, vote) => {}
        }
    }
}

/// The vote of the leader that this node follows (or is), with the leader.
fn established_leader(core: &Core) -> Option<(Vote, BrokerId)> {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.vote.is_committed().then(|| (metrics.vote, broker_id(metrics.vote.leader_id.voted_for)))
}

/// Resolves once this node has seen another vote than `vote`.
async fn changed_from(core: &Core, vote: Vote) {
    let mut metrics = core.raft.metrics();
    while metrics.borrow_watched().vote == vote {
        if metrics.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Holds the stream to the leader until it breaks, cannot be opened, or says that the leader leads no more.
async fn watch(core: &Core, vote: Vote, leader: BrokerId) {
    let Some(mut events) = open(core, leader).await else { return };
    while let Ok(Some(event)) = events.message().await {
        if !event.leading && event.term >= vote.leader_id.term {
            return;
        }
    }
}

async fn open(core: &Core, leader: BrokerId) -> Option<tonic::Streaming<pb::WatchEvent>> {
    let (mut client, peer) = core.peers.watch_client(leader)?;
    let software = software_to_message(&core.config.software);
    let opened = client.watch(pb::WatchRequest { peer: Some(peer), software });
    Some(tokio::time::timeout(OPEN_DEADLINE, opened).await.ok()?.ok()?.into_inner())
}

async fn can_dial(core: &Core, leader: BrokerId) -> bool {
    let Some(address) = core.peers.address(leader) else { return false };
    matches!(tokio::time::timeout(REDIAL_DEADLINE, core.env.net.connect(address)).await, Ok(Ok(_)))
}

/// Whether the node at the leader's address says that it still leads in that term: it may have been started again.
async fn leads(core: &Core, leader: BrokerId, vote: Vote) -> bool {
    let Some(mut events) = open(core, leader).await else { return false };
    match tokio::time::timeout(OPEN_DEADLINE, events.message()).await {
        Ok(Ok(Some(event))) => event.leading && event.term == vote.leader_id.term,
        _ => false,
    }
}

async fn elect(core: &Core, vote: Vote, leader: BrokerId) {
    tracing::info!(%leader, term = vote.leader_id.term, "lost the connection to the active controller: electing another one");
    // "To" the lost leader itself: that only ends this node's lease.
    let release = TransferLeaderRequest::new(vote, raft_id(leader), None);
    if core.raft.handle_transfer_leader(release).await.is_err() {
        return;
    }
    tokio::time::sleep(RANK_DELAY * rank(core, leader)).await;
    for _ in 0..ROUNDS {
        if core.raft.trigger().elect(true).await.is_err() {
            return;
        }
        tokio::time::sleep(ROUND_PAUSE.mul_f64(rng::get().random_range(0.8..1.2))).await;
    }
}

/// How many of the remaining voters ask before this one.
fn rank(core: &Core, leader: BrokerId) -> u32 {
    let before = core.config.voter_ids().into_iter().filter(|&id| id != leader && id < core.config.node_id).count();
    u32::try_from(before).unwrap_or(0)
}
