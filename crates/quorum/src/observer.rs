//! A controller that nobody leads announces itself to the active one, which then feeds it: a new controller, and one that was
//! removed or forgotten while it was away. So it becomes an observer: it has the log, and no vote.
//!
//! Also one that was removed while it was the active controller and cut off: nobody sends it anything any more, and the voters
//! refuse what it sends. It still leads an old term, until the one that it announces itself to sends it something.

use std::sync::Arc;
use std::time::Duration;

use highwater_env::clock;
use highwater_rpc::metadata::software_to_message;
use highwater_rpc::pb::quorum as pb;
use highwater_types::DirectoryId;
use openraft::Instant as _;

use crate::admission::{Announced, admit};
use crate::controller_core::Core;
use crate::finder::{Finder, Pauses};
use crate::raft_types::RaftNode;
use crate::voters::{VotersAnswer, answer_from_pb};
use crate::wire::member_to_pb;

/// A controller that heard of no leader, or as a leader of no quorum, for so long may be one that no leader knows: ten heartbeats.
/// If there is an election instead, nobody takes note of the announcement.
const SILENCE: Duration = Duration::from_secs(2);
/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Pause between announcements of one that was not taken for long.
const RARELY: Duration = Duration::from_secs(1);
/// Limit for one announcement.
const ANNOUNCE_DEADLINE: Duration = Duration::from_secs(2);
/// Announcements made one soon after the other.
const EAGER: u32 = 10;
/// Announcements without success between two lines in the log: about every half minute.
const PER_LOG_LINE: u32 = 30;

/// Runs for as long as Raft does.
pub(crate) async fn announce(core: &Arc<Core>) {
    let finder = Finder::new(core.env.net, &core.config.voters, None);
    // Its address may have changed since.
    let mut needed = !core.raft_id.is_founder();
    let mut failures: u32 = 0;
    let mut pauses = Pauses::new();
    loop {
        if !needed {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let silent = out_of_touch(core) > SILENCE;
        if !(needed || silent) {
            continue;
        }
        finder.learn(&core.feed.image());
        // The one that joined may be the active controller by now, at another address than before.
        let answer = match core.active_term() {
            Some(_) if !silent => admit(core, itself(core)).await,
            _ => announce_to_one(core, &finder).await,
        };
        match answer {
            VotersAnswer::Done => {
                (needed, failures, pauses) = (false, 0, Pauses::new());
                core.heard_leader();
                continue;
            }
            VotersAnswer::Refused(error) if failures.is_multiple_of(PER_LOG_LINE) => {
                tracing::warn!(%error, "the quorum does not take this controller");
            }
            VotersAnswer::NotController { .. } if failures.is_multiple_of(PER_LOG_LINE) => {
                tracing::info!("looking for the active controller, to follow the metadata as an observer");
            }
            _ => {}
        }
        failures += 1;
        // Soon at first, because a new controller need not wait long; then rarely.
        pauses.pause().await;
        if failures > EAGER {
            tokio::time::sleep(RARELY).await;
        }
    }
}

/// For how long nobody has led this controller, or, if it takes itself for the leader, no quorum has confirmed that.
fn out_of_touch(core: &Core) -> Duration {
    let led = clock::mono_ms() - *core.leader_heard.lock();
    let metrics = core.raft_metrics();
    if !metrics.state.is_leader() {
        return led;
    }
    if core.is_only_voter() {
        return Duration::ZERO;
    }
    metrics.last_quorum_acked.map_or(led, |acked| led.min(acked.into_inner().elapsed()))
}

fn itself(core: &Core) -> Announced {
    let id = core.raft_id;
    // The others know a controller that joined by its id.
    let directory = if id.is_founder() { core.identity.directory_id() } else { DirectoryId::ZERO };
    Announced {
        id,
        node: RaftNode { endpoint: Some(core.config.endpoint.clone()), directory },
        cluster_id: core.identity.cluster_id().unwrap_or_default(),
        software: core.config.software.clone(),
    }
}

async fn announce_to_one(core: &Core, finder: &Finder) -> VotersAnswer {
    let target = finder.target();
    let nobody = VotersAnswer::NotController { leader: None, term: 0 };
    let others = finder.rpc(target).filter(|_| target != core.config.node_id);
    let Some(mut rpc) = others else {
        // The others may take this one for the active controller for a while.
        finder.not_active(target);
        return nobody;
    };
    let Announced { id, node, cluster_id, software } = itself(core);
    let software = software_to_message(&software);
    let request = pb::AnnounceRequest { member: Some(member_to_pb(id, &node)), cluster_id, software };
    let answer = match tokio::time::timeout(ANNOUNCE_DEADLINE, rpc.announce(request)).await {
        Ok(Ok(response)) => answer_from_pb(response.into_inner()).unwrap_or(nobody),
        Ok(Err(_)) | Err(_) => nobody,
    };
    if let VotersAnswer::NotController { leader, term } = answer {
        finder.not_active(target);
        finder.heard(leader.filter(|&leader| leader != target), term);
    }
    answer
}
