//! The active controller: one task that takes all queued commands, decides each over the committed image plus what the ones
//! before it decided, commits the records of all as one Raft entry, and replies.
//!
//! Why a deposed controller cannot commit a stale decision:
//! 1. it decides only while the node leads a term of which the first entry is applied, so the image has all that was
//!    committed before that term;
//! 2. the entry is proposed for that term only (openraft refuses it in any other);
//! 3. the entry names the offset it was decided at, and is a no-op anywhere else.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{Bootstrap, Command, CommandError, Decision, UpdateFeatures, decide};
use highwater_env::{clock, rng};
use highwater_metadata::{MetadataImage, MetadataRecord};
use highwater_rpc::metadata::encode_records;
use highwater_types::{DirectoryId, MetadataOffset};
use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use rand::RngCore as _;
use tokio::sync::mpsc;

use crate::controller_core::Core;
use crate::dedup::{CommandId, Outcome, RecentOutcomes};
use crate::raft_types::{ApplyOutcome, DecidedRecords, LogId};
use crate::submission::{Reply, Submission};
use crate::voters;

/// Commands that may wait. Beyond it the controller is overloaded or has no quorum, and the caller had better know.
pub(crate) const QUEUE: usize = 4096;
/// Commands decided into one entry.
const MAX_BATCH: usize = 256;
/// Records of one entry, after which the remaining commands wait for the next: an entry travels in one message. A single
/// command may exceed it; `decide` bounds those.
const MAX_BATCH_RECORDS: usize = 10_000;

/// Pause before the opening of a term is tried again.
const OPEN_RETRY: Duration = Duration::from_millis(50);

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, mut queue: mpsc::Receiver<Submission>) {
    let mut active = core.active.subscribe();
    // This task may begin later than the node's first term.
    active.mark_changed();
    let mut waiting = VecDeque::new();
    let mut received = Vec::with_capacity(MAX_BATCH);
    let mut opened: Option<Term> = None;
    loop {
        if waiting.is_empty() {
            tokio::select! {
                count = queue.recv_many(&mut received, MAX_BATCH) => if count == 0 { return },
                changed = active.changed() => if changed.is_err() { return },
            }
            waiting.extend(received.drain(..));
        }
        let Some(term) = *active.borrow_and_update() else {
            opened = None;
            for submission in waiting.drain(..) {
                let _ = submission.reply.send(core.not_controller());
            }
            continue;
        };
        if opened.as_ref().is_none_or(|open| open.term != term) {
            let mut fresh = Term { term, recent: RecentOutcomes::default() };
            if !fresh.open(&core).await {
                // Raft may have its reasons for a moment, such as a lease that is not confirmed yet.
                tokio::time::sleep(OPEN_RETRY).await;
                active.mark_changed();
                continue;
            }
            opened = Some(fresh);
        }
        if let Some(open) = &mut opened {
            open.turn(&core, &mut waiting).await;
        }
    }
}

/// The term in which this node is the active controller.
struct Term {
    term: u64,
    recent: RecentOutcomes,
}

/// Commands decided together.
struct Batch {
    base_offset: MetadataOffset,
    image: MetadataImage,
    records: Vec<MetadataRecord>,
    decided: Vec<(Submission, Result<highwater_controller::CommandResponse, CommandError>)>,
    /// Repetitions of commands that are in this very batch.
    repeated: Vec<Submission>,
    ids: BTreeSet<CommandId>,
}

/// How a proposed entry ended.
enum Proposed {
    Committed(MetadataOffset),
    NotCommitted,
    Unknown(String),
}

impl Term {
    /// Names a new cluster and its voters, before any other command. False if that could not be committed.
    async fn open(&mut self, core: &Arc<Core>) -> bool {
        let mut batch = Batch::new(&core.feed.image());
        for command in opening_commands(core, &batch.image) {
            if let Err(error) = batch.decide(core, &command) {
                tracing::error!(%error, ?command, "the active controller's opening command was refused");
            }
        }
        match self.propose(core, &batch).await {
            Proposed::Committed(_) => {
                tracing::info!(term = self.term, offset = %batch.image.offset(), "active controller");
                true
            }
            Proposed::NotCommitted | Proposed::Unknown(_) => false,
        }
    }

    /// Takes commands off `waiting` for one entry, commits it and replies.
    async fn turn(&mut self, core: &Arc<Core>, waiting: &mut VecDeque<Submission>) {
        let began = clock::mono_us();
        let mut batch = Batch::new(&core.feed.image());
        while batch.decided.len() < MAX_BATCH && batch.records.len() < MAX_BATCH_RECORDS {
            let Some(submission) = waiting.pop_front() else { break };
            core.event_times.on_taken(began.saturating_sub(submission.queued_us));
            self.take(core, submission, &mut batch);
        }
        let proposed = self.propose(core, &batch).await;
        self.reply(core, batch, &proposed);
        core.event_times.on_done(clock::mono_us().saturating_sub(began));
    }

    fn take(&self, core: &Core, submission: Submission, batch: &mut Batch) {
        if submission.reply.is_closed() {
            return;
        }
        if let Some(id) = submission.id {
            if let Some(outcome) = self.recent.get(id) {
                let _ = submission.reply.send(Reply::Committed { outcome: outcome.clone(), term: self.term });
                return;
            }
            if batch.ids.contains(&id) {
                batch.repeated.push(submission);
                return;
            }
            if submission.sent_in_term.is_some_and(|term| term != self.term) {
                let reason = "the active controller changed before it answered".to_owned();
                let _ = submission.reply.send(Reply::Unknown(reason));
                return;
            }
            batch.ids.insert(id);
        }
        let response = batch.decide(core, &submission.command);
        batch.decided.push((submission, response));
    }

    async fn propose(&self, core: &Core, batch: &Batch) -> Proposed {
        if batch.records.is_empty() {
            return Proposed::Committed(batch.base_offset);
        }
        let entry = DecidedRecords { base_offset: batch.base_offset, records: encode_records(&batch.records) };
        let (responder, answer) = ProgressResponder::complete_only();
        let leader = LogId::new_term_index(self.term, 0).leader_id;
        if let Err(error) = core.raft.write(entry).with_leader(leader).responder(responder).await {
            return Proposed::Unknown(error.to_string());
        }
        match answer.await {
            Ok(Ok(response)) => match response.data {
                ApplyOutcome::Applied { end } => Proposed::Committed(end),
                ApplyOutcome::Superseded { end } => {
                    tracing::warn!(decided_at = %batch.base_offset, log_end = %end, "an entry was superseded");
                    Proposed::NotCommitted
                }
                ApplyOutcome::NoRecords => unreachable!("an entry with records"),
            },
            Ok(Err(ClientWriteError::LogEntryDiscarded(error))) => Proposed::Unknown(error.to_string()),
            Ok(Err(error)) => {
                tracing::info!(%error, "an entry was not proposed");
                Proposed::NotCommitted
            }
            Err(_) => Proposed::Unknown("Raft has stopped".to_owned()),
        }
    }

    fn reply(&mut self, core: &Core, batch: Batch, proposed: &Proposed) {
        for (submission, result) in batch.decided {
            let reply = match proposed {
                Proposed::Committed(offset) => {
                    let outcome = Outcome { result, offset: *offset };
                    if let Some(id) = submission.id {
                        self.recent.insert(id, outcome.clone());
                    }
                    Reply::Committed { outcome, term: self.term }
                }
                Proposed::NotCommitted => core.not_controller(),
                Proposed::Unknown(reason) => Reply::Unknown(reason.clone()),
            };
            let _ = submission.reply.send(reply);
        }
        for submission in batch.repeated {
            let outcome = submission.id.and_then(|id| self.recent.get(id));
            let reply = match outcome {
                Some(outcome) => Reply::Committed { outcome: outcome.clone(), term: self.term },
                None => core.not_controller(),
            };
            let _ = submission.reply.send(reply);
        }
    }
}

impl Batch {
    fn new(image: &MetadataImage) -> Self {
        Self {
            base_offset: image.offset(),
            image: image.clone(),
            records: Vec::new(),
            decided: Vec::new(),
            repeated: Vec::new(),
            ids: BTreeSet::new(),
        }
    }

    /// Decides over the scratch image, and adds what was decided to it.
    fn decide(
        &mut self,
        core: &Core,
        command: &Command,
    ) -> Result<highwater_controller::CommandResponse, CommandError> {
        let completed;
        let command = match command {
            Command::RegisterBroker(registration) => {
                let holder = core.sessions.lock().holder(registration.id, clock::mono_ms());
                let present = self.image.broker(registration.id);
                let previous_session_valid =
                    present.is_some_and(|present| holder.may_live_beside(present, registration));
                completed = Command::RegisterBroker(highwater_controller::RegisterBroker {
                    previous_session_valid,
                    ..registration.clone()
                });
                &completed
            }
            Command::UpdateFeatures(request) => {
                let controllers = core.controllers_software();
                completed = Command::UpdateFeatures(UpdateFeatures { controllers, ..request.clone() });
                &completed
            }
            other => other,
        };
        let Decision { records, response } =
            decide(&self.image, &core.config.controller, clock::wall_ms(), &mut rng::get(), command);
        if !records.is_empty() {
            let end = MetadataOffset(self.image.offset().0 + records.len() as i64);
            self.image = self.image.apply(&records, end).0;
            self.records.extend(records);
        }
        response
    }
}

/// What a new active controller commits first: the cluster's name, if it has none, and voters that moved or are new.
fn opening_commands(core: &Core, image: &MetadataImage) -> Vec<Command> {
    let mut commands = Vec::new();
    let cluster_id = match image.cluster_id() {
        Some(id) => id.to_owned(),
        None => {
            let id = core.config.cluster_id.clone().unwrap_or_else(random_cluster_id);
            let features = core.config.software.highest_levels();
            commands.push(Command::Bootstrap(Bootstrap { cluster_id: id.clone(), features }));
            id
        }
    };
    commands.extend(voters::registrations(core, image, &cluster_id));
    commands
}

/// A cluster id as Kafka makes them: a random UUID in URL-safe base64, not beginning with a dash.
fn random_cluster_id() -> String {
    loop {
        let bits = u128::from(rng::get().next_u64()) << 64 | u128::from(rng::get().next_u64());
        let id = DirectoryId::from_random(bits).to_string();
        if !id.starts_with('-') {
            return id;
        }
    }
}
