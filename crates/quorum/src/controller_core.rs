//! What the tasks and services of one controller share: its parts, how far it is, and the way to its write loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::Command;
use highwater_env::lock::Mutex;
use highwater_env::{Env, clock};
use highwater_metadata::NodeSoftware;
use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, MonoMs};
use openraft::async_runtime::WatchReceiver as _;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::config::raft_id;
use crate::credentials::Credentials;
use crate::event_times::EventTimes;
use crate::feed::MetadataFeed;
use crate::members::Members;
use crate::past_leases::PastLeases;
use crate::peers::Peers;
use crate::raft_types::{Metrics, RaftId, TypeConfig};
use crate::sessions::Sessions;
use crate::store::{Identity, LogReader, StateMachine};
use crate::submission::{Reply, Submission};
use crate::{QuorumConfig, QuorumError};

/// Limit for the controller's own commands: longer than an election.
const OWN_COMMAND: Duration = Duration::from_secs(10);

/// Raft over the metadata records.
pub(crate) type MetadataRaft = openraft::Raft<TypeConfig, StateMachine>;

/// How far a controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It waits for the other voters, and takes no part in Raft.
    Forming,
    /// Raft runs.
    Running,
    /// It was shut down or failed.
    Stopped,
}

/// What the tasks and services of one controller share.
pub(crate) struct Core {
    pub(crate) env: Env,
    pub(crate) config: QuorumConfig,
    /// Who this controller is to Raft.
    pub(crate) raft_id: RaftId,
    pub(crate) members: Arc<Members>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) raft: MetadataRaft,
    pub(crate) feed: Arc<MetadataFeed>,
    pub(crate) phase: watch::Sender<Phase>,
    /// The term in which this node is the active controller: it leads, and its first entry is applied.
    pub(crate) active: watch::Sender<Option<u64>>,
    pub(crate) active_since: Mutex<Option<MonoMs>>,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) sessions_changed: Notify,
    /// What the other voters run, as those that follow this one told.
    pub(crate) voters_software: Mutex<BTreeMap<BrokerId, NodeSoftware>>,
    /// Tells when the membership or the active role changes.
    pub(crate) voters_changed: Notify,
    /// Held while the voters are being changed: one change at a time.
    pub(crate) changing_voters: Arc<tokio::sync::Mutex<()>>,
    /// When a leader, or who took itself for one, was heard of last, or this node began to listen.
    pub(crate) leader_heard: Mutex<MonoMs>,
    pub(crate) past_leases: Arc<Mutex<PastLeases>>,
    /// The log, for [`Self::history`].
    pub(crate) log: LogReader,
    /// Held while the log is read for a history.
    pub(crate) reading_history: tokio::sync::Mutex<()>,
    /// How long commands wait and take.
    pub(crate) event_times: EventTimes,
    /// To the write loop.
    pub(crate) queue: mpsc::Sender<Submission>,
}

impl Core {
    /// The Raft leader that this node knows of, and the term. After a restart that is the one before, until another is heard of;
    /// but never this node itself, of which it knows that it leads no more.
    pub(crate) fn leader_hint(&self) -> (Option<BrokerId>, u64) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader.filter(|&leader| leader != self.raft_id || metrics.state.is_leader());
        (leader.map(|leader| leader.node), metrics.current_term)
    }

    /// Whether this controller has a vote, as far as it knows.
    pub(crate) fn is_voter(&self) -> bool {
        self.members.load().voter_ids().any(|id| id == self.raft_id)
    }

    /// Whether there is but one voter, which needs nobody's confirmation.
    pub(crate) fn is_only_voter(&self) -> bool {
        self.members.load().voter_ids().count() == 1
    }

    /// Notes that a leader was heard of.
    pub(crate) fn heard_leader(&self) {
        let now = clock::mono_ms();
        *self.leader_heard.lock() = now;
        self.past_leases.lock().heard(now);
    }

    /// A member with the directory that the quorum knows it by, for messages.
    pub(crate) fn known_directory(&self, node: BrokerId) -> Option<pb::KnownDirectory> {
        let directory = self.credentials.known_directory(node)?;
        Some(pb::KnownDirectory { node: raft_id(node), directory: directory.to_bytes().to_vec().into() })
    }

    /// The voters with their directories, for messages.
    pub(crate) fn voters_now(&self) -> Vec<pb::KnownDirectory> {
        self.members.voters().into_iter().filter_map(|id| self.known_directory(id.node)).collect()
    }

    /// The term in which this node is the active controller, if it is.
    pub(crate) fn active_term(&self) -> Option<u64> {
        *self.active.borrow()
    }

    /// How long this node has been the active controller.
    pub(crate) fn active_for(&self) -> Duration {
        self.active_since.lock().map_or(Duration::ZERO, |since| clock::mono_ms() - since)
    }

    /// Raft's view of itself.
    pub(crate) fn raft_metrics(&self) -> Metrics {
        self.raft.metrics().borrow_watched().clone()
    }

    /// The answer of a node that is not the active controller.
    pub(crate) fn not_controller(&self) -> Reply {
        let (leader, term) = self.leader_hint();
        Reply::NotController { leader, term }
    }

    /// The sessions of all unfenced brokers begin anew, with this node active in `term`. To be called before anybody can learn that
    /// it is: else (1) a broker opens its session, (2) the sessions begin anew, (3) its heartbeats are not known.
    pub(crate) fn begin_sessions(&self, term: u64) {
        let image = self.feed.image();
        let unfenced = image.brokers().filter(|broker| !broker.fenced).map(|broker| (broker.id, broker.epoch));
        let now = clock::mono_ms();
        let confirmed = self.past_leases.lock().begin(term, now);
        self.sessions.lock().begin(unfenced, confirmed, now);
    }

    /// What this controller and those that follow it run.
    pub(crate) fn controllers_software(&self) -> BTreeMap<BrokerId, NodeSoftware> {
        let mut all = self.voters_software.lock().clone();
        // One that left does not count, whatever it ran.
        all.retain(|&id, _| self.members.find(id).is_some());
        all.insert(self.config.node_id, self.config.software.clone());
        all
    }

    /// Queues a command and waits for its outcome.
    pub(crate) async fn submit(
        &self,
        submission: Submission,
        answer: oneshot::Receiver<Reply>,
        limit: Duration,
    ) -> Reply {
        if self.active_term().is_none() || self.queue.try_send(submission).is_err() {
            return self.not_controller();
        }
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Reply::Unknown("the controller is stopping".to_owned()),
            Err(_) => Reply::Unknown("no quorum of controllers confirmed it in time".to_owned()),
        }
    }

    /// Submits a command of the controller itself.
    pub(crate) async fn submit_own(&self, command: Command) -> Reply {
        let (reply, answer) = oneshot::channel();
        let submission = Submission { command, id: None, sent_in_term: None, queued_us: clock::mono_us(), reply };
        self.submit(submission, answer, OWN_COMMAND).await
    }

    /// The voter to hand over to: the one whose log is nearest to ours. `None` if this node does not lead or is alone.
    pub(crate) fn successor(&self) -> Option<RaftId> {
        let metrics = self.raft_metrics();
        let replication = metrics.replication.filter(|_| metrics.state.is_leader())?;
        let voters = self.members.voters();
        let others = replication.into_iter().filter(|(id, _)| *id != self.raft_id && voters.contains(id));
        others.max_by_key(|(id, matched)| (*matched, std::cmp::Reverse(*id))).map(|(id, _)| id)
    }

    pub(crate) fn fail(&self, error: &QuorumError) {
        if self.phase.send_replace(Phase::Stopped) != Phase::Stopped {
            self.active.send_replace(None);
            tracing::error!("{error}");
            (self.config.on_fatal.0)(error);
        }
    }
}
