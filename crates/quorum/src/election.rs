//! A broken connection to the leader starts an election at once, instead of after a time-out.
//!
//! Each follower holds a stream open to its leader. When it breaks and the leader cannot be dialled again, the follower
//! 1. gives up its own leader lease (it would otherwise refuse pre-votes, its own included, for up to two seconds), and
//! 2. if it has a vote, asks for pre-votes, again and again until somebody stands for election.
//!
//! A voter that has given its vote does the same when nobody comes to lead. Votes may be split; or who stood for election died, or
//! had not heard the others; and where every voter that is left is needed, only one whose log is as long as theirs can win at all.
//!
//! Why this cannot hurt a healthy leader: a pre-vote needs a quorum, and a voter that still hears the leader holds its lease
//! and refuses; so does a leader that a quorum still acknowledges. A follower that alone lost its connection gets nowhere,
//! and no term changes. The vote that follows is a normal one, under Raft's rules.

use std::sync::Arc;
use std::time::Duration;

use highwater_env::rng;
use highwater_rpc::metadata::software_to_message;
use highwater_rpc::pb::quorum as pb;
use openraft::async_runtime::WatchReceiver as _;
use openraft::raft::TransferLeaderRequest;
use rand::Rng as _;

use crate::controller_core::Core;
use crate::raft_types::{RaftId, Vote};

/// Limit for dialling the leader again. A process that runs accepts within a round trip; a host that is gone is left to the
/// election time-out, which is not much longer than any limit that would be safe here.
const REDIAL_DEADLINE: Duration = Duration::from_millis(250);
/// Limit for opening the watch.
const OPEN_DEADLINE: Duration = Duration::from_secs(1);
/// How long a leader may say that it does not lead yet.
const NOT_YET: Duration = Duration::from_millis(100);
/// Rounds of pre-votes in one suspicion. The others may notice a little later than we do; after these the election time-out
/// takes over.
const ROUNDS: u32 = 10;
/// Pause between two rounds.
const ROUND_PAUSE: Duration = Duration::from_millis(60);
/// Longest time for somebody who stands for election to lead: votes are flushed and counted. If they were split, which is likely
/// where every voter that is left is needed, the election time-out would take seconds. It grows by as much with each vote that led
/// to nothing, for disks that are slower than that.
const SPLIT_PAUSE: Duration = Duration::from_millis(300);
/// So often.
const MOST_PAUSES: u32 = 5;
/// How much later each further voter asks, so that they do not split the votes: a few round trips and flushes.
const RANK_DELAY: Duration = Duration::from_millis(75);
/// Time for a leader, if there is one, to be heard of after a start: its next heartbeat, and a little more.
const START_PAUSE: Duration = Duration::from_millis(250);
/// Pause before the leader is watched again after an attempt that led to nothing.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Runs for as long as Raft does. Whatever it waits for is over when this node sees another vote.
pub(crate) async fn watch_leaders(core: Arc<Core>) {
    let mut leaderless = 0;
    loop {
        let (vote, leads) = {
            let metrics = core.raft.metrics();
            let now = metrics.borrow_watched();
            (now.vote, now.state.is_leader())
        };
        leaderless = if vote.is_committed() { 0 } else { (leaderless + 1).min(MOST_PAUSES) };
        let acts = async {
            match vote.leader_id.voted_for {
                _ if !vote.is_committed() => succeed_candidates(&core, leaderless).await,
                leader if leader != core.raft_id => follow(&core, vote, leader).await,
                _ if leads => std::future::pending().await,
                _ => campaign_at_start(&core).await,
            }
        };
        tokio::select! {
            () = acts => {}
            () = changed_from(&core, vote) => {}
        }
    }
}

/// Somebody got this node's vote, and does not come to lead.
async fn succeed_candidates(core: &Core, pauses: u32) {
    tokio::time::sleep((SPLIT_PAUSE * pauses).mul_f64(rng::get().random_range(0.5..1.0))).await;
    campaign(core).await;
}

/// After a start of the whole cluster nobody leads: do not wait for the election time-out to find that out. Where there is a
/// leader, pre-votes are refused and nothing happens.
async fn campaign_at_start(core: &Core) {
    tokio::time::sleep(START_PAUSE + RANK_DELAY * rank(core, core.raft_id)).await;
    campaign(core).await;
}

/// Follows a leader until it is lost, and asks for votes then.
async fn follow(core: &Core, vote: Vote, leader: RaftId) {
    loop {
        watch(core, vote, leader).await;
        if !can_dial(core, leader).await || !leads(core, leader, vote).await {
            break;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    elect(core, vote, leader).await;
    tokio::time::sleep(RETRY_PAUSE).await;
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
async fn watch(core: &Core, vote: Vote, leader: RaftId) {
    let Some(mut events) = open(core, leader).await else { return };
    while leading_term(&mut events, vote).await.is_some() {}
}

/// Waits for the next event; the term that the leader leads in after it. A new leader may send its first entry before it says that it
/// leads.
async fn leading_term(events: &mut tonic::Streaming<pb::WatchEvent>, vote: Vote) -> Option<u64> {
    let mut event = events.message().await.ok()??;
    let settled = async {
        while !event.leading && event.term <= vote.leader_id.term {
            event = events.message().await.ok()??;
        }
        event.leading.then_some(event.term)
    };
    tokio::time::timeout(NOT_YET, settled).await.ok()?
}

async fn open(core: &Core, leader: RaftId) -> Option<tonic::Streaming<pb::WatchEvent>> {
    let (mut client, peer) = core.peers.watch_client(leader)?;
    let software = software_to_message(&core.config.software);
    let opened = client.watch(pb::WatchRequest { peer: Some(peer), software });
    Some(tokio::time::timeout(OPEN_DEADLINE, opened).await.ok()?.ok()?.into_inner())
}

async fn can_dial(core: &Core, leader: RaftId) -> bool {
    let Some(endpoint) = core.peers.endpoint(leader.node) else { return false };
    matches!(tokio::time::timeout(REDIAL_DEADLINE, core.env.net.connect(&endpoint.to_string())).await, Ok(Ok(_)))
}

/// Whether the node at the leader's address says that it still leads in that term: it may have been started again.
async fn leads(core: &Core, leader: RaftId, vote: Vote) -> bool {
    let Some(mut events) = open(core, leader).await else { return false };
    let term = tokio::time::timeout(OPEN_DEADLINE, leading_term(&mut events, vote)).await.ok().flatten();
    term == Some(vote.leader_id.term)
}

async fn elect(core: &Core, vote: Vote, leader: RaftId) {
    // "To" the lost leader itself: that only ends this node's lease. Also without a vote, as far as this node knows: the others may
    // count on it already.
    let release = TransferLeaderRequest::new(vote, leader, None);
    if core.raft.handle_transfer_leader(release).await.is_err() || !core.is_voter() {
        return;
    }
    tracing::info!(%leader, term = vote.leader_id.term, "lost the connection to the active controller: electing another one");
    tokio::time::sleep(RANK_DELAY * rank(core, leader)).await;
    campaign(core).await;
}

/// Asks for pre-votes, again and again.
async fn campaign(core: &Core) {
    for _ in 0..ROUNDS {
        if !core.is_voter() || core.raft.trigger().elect(true).await.is_err() {
            return;
        }
        tokio::time::sleep(ROUND_PAUSE.mul_f64(rng::get().random_range(0.8..1.2))).await;
    }
}

/// How many of the remaining voters ask before this one.
fn rank(core: &Core, leader: RaftId) -> u32 {
    let before = core.members.voters().into_iter().filter(|&id| id != leader && id < core.raft_id).count();
    u32::try_from(before).unwrap_or(0)
}
