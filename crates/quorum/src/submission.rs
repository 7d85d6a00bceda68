//! A command on its way through the write loop, and what becomes of it.

use highwater_controller::{Command, CommandError};
use highwater_types::{BrokerId, ErrorCode};
use tokio::sync::oneshot;

use crate::dedup::{CommandId, Outcome};

/// A command on its way to the active controller's log.
pub(crate) struct Submission {
    pub(crate) command: Command,
    /// `None` for the controller's own commands, which are never repeated.
    pub(crate) id: Option<CommandId>,
    /// Set on a repetition that must not run in another term than the first attempt.
    pub(crate) sent_in_term: Option<u64>,
    /// When it was queued, as `clock::mono_us` says.
    pub(crate) queued_us: u64,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What became of a submission.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// It was decided, and what it decided is committed.
    Committed { outcome: Outcome, term: u64 },
    /// This node is not the active controller; nothing happened.
    NotController { leader: Option<BrokerId>, term: u64 },
    /// It may or may not take effect.
    Unknown(String),
}

/// The error of a command of unknown outcome, as its caller sees it.
pub(crate) fn unknown_outcome(reason: &str) -> CommandError {
    CommandError::new(ErrorCode::RequestTimedOut, format!("the outcome is unknown, it may have taken effect: {reason}"))
}
