//! Keeps a session with the active controller, whoever that is: registration, heartbeats, leases, controlled shutdown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{Command, CommandError, RegisterBroker};
use highwater_env::clock;
use highwater_env::lock::Mutex;
use highwater_rpc::command::encode_command;
use highwater_rpc::pb::quorum as pb;
use highwater_rpc::pb::quorum::session_request::Event as Request;
use highwater_rpc::pb::quorum::session_response::Event as Answer;
use highwater_types::{BrokerEpoch, BrokerId, ErrorCode, MetadataOffset, MonoMs};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::lease::LeaseState;
use crate::MetadataHandle;
use crate::finder::{Finder, Pauses};
use crate::waiting::until;
use crate::wire::refusal_from_pb;

/// Requests of this process that may wait for the session.
pub(super) const ASKS: usize = 4;
/// Limit for saying goodbye: it spares the others a redial, and is not worth more.
pub(super) const GOODBYE: Duration = Duration::from_millis(500);
/// Requests on their way to the controller.
const OUTGOING: usize = 16;
/// Limit for opening the stream and for the registration: shorter than what a new active controller leaves brokers to find it, so that
/// one that hangs does not cost them that.
const OPEN_DEADLINE: Duration = Duration::from_secs(3);
/// Longest pause between heartbeats: the controller tells a dead process from a cut link by how lately it was heard.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);
/// A controller that answers no heartbeat for so long has lost its quorum or is cut off: look for another one.
const UNANSWERED: Duration = Duration::from_secs(3);
/// Heartbeats whose answers are waited for; older ones do not matter any more.
const REMEMBERED: usize = 64;
/// First pause before a fenced broker that has caught up asks again.
const EAGER: Duration = Duration::from_millis(5);
/// Pause before leaderships are asked to be moved on, when one decision could not move all.
const SHUTDOWN_PAUSE: Duration = Duration::from_millis(20);

/// What this process wants of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    ControlledShutdown,
    Goodbye,
}

/// How far the broker is, for those who wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) serving: bool,
    pub(super) refused: Option<CommandError>,
    /// The controlled shutdown is over once the metadata has reached this.
    pub(super) may_stop: Option<MetadataOffset>,
    pub(super) said_goodbye: bool,
}

/// The broker's side of its session.
pub(super) struct Session {
    pub(super) finder: Arc<Finder>,
    pub(super) registration: Arc<Mutex<RegisterBroker>>,
    pub(super) heartbeat_interval: Duration,
    pub(super) metadata: MetadataHandle,
    pub(super) lease: Arc<LeaseState>,
    pub(super) progress: watch::Sender<Progress>,
}

/// One open stream.
struct Open {
    requests: mpsc::Sender<pb::SessionRequest>,
    answers: Streaming<pb::SessionResponse>,
    /// Where the broker has caught up.
    offset: MetadataOffset,
    sent: VecDeque<(u64, MonoMs)>,
    next_heartbeat: u64,
    answered: MonoMs,
}

/// Why a stream came to an end.
enum End {
    /// Look for the active controller again.
    Lost,
    /// Likewise: this one answers nothing.
    Silent,
    /// The cluster does not want this process.
    Refused(CommandError),
    Goodbye,
}

impl Session {
    /// Runs until goodbye is said or the cluster refuses the broker for good.
    pub(super) async fn run(self, mut asked: mpsc::Receiver<Ask>) {
        let mut pauses = Pauses::new();
        let mut shutting_down = false;
        loop {
            let target = self.finder.target();
            let end = match self.open(target).await {
                Ok(open) => {
                    pauses = Pauses::new();
                    self.keep(open, &mut asked, &mut shutting_down).await
                }
                Err(end) => end,
            };
            match end {
                End::Lost => self.finder.not_active(target),
                End::Silent => self.finder.silent(target),
                End::Refused(error) => {
                    // Another process may have the id by now: the lease goes with the registration.
                    self.lease.fenced();
                    if is_final(&error) {
                        tracing::error!(%error, "the cluster refuses this broker");
                        self.progress.send_modify(|progress| progress.refused = Some(error));
                        return;
                    }
                    tracing::warn!(%error, "the cluster refuses this broker for now");
                }
                End::Goodbye => return,
            }
            tokio::select! {
                () = pauses.pause() => {}
                ask = asked.recv() => match ask {
                    Some(Ask::ControlledShutdown) => shutting_down = true,
                    Some(Ask::Goodbye) | None => {
                        self.progress.send_modify(|progress| progress.said_goodbye = true);
                        return;
                    }
                },
            }
        }
    }

    async fn open(&self, target: BrokerId) -> Result<Open, End> {
        let (requests, outgoing) = mpsc::channel(OUTGOING);
        let registration = encode_command(&Command::RegisterBroker(self.registration.lock().clone()));
        let opening = Request::Open(pb::OpenSession { registration, epoch: self.lease.epoch().0 });
        requests.try_send(pb::SessionRequest { event: Some(opening) }).map_err(|_| End::Lost)?;
        let mut rpc = self.finder.rpc(target).ok_or(End::Lost)?;
        let opened = async {
            let mut answers = rpc.session(ReceiverStream::new(outgoing)).await.map_err(|_| End::Lost)?.into_inner();
            match answers.message().await.map_err(|_| End::Lost)?.and_then(|answer| answer.event) {
                Some(Answer::Registered(registered)) => Ok((answers, registered)),
                Some(Answer::NotController(hint)) => {
                    self.finder.not_active(target);
                    self.finder.heard_hint(&hint);
                    Err(End::Lost)
                }
                Some(Answer::Refused(refused)) => Err(End::Refused(refusal_from_pb(refused))),
                _ => Err(End::Lost),
            }
        };
        let (answers, registered) = tokio::time::timeout(OPEN_DEADLINE, opened).await.map_err(|_| End::Silent)??;
        tracing::info!(controller = %target, epoch = registered.epoch, "registered with the active controller");
        self.lease.registered(BrokerEpoch(registered.epoch));
        Ok(Open {
            requests,
            answers,
            offset: MetadataOffset(registered.offset),
            sent: VecDeque::new(),
            next_heartbeat: 1,
            answered: clock::mono_ms(),
        })
    }

    async fn keep(&self, mut open: Open, asked: &mut mpsc::Receiver<Ask>, shutting_down: &mut bool) -> End {
        let mut interval = self.heartbeat_interval.min(LONGEST_INTERVAL);
        let mut next = tokio::time::Instant::now();
        let mut reached = self.metadata.subscribe();
        let mut caught_up = false;
        let mut eager = EAGER;
        if *shutting_down && !open.ask_shutdown().await {
            return End::Lost;
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {
                    if clock::mono_ms() - open.answered > UNANSWERED {
                        tracing::warn!("the active controller does not answer heartbeats");
                        return End::Silent;
                    }
                    if !open.heartbeat(self.metadata.peek().offset()).await {
                        return End::Lost;
                    }
                    next = tokio::time::Instant::now() + interval;
                }
                // Caught up with the own registration: say so at once, it is what the broker waits for.
                _ = until(&mut reached, |&offset| offset >= open.offset), if !caught_up => {
                    caught_up = true;
                    next = tokio::time::Instant::now();
                }
                ask = asked.recv() => match ask {
                    Some(Ask::ControlledShutdown) => {
                        *shutting_down = true;
                        if !open.ask_shutdown().await {
                            return End::Lost;
                        }
                    }
                    Some(Ask::Goodbye) | None => {
                        open.goodbye().await;
                        self.progress.send_modify(|progress| progress.said_goodbye = true);
                        return End::Goodbye;
                    }
                },
                answer = open.answers.message() => match answer {
                    Ok(Some(pb::SessionResponse { event: Some(answer) })) => match answer {
                        Answer::Lease(lease) => {
                            let length = Duration::from_millis(u64::from(lease.lease_ms));
                            interval = interval.min(length / 4);
                            let was_fenced = self.on_lease(&mut open, lease, length);
                            if was_fenced && caught_up {
                                // Unfencing is on its way: ask again soon, but not for ever.
                                next = next.min(tokio::time::Instant::now() + eager.min(interval));
                                eager = (eager * 2).min(LONGEST_INTERVAL);
                            } else {
                                eager = EAGER;
                            }
                        }
                        Answer::Shutdown(shutdown) if shutdown.may_stop => {
                            let offset = MetadataOffset(shutdown.offset);
                            self.progress.send_modify(|progress| progress.may_stop = Some(offset));
                        }
                        Answer::Shutdown(_) => {
                            tokio::time::sleep(SHUTDOWN_PAUSE).await;
                            if !open.ask_shutdown().await {
                                return End::Lost;
                            }
                        }
                        Answer::NotController(hint) => {
                            self.finder.heard_hint(&hint);
                            return End::Lost;
                        }
                        Answer::Refused(refused) => return End::Refused(refusal_from_pb(refused)),
                        Answer::Registered(_) => return End::Lost,
                    },
                    Ok(Some(pb::SessionResponse { event: None })) => {}
                    Ok(None) | Err(_) => return End::Lost,
                },
            }
        }
    }

    /// True while the broker is fenced.
    fn on_lease(&self, open: &mut Open, lease: pb::Lease, length: Duration) -> bool {
        let now = clock::mono_ms();
        open.answered = now;
        while open.sent.front().is_some_and(|(sequence, _)| *sequence < lease.sequence) {
            open.sent.pop_front();
        }
        if lease.fenced {
            self.lease.fenced();
            return true;
        }
        if let Some(&(sequence, sent)) = open.sent.front()
            && sequence == lease.sequence
        {
            self.lease.granted(sent, length);
        }
        if self.lease.is_valid(now) {
            self.progress.send_if_modified(|progress| !std::mem::replace(&mut progress.serving, true));
        }
        false
    }
}

impl Open {
    async fn send(&self, event: Request) -> bool {
        self.requests.send(pb::SessionRequest { event: Some(event) }).await.is_ok()
    }

    async fn heartbeat(&mut self, offset: MetadataOffset) -> bool {
        let sequence = self.next_heartbeat;
        self.next_heartbeat += 1;
        self.sent.push_back((sequence, clock::mono_ms()));
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
        self.send(Request::Heartbeat(pb::Heartbeat { sequence, metadata_offset: offset.0 })).await
    }

    async fn ask_shutdown(&self) -> bool {
        self.send(Request::ControlledShutdown(pb::Blank {})).await
    }

    /// Says goodbye and waits until the controller has taken note, which ends the stream.
    async fn goodbye(&mut self) {
        if self.send(Request::Goodbye(pb::Blank {})).await {
            let closed = async { while let Ok(Some(_)) = self.answers.message().await {} };
            let _ = tokio::time::timeout(GOODBYE, closed).await;
        }
    }
}

/// Whether trying again cannot help.
fn is_final(error: &CommandError) -> bool {
    matches!(
        error.code,
        ErrorCode::InconsistentClusterId | ErrorCode::InvalidRegistration | ErrorCode::UnsupportedVersion
    )
}
