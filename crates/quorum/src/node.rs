//! One controller: opens its directory, forms or joins the quorum, runs Raft and the active controller's tasks.

use std::sync::Arc;
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_env::{Env, GRPC_MAX_MESSAGE_BYTES, clock};
use highwater_metadata::MetadataImage;
use highwater_rpc::pb::quorum::controller_server::ControllerServer;
use highwater_rpc::pb::quorum::raft_server::RaftServer;
use highwater_types::{BrokerId, ControllerEpoch, DirectoryId};
use openraft::SnapshotPolicy;
use openraft::async_runtime::WatchReceiver as _;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tonic::service::RoutesBuilder;

use crate::controller_core::{Core, MetadataRaft, Phase};
use crate::controller_service::ControllerService;
use crate::credentials::Credentials;
use crate::event_times::EventTimes;
use crate::members::Members;
use crate::past_leases::PastLeases;
use crate::peers::{PeerFactory, Peers};
use crate::raft_service::RaftService;
use crate::sessions::Sessions;
use crate::store::{Identity, LogStore, SnapshotDir, StateMachine, open_database};
use crate::{QuorumConfig, QuorumError, bootstrap, election, observer, session_service, voters, write_loop};

const HEARTBEAT_MS: u64 = 200;
const ELECTION_MIN_MS: u64 = 1000;
const ELECTION_MAX_MS: u64 = 2000;
/// Time for a follower to receive and load a snapshot.
const INSTALL_SNAPSHOT_MS: u64 = 30_000;
/// Entries between two snapshots, and entries kept behind a snapshot: a follower that is a little behind must not need a
/// snapshot, and one that installs a snapshot must not have unapplied entries.
const SNAPSHOT_EVERY: u64 = 20_000;
const KEEP_BEHIND_SNAPSHOT: u64 = 100_000;
/// Longest wait, at shutdown, for another voter to take over.
const HAND_OVER: Duration = Duration::from_millis(1500);

/// A controller of the metadata quorum. Clones are handles to the same one.
#[derive(Clone)]
pub struct ControllerNode {
    core: Arc<Core>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl ControllerNode {
    /// Opens the metadata directory and starts to form or join the quorum in the background. Serve
    /// [`Self::add_services`] at once: the other voters ask for this one. [`Self::joined`] tells when Raft runs.
    ///
    /// # Errors
    /// When the configuration cannot work, the directory fails, or it says by itself that it was emptied or exchanged.
    pub async fn start(env: &Env, config: QuorumConfig) -> Result<Self, QuorumError> {
        config.validate()?;
        let kv = open_database(env, &config.metadata_dir)?;
        let identity = Arc::new(Identity::open(env, kv.clone(), &config.metadata_dir, config.node_id).await?);
        check_cluster_id(&config, identity.cluster_id())?;
        let snapshots = SnapshotDir::new(env.fs.clone(), &config.metadata_dir);
        let state_machine = StateMachine::open(kv.clone(), snapshots, config.software.clone())?;
        let feed = state_machine.feed();
        let members = Arc::new(Members::new(state_machine.membership().clone()));
        let credentials = Arc::new(Credentials::new(config.node_id, identity.clone(), feed.clone(), members.clone()));
        let past_leases = Arc::new(Mutex::new(PastLeases::new(clock::mono_ms())));
        let peers = Arc::new(Peers::new(env.net, &config.voters, credentials.clone(), past_leases.clone()));
        let log_store = LogStore::open(kv)?;
        let log = log_store.reader();
        let raft_id = bootstrap::raft_identity(&config, &identity).await?;
        let raft = MetadataRaft::build(
            raft_id,
            Arc::new(raft_config(&config)?),
            PeerFactory(peers.clone()),
            log_store,
            state_machine,
        )
        .await
        .map_err(|error| QuorumError::Fatal(error.to_string()))?;
        let (queue, submissions) = mpsc::channel(write_loop::QUEUE);
        let core = Arc::new(Core {
            env: env.clone(),
            raft_id,
            members,
            identity,
            credentials,
            peers,
            raft,
            feed,
            phase: watch::Sender::new(Phase::Forming),
            active: watch::Sender::new(None),
            active_since: Mutex::default(),
            sessions: Mutex::new(Sessions::new(config.session_timeout)),
            sessions_changed: Notify::new(),
            voters_software: Mutex::default(),
            voters_changed: Notify::new(),
            changing_voters: Arc::default(),
            leader_heard: Mutex::new(clock::mono_ms()),
            past_leases,
            log,
            reading_history: tokio::sync::Mutex::new(()),
            event_times: EventTimes::new(),
            queue,
            config,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(run(core.clone()));
        tasks.spawn(write_loop::run(core.clone(), submissions));
        tasks.spawn(session_service::keep_sessions(core.clone()));
        Ok(Self { core, tasks: Arc::new(Mutex::new(tasks)) })
    }

    /// Adds the gRPC services of this controller: for the other voters, for brokers and for command clients.
    pub fn add_services(&self, routes: &mut RoutesBuilder) {
        routes
            .add_service(
                RaftServer::new(RaftService(self.core.clone()))
                    .max_decoding_message_size(GRPC_MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(GRPC_MAX_MESSAGE_BYTES),
            )
            .add_service(
                ControllerServer::new(ControllerService(self.core.clone()))
                    .max_decoding_message_size(GRPC_MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(GRPC_MAX_MESSAGE_BYTES),
            );
    }

    /// Waits until this node takes part in Raft. Without a time limit: the other voters may not be there yet.
    pub async fn joined(&self) {
        // The sender lives in `self`.
        let _ = self.core.phase.subscribe().wait_for(|phase| *phase != Phase::Forming).await;
    }

    /// Whether this node is the active controller.
    pub fn is_active(&self) -> bool {
        self.core.active.borrow().is_some()
    }

    /// The active controller as far as this node knows, and the controller epoch (Raft's term).
    pub fn active_controller(&self) -> (Option<BrokerId>, ControllerEpoch) {
        let (leader, term) = self.core.leader_hint();
        (leader, ControllerEpoch(term))
    }

    /// The newest committed image that this node has applied.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.core.feed.image()
    }

    /// Whether this controller has a vote. One that joined a running quorum gets it by `AddRaftVoter`.
    pub fn is_voter(&self) -> bool {
        self.core.is_voter()
    }

    /// Id of this controller's metadata directory.
    pub fn directory_id(&self) -> DirectoryId {
        self.core.identity.directory_id()
    }

    /// Hands the active role to another voter if this node has it, and stops.
    pub async fn shutdown(&self) {
        if let Some(successor) = self.core.successor() {
            let _ = self.core.raft.trigger().transfer_leader(successor).await;
            let mut active = self.core.active.subscribe();
            let _ = tokio::time::timeout(HAND_OVER, active.wait_for(Option::is_none)).await;
        }
        self.core.phase.send_replace(Phase::Stopped);
        self.core.active.send_replace(None);
        let _ = self.core.raft.shutdown().await;
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        // Aborted, and gone with all they hold when this returns.
        tasks.shutdown().await;
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

/// Forms or joins the quorum, then runs what must run while Raft does.
async fn run(core: Arc<Core>) {
    if let Err(error) = join(&core).await {
        return core.fail(&error);
    }
    tokio::join!(
        follow_raft(&core),
        election::watch_leaders(core.clone()),
        learn_cluster_id(&core),
        voters::keep(&core),
        observer::announce(&core),
    );
}

async fn join(core: &Arc<Core>) -> Result<(), QuorumError> {
    bootstrap::agree(core).await?;
    core.heard_leader();
    core.raft.run();
    bootstrap::compare_with_configuration(core);
    bootstrap::initialize(core).await?;
    core.phase.send_replace(Phase::Running);
    Ok(())
}

/// Keeps `active` up to date, and notices when Raft dies.
async fn follow_raft(core: &Core) {
    let mut metrics = core.raft.metrics();
    loop {
        let (failed, active, membership) = {
            let now = metrics.borrow_watched();
            let applied = now.last_applied.as_ref().map(|log_id| log_id.committed_leader_id().term);
            let leads = now.state.is_leader() && applied == Some(now.current_term);
            let failed = now.running_state.as_ref().err().map(ToString::to_string);
            (failed, leads.then_some(now.current_term), now.membership_config.clone())
        };
        if *core.phase.borrow() == Phase::Stopped {
            return;
        }
        if let Some(error) = failed {
            return core.fail(&QuorumError::Fatal(error));
        }
        if core.members.follow(&membership) {
            core.voters_changed.notify_one();
        }
        if active != core.active_term() {
            if let Some(term) = active {
                core.begin_sessions(term);
            }
            *core.active_since.lock() = active.map(|_| clock::mono_ms());
            core.active.send_replace(active);
            core.voters_changed.notify_one();
        }
        if metrics.changed().await.is_err() {
            return core.fail(&QuorumError::Fatal("its task ended".to_owned()));
        }
    }
}

/// Writes the cluster's id into the metadata directory once it is committed.
async fn learn_cluster_id(core: &Core) {
    let mut end = core.feed.subscribe();
    let cluster_id = loop {
        if let Some(id) = core.feed.image().cluster_id() {
            break id.to_owned();
        }
        if end.changed().await.is_err() {
            return;
        }
    };
    if let Err(error) = check_cluster_id(&core.config, Some(cluster_id.clone())) {
        return core.fail(&error);
    }
    if let Err(error) = core.identity.set_cluster_id(&cluster_id).await {
        core.fail(&QuorumError::Storage(error));
    }
}

fn check_cluster_id(config: &QuorumConfig, found: Option<String>) -> Result<(), QuorumError> {
    match (&config.cluster_id, found) {
        (Some(configured), Some(found)) if *configured != found => {
            Err(QuorumError::WrongCluster { configured: configured.clone(), found })
        }
        _ => Ok(()),
    }
}

fn raft_config(config: &QuorumConfig) -> Result<openraft::Config, QuorumError> {
    openraft::Config {
        cluster_name: format!("node-{}", config.node_id),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MIN_MS,
        election_timeout_max: ELECTION_MAX_MS,
        install_snapshot_timeout: INSTALL_SNAPSHOT_MS,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
        max_in_snapshot_log_to_keep: KEEP_BEHIND_SNAPSHOT,
        // A leader that lost its quorum steps back to probing after twice the longest election.
        quorum_loss_probe_interval: Some(2 * ELECTION_MAX_MS),
        enable_pre_vote: Some(true),
        // A voter that comes back is found soon; it is dialled again and again, cheaply.
        backoff: "50ms 100ms 200ms ...400ms".to_owned(),
        // The applied state may be behind what was acknowledged before a crash: a restarted leader must be elected.
        enable_leader_restore: Some(false),
        ..openraft::Config::default()
    }
    .validate()
    .map_err(|error| QuorumError::Config(error.to_string()))
}
