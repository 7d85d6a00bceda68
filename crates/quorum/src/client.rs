//! Commands from any node: finds the active controller, repeats what may be repeated, gives up in time.
//!
//! What is repeated after an attempt of unknown outcome (the connection broke, or nobody answered in time):
//! - commands that do no harm twice, at whichever controller is active then;
//! - CreateTopics, DeleteTopics and CreatePartitions at the same controller in the same term only: it remembers recent
//!   outcomes by the command's id. Elsewhere the caller is told that the outcome is unknown;
//! - AlterPartition not at all: the leader that asks must know that an attempt may still be under way (ADR 7). It asks again itself.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use highwater_controller::{Command, CommandError, CommandResponse, QuorumDescription, VoterChange};
use highwater_env::{Env, clock, rng};
use highwater_rpc::command::{decode_outcome, encode_command};
use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, ErrorCode, MetadataOffset, TopicIdPartition};
use rand::RngCore as _;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::Status;

use crate::config::Voter;
use crate::dedup::{CommandId, Outcome};
use crate::describe_quorum;
use crate::finder::{Finder, Pauses};
use crate::history;
use crate::history::KnownHistory;
use crate::node::ControllerNode;
use crate::submission::{Reply, Submission, unknown_outcome};
use crate::voters::{HAND_OVER, VotersAnswer, answer_from_pb, change_to_pb};

/// Time for a command when the caller names none: longer than any election, as long as clients wait for a request.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for one controller's answer. A controller that lost its quorum never answers; another may be active.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a controller that reads all of its log.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(20);

/// Submits commands. Cheap to clone; clones share what is known of the active controller.
#[derive(Clone)]
pub struct ControllerClient {
    shared: Arc<Shared>,
}

struct Shared {
    finder: Arc<Finder>,
    /// Random, so that no two processes share it.
    client: u64,
    next_sequence: AtomicU64,
}

/// How one attempt ended.
enum Attempt {
    Decided(Outcome),
    /// Nothing happened.
    Elsewhere,
    /// It may have taken effect.
    Unknown(String),
}

impl ControllerClient {
    /// A client of the controllers `voters` (`controller.quorum.voters`). `local` is this node's own controller, if it has
    /// one: commands for it do not go through the network.
    pub fn new(env: &Env, voters: &[Voter], local: Option<ControllerNode>) -> Self {
        let client = rng::get().next_u64();
        let finder = Finder::new(env.net, voters, local.map(|node| node.core().clone()));
        Self { shared: Arc::new(Shared { finder, client, next_sequence: AtomicU64::new(0) }) }
    }

    /// What the controllers know of a partition's past: the answer of the active one if it goes back to the partition's creation,
    /// otherwise the one that goes back furthest. `None` when no controller answers.
    pub async fn history(&self, target: TopicIdPartition) -> Option<KnownHistory> {
        let finder = &self.shared.finder;
        let active = finder.target();
        let others = finder.voters().into_iter().filter(|id| *id != active);
        let mut best: Option<KnownHistory> = None;
        for id in std::iter::once(active).chain(others) {
            let answer = match finder.local(id) {
                Some(local) => local.history(target).await.ok(),
                None => self.ask_history(id, target).await,
            };
            let Some(answer) = answer else { continue };
            if best.as_ref().is_none_or(|best| answer.complete_from < best.complete_from) {
                best = Some(answer);
            }
            if best.as_ref().is_some_and(KnownHistory::is_whole) {
                break;
            }
        }
        best
    }

    async fn ask_history(&self, id: BrokerId, target: TopicIdPartition) -> Option<KnownHistory> {
        let mut rpc = self.shared.finder.rpc(id)?;
        let answer = tokio::time::timeout(HISTORY_TIMEOUT, rpc.history(history::request(target))).await.ok()?.ok()?;
        history::from_pb(answer.into_inner())
    }

    /// Has `command` decided and committed, within 30 seconds.
    ///
    /// # Errors
    /// What the controller refused, or `REQUEST_TIMED_OUT` when no controller was found in time or the outcome is unknown.
    pub async fn submit(&self, command: Command) -> Result<CommandResponse, CommandError> {
        self.submit_within(command, DEFAULT_TIMEOUT).await.map(|(response, _)| response)
    }

    /// As [`Self::submit`], within `timeout`. Also tells where the metadata log ends with the command's records: a node that
    /// has applied the metadata up to there sees what the command did.
    pub async fn submit_within(
        &self,
        command: Command,
        timeout: Duration,
    ) -> Result<(CommandResponse, MetadataOffset), CommandError> {
        let deadline = Instant::now() + timeout;
        let sequence = self.shared.next_sequence.fetch_add(1, Ordering::Relaxed);
        let id = CommandId { client: self.shared.client, sequence };
        let finder = &self.shared.finder;
        let mut pauses = Pauses::new();
        let mut sent_in_term = None;
        let mut unknown: Option<String> = None;
        loop {
            let target = finder.target();
            let term = finder.term_of(target);
            let limit = ATTEMPT_TIMEOUT.min(deadline - Instant::now());
            match self.attempt(target, &command, id, sent_in_term, limit).await {
                Attempt::Decided(Outcome { result, offset }) => {
                    let result = if unknown.is_some() { of_repetition(&command, result) } else { result };
                    return result.map(|response| (response, offset));
                }
                Attempt::Elsewhere => {}
                Attempt::Unknown(reason) => {
                    match repetition(&command) {
                        Repetition::Anywhere => {}
                        Repetition::SameTerm => {
                            sent_in_term = sent_in_term.or(term);
                            let is_over = unknown.is_some() && finder.term_of(finder.target()) != sent_in_term;
                            if sent_in_term.is_none() || is_over {
                                return Err(unknown_outcome(&reason));
                            }
                        }
                        Repetition::Never => return Err(unknown_outcome(&reason)),
                    }
                    unknown = Some(reason);
                }
            }
            pauses.pause().await;
            if Instant::now() >= deadline {
                return Err(match unknown {
                    Some(reason) => unknown_outcome(&reason),
                    None => no_controller(timeout),
                });
            }
        }
    }

    /// The state of the metadata quorum, as its active controller sees it, within 30 seconds.
    ///
    /// # Errors
    /// `REQUEST_TIMED_OUT` when no active controller was found in time.
    pub async fn describe_quorum(&self) -> Result<QuorumDescription, CommandError> {
        let finder = &self.shared.finder;
        let deadline = Instant::now() + DEFAULT_TIMEOUT;
        let mut pauses = Pauses::new();
        loop {
            let target = finder.target();
            let described = match finder.local(target) {
                Some(local) => local.describe_quorum(),
                None => describe_quorum::ask(finder, target, ATTEMPT_TIMEOUT).await,
            };
            match described {
                Some(description) => return Ok(description),
                None => finder.not_active(target),
            }
            pauses.pause().await;
            if Instant::now() >= deadline {
                return Err(no_controller(DEFAULT_TIMEOUT));
            }
        }
    }

    /// Changes the voters of the metadata quorum (KIP-853), within `timeout`.
    ///
    /// # Errors
    /// `DUPLICATE_VOTER`, `VOTER_NOT_FOUND`, `INVALID_REQUEST` and `UNSUPPORTED_VERSION`: refused, nothing changed.
    /// `REQUEST_TIMED_OUT`: no active controller was found in time, the observer has not caught up in time, another change is
    /// under way, or the outcome is unknown. Asking again is safe.
    pub async fn change_voters(&self, change: VoterChange, timeout: Duration) -> Result<(), CommandError> {
        let finder = &self.shared.finder;
        let deadline = Instant::now() + timeout;
        let mut pauses = Pauses::new();
        loop {
            let target = finder.target();
            let left = deadline - Instant::now();
            let answer = match finder.local(target) {
                Some(local) => local.change_voters(change, left).await,
                None => self.ask_change(target, change, left).await,
            };
            match answer {
                VotersAnswer::Done => return Ok(()),
                VotersAnswer::Refused(error) => return Err(error),
                VotersAnswer::NotController { leader, term } => {
                    finder.not_active(target);
                    finder.heard(leader.filter(|&leader| leader != target), term);
                }
            }
            pauses.pause().await;
            if Instant::now() >= deadline {
                return Err(no_controller(timeout));
            }
        }
    }

    async fn ask_change(&self, target: BrokerId, change: VoterChange, limit: Duration) -> VotersAnswer {
        let unknown = VotersAnswer::NotController { leader: None, term: 0 };
        let Some(mut rpc) = self.shared.finder.rpc(target) else { return unknown };
        let timeout_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        let request = pb::ChangeVotersRequest { change: Some(change_to_pb(change)), timeout_ms };
        match tokio::time::timeout(limit + HAND_OVER, rpc.change_voters(request)).await {
            Ok(Ok(response)) => answer_from_pb(response.into_inner()).unwrap_or(unknown),
            Ok(Err(_)) | Err(_) => unknown,
        }
    }

    /// What this client knows of where the controllers are.
    pub(crate) fn finder(&self) -> &Arc<Finder> {
        &self.shared.finder
    }

    async fn attempt(
        &self,
        target: BrokerId,
        command: &Command,
        id: CommandId,
        sent_in_term: Option<u64>,
        limit: Duration,
    ) -> Attempt {
        let finder = &self.shared.finder;
        let reply = match finder.local(target) {
            Some(local) => {
                let (reply, answer) = oneshot::channel();
                let queued_us = clock::mono_us();
                let submission = Submission { command: command.clone(), id: Some(id), sent_in_term, queued_us, reply };
                local.submit(submission, answer, limit).await
            }
            None => match self.call(target, command, id, sent_in_term, limit).await {
                Ok(reply) => reply,
                Err(attempt) => {
                    finder.not_active(target);
                    return attempt;
                }
            },
        };
        match reply {
            Reply::Committed { outcome, term } => {
                finder.heard(Some(target), term);
                Attempt::Decided(outcome)
            }
            Reply::NotController { leader, term } => {
                finder.not_active(target);
                finder.heard(leader.filter(|&leader| leader != target), term);
                Attempt::Elsewhere
            }
            Reply::Unknown(reason) => Attempt::Unknown(reason),
        }
    }

    async fn call(
        &self,
        target: BrokerId,
        command: &Command,
        id: CommandId,
        sent_in_term: Option<u64>,
        limit: Duration,
    ) -> Result<Reply, Attempt> {
        let request = pb::SubmitRequest {
            client: id.client,
            sequence: id.sequence,
            sent_in_term,
            command: encode_command(command),
            timeout_ms: u32::try_from(limit.as_millis()).unwrap_or(u32::MAX),
        };
        let Some(mut rpc) = self.shared.finder.rpc(target) else { return Err(Attempt::Elsewhere) };
        let response = match tokio::time::timeout(limit, rpc.submit(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) if never_sent(&status) => return Err(Attempt::Elsewhere),
            Ok(Err(status)) => return Err(Attempt::Unknown(status.to_string())),
            Err(_) => return Err(Attempt::Unknown(format!("node {target} did not answer in time"))),
        };
        reply_from_pb(response).ok_or_else(|| Attempt::Unknown(format!("the answer of node {target} cannot be read")))
    }
}

fn no_controller(timeout: Duration) -> CommandError {
    let message = format!("no active controller was found within {} ms", timeout.as_millis());
    CommandError::new(ErrorCode::RequestTimedOut, message)
}

/// Where a command may be sent again though it may have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repetition {
    /// The second run changes nothing more, or nothing that matters (a block of producer ids more), and its answer is still true; but
    /// see [`of_repetition`].
    Anywhere,
    /// The controller knows it again.
    SameTerm,
    /// A refusal says nothing of the first run, which may still take effect, and the caller must not take it for final.
    Never,
}

fn repetition(command: &Command) -> Repetition {
    match command {
        Command::CreateTopics(_) | Command::DeleteTopics(_) | Command::CreatePartitions(_) => Repetition::SameTerm,
        Command::AlterPartition(_) => Repetition::Never,
        Command::Bootstrap(_)
        | Command::RegisterController(_)
        | Command::UnregisterController(_)
        | Command::RegisterBroker(_)
        | Command::UnfenceBroker(_)
        | Command::FenceBroker(_)
        | Command::ControlledShutdown(_)
        | Command::UnregisterBroker(_)
        | Command::IncrementalAlterConfigs(_)
        | Command::AllocateProducerIds(_)
        | Command::ElectLeaders(_)
        | Command::AlterPartitionReassignments(_)
        | Command::UpdateFeatures(_)
        | Command::OfflineLogDirs(_)
        | Command::AssignReplicasToDirs(_) => Repetition::Anywhere,
    }
}

/// The answer to a command whose first attempt may have taken effect: that there is nothing left to do is no failure.
fn of_repetition(
    command: &Command,
    result: Result<CommandResponse, CommandError>,
) -> Result<CommandResponse, CommandError> {
    match (command, result) {
        (Command::UnregisterBroker(_), Err(error)) if error.code == ErrorCode::BrokerIdNotRegistered => {
            Ok(CommandResponse::UnregisterBroker)
        }
        (
            Command::AlterPartitionReassignments(asked),
            Ok(CommandResponse::AlterPartitionReassignments(mut results)),
        ) => {
            for (asked, answer) in asked.reassignments.iter().zip(&mut results) {
                let is_over = |error: &CommandError| error.code == ErrorCode::NoReassignmentInProgress;
                if asked.replicas.is_none() && answer.result.as_ref().is_err_and(is_over) {
                    answer.result = Ok(());
                }
            }
            Ok(CommandResponse::AlterPartitionReassignments(results))
        }
        (_, result) => result,
    }
}

/// Whether the call failed before anything of it could reach the other node: the connection could not be made.
fn never_sent(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn reply_from_pb(response: pb::SubmitResponse) -> Option<Reply> {
    use pb::submit_response::Result as Answer;
    Some(match response.result? {
        Answer::Committed(committed) => {
            let result = decode_outcome(&committed.outcome).ok()?;
            let outcome = Outcome { result, offset: MetadataOffset(committed.offset) };
            Reply::Committed { outcome, term: committed.term }
        }
        Answer::NotController(hint) => {
            Reply::NotController { leader: hint.leader.and_then(crate::credentials::node_of), term: hint.term }
        }
        Answer::Unknown(unknown) => Reply::Unknown(unknown.reason),
    })
}

#[cfg(test)]
mod tests {
    use highwater_controller::{AlterPartitionReassignments, Reassignment, ReassignmentResult, UnregisterBroker};
    use highwater_types::PartitionIndex;

    use super::*;

    fn refused(code: ErrorCode) -> CommandError {
        CommandError::new(code, "")
    }

    #[test]
    fn what_the_first_attempt_may_have_done_is_done() {
        let unregister = Command::UnregisterBroker(UnregisterBroker { id: BrokerId(3) });
        let answer = |code| of_repetition(&unregister, Err(refused(code)));
        assert_eq!(answer(ErrorCode::BrokerIdNotRegistered), Ok(CommandResponse::UnregisterBroker));
        assert_eq!(answer(ErrorCode::RequestTimedOut), Err(refused(ErrorCode::RequestTimedOut)));
    }

    #[test]
    fn only_a_cancellation_is_done_when_nothing_is_reassigned() {
        let reassignment = |partition, replicas| Reassignment { topic: "t".to_owned(), partition, replicas };
        let reassignments = vec![
            reassignment(PartitionIndex(0), None),
            reassignment(PartitionIndex(1), Some(vec![BrokerId(1)])),
            reassignment(PartitionIndex(2), None),
        ];
        let command = Command::AlterPartitionReassignments(AlterPartitionReassignments {
            reassignments,
            allow_replication_factor_change: true,
            rate: None,
        });
        let results = |codes: [Option<ErrorCode>; 3]| {
            let result = |(index, code): (usize, Option<ErrorCode>)| ReassignmentResult {
                topic: "t".to_owned(),
                partition: PartitionIndex(index as i32),
                result: code.map_or(Ok(()), |code| Err(refused(code))),
            };
            Ok(CommandResponse::AlterPartitionReassignments(codes.into_iter().enumerate().map(result).collect()))
        };
        let (over, unknown) = (Some(ErrorCode::NoReassignmentInProgress), Some(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(of_repetition(&command, results([over, over, unknown])), results([None, over, unknown]));
    }
}
