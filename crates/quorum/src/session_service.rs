//! Broker sessions on the active controller: the stream of each broker, and the task that fences those whose session ended.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{
    BrokerSession, Command, CommandError, CommandResponse, FenceBroker, RegisterBroker, UnfenceBroker,
};
use highwater_env::clock;
use highwater_rpc::command::decode_command;
use highwater_rpc::pb::quorum as pb;
use highwater_rpc::pb::quorum::session_request::Event as Request;
use highwater_rpc::pb::quorum::session_response::Event as Answer;
use highwater_types::{BrokerEpoch, BrokerId, ErrorCode, MetadataOffset};
use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver as _;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::config::{LEASE_CONFIRMED_WITHIN, QuorumConfig, raft_id};
use crate::controller_core::Core;
use crate::dedup::Outcome;
use crate::sessions::Registered;
use crate::submission::Reply;
use crate::waiting::until;

/// Answers of one session that may wait to be sent; beyond it the broker does not read, and its lease may as well lapse.
pub(crate) const ANSWERS: usize = 16;
/// A broker opens its session at once after the stream.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);
/// Pause before a fencing that could not be committed is tried again.
const FENCE_RETRY: Duration = Duration::from_millis(100);
/// Limit for dialling a broker without a stream.
const DIAL_DEADLINE: Duration = Duration::from_secs(1);

/// The stream of one broker.
struct SessionStream {
    core: Arc<Core>,
    answers: mpsc::Sender<Result<pb::SessionResponse, Status>>,
    id: BrokerId,
    epoch: BrokerEpoch,
    stream: u64,
    /// While the broker is fenced: where the metadata were when this stream first saw it. A broker that knows them knows that it
    /// was fenced, and what it lost by that.
    fenced_by: Option<MetadataOffset>,
    /// An unfencing is on its way.
    unfencing: Arc<std::sync::atomic::AtomicBool>,
}

/// Serves one stream until it ends, and deals with its end.
pub(crate) async fn serve(
    core: Arc<Core>,
    mut requests: Streaming<pb::SessionRequest>,
    answers: mpsc::Sender<Result<pb::SessionResponse, Status>>,
) {
    let Some(term) = core.active_term() else {
        return send(&answers, not_controller(&core)).await;
    };
    let opening = tokio::time::timeout(OPEN_DEADLINE, requests.message()).await;
    let Ok(Ok(Some(pb::SessionRequest { event: Some(Request::Open(open)) }))) = opening else {
        return send(&answers, refused(ErrorCode::InvalidRequest, "a session begins with a registration")).await;
    };
    let Ok(Command::RegisterBroker(registration)) = decode_command(&open.registration) else {
        return send(&answers, refused(ErrorCode::InvalidRequest, "the registration cannot be read")).await;
    };
    let Some(mut session) = register(core.clone(), registration, answers.clone()).await else { return };
    let ended = session.run(&mut requests, term).await;
    session.close(ended);
}

/// Registers the broker, or finds its registration if this run of it has one, and opens the session.
async fn register(
    core: Arc<Core>,
    registration: RegisterBroker,
    answers: mpsc::Sender<Result<pb::SessionResponse, Status>>,
) -> Option<SessionStream> {
    let id = registration.id;
    let reply = core.submit_own(Command::RegisterBroker(registration)).await;
    let (epoch, offset) = match reply {
        Reply::Committed {
            outcome: Outcome { result: Ok(CommandResponse::RegisterBroker { epoch }), offset }, ..
        } => (epoch, offset),
        Reply::Committed { outcome: Outcome { result: Err(error), .. }, .. } => {
            tracing::warn!(broker = %id, %error, "refused to register a broker");
            send(&answers, refused(error.code, &error.message)).await;
            return None;
        }
        Reply::Committed { .. } => unreachable!("a registration is answered as one"),
        Reply::NotController { .. } | Reply::Unknown(_) => {
            send(&answers, not_controller(&core)).await;
            return None;
        }
    };
    let stream = {
        let mut sessions = core.sessions.lock();
        let stream = sessions.new_stream();
        sessions.open(id, epoch, stream, clock::mono_ms());
        stream
    };
    core.sessions_changed.notify_one();
    tracing::info!(broker = %id, %epoch, "broker session opened");
    let registered = pb::Registered {
        epoch: epoch.0,
        offset: offset.0.max(epoch.0 + 1),
        cluster_id: core.identity.cluster_id().unwrap_or_default(),
    };
    send(&answers, Answer::Registered(registered)).await;
    Some(SessionStream { core, answers, id, epoch, stream, fenced_by: None, unfencing: Arc::default() })
}

/// Why a session's stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Broken,
    Goodbye,
    /// The controller gave up: it is not active any more, or the broker's registration was replaced.
    Closed,
}

impl SessionStream {
    async fn run(&mut self, requests: &mut Streaming<pb::SessionRequest>, term: u64) -> End {
        let mut active = self.core.active.subscribe();
        loop {
            let request = tokio::select! {
                _ = until(&mut active, |active| *active != Some(term)) => {
                    send(&self.answers, not_controller(&self.core)).await;
                    return End::Closed;
                }
                request = requests.message() => request,
            };
            match request {
                Ok(Some(pb::SessionRequest { event: Some(event) })) => match event {
                    Request::Heartbeat(heartbeat) => {
                        if !self.on_heartbeat(heartbeat, term).await {
                            return End::Closed;
                        }
                    }
                    Request::ControlledShutdown(_) => self.on_controlled_shutdown(),
                    Request::Goodbye(_) => return End::Goodbye,
                    Request::Open(_) => {
                        send(&self.answers, refused(ErrorCode::InvalidRequest, "the session is open")).await;
                        return End::Closed;
                    }
                },
                Ok(Some(pb::SessionRequest { event: None })) => {}
                Ok(None) | Err(_) => return End::Broken,
            }
        }
    }

    /// False when the registration is not the broker's any more.
    async fn on_heartbeat(&mut self, heartbeat: pb::Heartbeat, term: u64) -> bool {
        let applied = MetadataOffset(heartbeat.metadata_offset);
        // Before the image is looked at. In the other order (1) the image shows the broker unfenced, (2) its session ends, and
        // the fencing is committed, (3) no fencing is under way any more, and the fenced broker is granted a lease.
        let may_lease = self.core.sessions.lock().heartbeat(self.id, self.stream, applied, clock::mono_ms());
        let image = self.core.feed.image();
        let Some(broker) = image.broker(self.id).filter(|broker| broker.epoch == self.epoch) else {
            let text = format!("broker {} has another registration than {}", self.id, self.epoch);
            send(&self.answers, refused(ErrorCode::StaleBrokerEpoch, &text)).await;
            return false;
        };
        if may_lease && self.core.may_grant(term) {
            let lease = pb::Lease {
                sequence: heartbeat.sequence,
                lease_ms: u32::try_from(QuorumConfig::lease(self.core.config.session_timeout).as_millis())
                    .unwrap_or(u32::MAX),
                fenced: broker.fenced,
            };
            // A full queue means that the broker does not read: it gets its lease with a later heartbeat.
            let _ = self.answers.try_send(Ok(pb::SessionResponse { event: Some(Answer::Lease(lease)) }));
        }
        if !broker.fenced {
            self.fenced_by = None;
        } else if applied >= *self.fenced_by.get_or_insert(image.offset())
            && may_lease
            && !broker.in_controlled_shutdown
        {
            // Should it be fenced once more, it has to know that too.
            self.fenced_by = None;
            self.unfence(applied);
        }
        true
    }

    fn unfence(&self, metadata_offset: MetadataOffset) {
        use std::sync::atomic::Ordering::Relaxed;
        if self.unfencing.swap(true, Relaxed) {
            return;
        }
        let (core, unfencing, id) = (self.core.clone(), self.unfencing.clone(), self.id);
        let session = BrokerSession { id, epoch: self.epoch };
        tokio::spawn(async move {
            let reply = core.submit_own(Command::UnfenceBroker(UnfenceBroker { session, metadata_offset })).await;
            match reply {
                Reply::Committed { outcome: Outcome { result: Ok(_), .. }, .. } => {
                    tracing::info!(broker = %id, "broker unfenced");
                }
                other => tracing::info!(broker = %id, ?other, "broker not unfenced"),
            }
            unfencing.store(false, Relaxed);
        });
    }

    fn on_controlled_shutdown(&self) {
        let (core, answers) = (self.core.clone(), self.answers.clone());
        let session = BrokerSession { id: self.id, epoch: self.epoch };
        tokio::spawn(async move {
            let answer = match core.submit_own(Command::ControlledShutdown(session)).await {
                Reply::Committed { outcome: Outcome { result, offset }, .. } => match result {
                    Ok(CommandResponse::ControlledShutdown { may_stop, offset: needed }) => {
                        let offset = needed.max(offset).0;
                        Answer::Shutdown(pb::ShutdownProgress { may_stop, offset })
                    }
                    Ok(_) => unreachable!("a controlled shutdown is answered as one"),
                    Err(CommandError { code, message }) => refused(code, &message),
                },
                Reply::NotController { .. } | Reply::Unknown(_) => not_controller(&core),
            };
            send(&answers, answer).await;
        });
    }

    /// Deals with the end of the stream: the session ends when the process is gone, and otherwise when its time is over.
    fn close(self, end: End) {
        let now = clock::mono_ms();
        let mut sessions = self.core.sessions.lock();
        sessions.disconnected(self.id, self.stream, now);
        match end {
            End::Closed => {}
            End::Broken => tracing::info!(broker = %self.id, epoch = %self.epoch, "broker session broken"),
            End::Goodbye => {
                tracing::info!(broker = %self.id, epoch = %self.epoch, "broker session closed");
                sessions.gone(Registered { id: self.id, epoch: self.epoch }, now);
            }
        }
        drop(sessions);
        self.core.sessions_changed.notify_one();
    }
}

/// Fences brokers whose session ended, while this node is the active controller.
pub(crate) async fn keep_sessions(core: Arc<Core>) {
    let mut active = core.active.subscribe();
    loop {
        let Some(term) = *active.borrow_and_update() else {
            if active.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            () = fence_ended(&core) => return,
            _ = until(&mut active, |active| *active != Some(term)) => {}
        }
    }
}

async fn fence_ended(core: &Arc<Core>) {
    loop {
        let (ended, probes, next) = {
            let (mut sessions, now) = (core.sessions.lock(), clock::mono_ms());
            (sessions.take_ended(now), sessions.take_probes(now), sessions.next_event())
        };
        for broker in probes {
            tokio::spawn(probe(core.clone(), broker));
        }
        for ended in ended {
            tokio::spawn(fence(core.clone(), ended));
        }
        let wait = next.map(|next| next - clock::mono_ms());
        tokio::select! {
            () = core.sessions_changed.notified() => {}
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

/// Finds out whether a broker without a stream is dead. Its address refuses connections: it is, for the socket is open as long
/// as the process lives. A time-out proves nothing: the broker may be cut off and still serve clients until its lease lapses,
/// so the session time-out must pass.
async fn probe(core: Arc<Core>, broker: Registered) {
    let image = core.feed.image();
    let Some(found) = image.broker(broker.id).filter(|found| found.epoch == broker.epoch) else { return };
    let address = found.internal.to_string();
    let dialled = tokio::time::timeout(DIAL_DEADLINE, core.env.net.connect(&address)).await;
    let refused = matches!(dialled, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused);
    core.sessions.lock().dialled(broker, refused, clock::mono_ms());
    core.sessions_changed.notify_one();
}

async fn fence(core: Arc<Core>, ended: Registered) {
    let Registered { id, epoch } = ended;
    tracing::info!(broker = %id, %epoch, "broker session ended: fencing the broker");
    let session = BrokerSession { id, epoch };
    let reason = "its session ended".to_owned();
    let reply = core.submit_own(Command::FenceBroker(FenceBroker { session, reason })).await;
    // A refusal means that the registration is not there any more: there is nothing left to fence.
    let committed = matches!(reply, Reply::Committed { .. });
    if !committed {
        tokio::time::sleep(FENCE_RETRY).await;
    }
    core.sessions.lock().fenced(ended, committed, clock::mono_ms());
    core.sessions_changed.notify_one();
}

impl Core {
    /// Whether this node may grant a lease as the active controller of `term`.
    fn may_grant(&self, term: u64) -> bool {
        self.past_leases.lock().may_grant(term, clock::mono_ms(), || self.quorum_confirmed(term))
    }

    /// Whether a quorum has confirmed lately that this node leads in `term`: without that it must grant no lease.
    fn quorum_confirmed(&self, term: u64) -> bool {
        if self.is_only_voter() {
            return true;
        }
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.current_term == term
            && metrics.last_quorum_acked.is_some_and(|acked| acked.into_inner().elapsed() <= LEASE_CONFIRMED_WITHIN)
    }
}

fn not_controller(core: &Core) -> Answer {
    let (leader, term) = core.leader_hint();
    Answer::NotController(hint_to_pb(leader, term))
}

fn refused(code: ErrorCode, message: &str) -> Answer {
    Answer::Refused(crate::wire::refusal_to_pb(&CommandError::new(code, message)))
}

async fn send(answers: &mpsc::Sender<Result<pb::SessionResponse, Status>>, event: Answer) {
    // An error means that the stream is gone; its reader notices.
    let _ = answers.send(Ok(pb::SessionResponse { event: Some(event) })).await;
}

/// The leader of a hint, in the terms of messages.
pub(crate) fn hint_to_pb(leader: Option<BrokerId>, term: u64) -> pb::NotController {
    pb::NotController { leader: leader.map(raft_id), term }
}
