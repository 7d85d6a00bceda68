//! Why a command did not do what it was asked, and what to try.

use std::fmt;
use std::io;
use std::process::ExitCode;

use anstyle::AnsiColor;
use highwater_types::ErrorCode;
use serde_json::json;

use crate::config::ConfigError;

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    message: String,
    hint: Option<String>,
    code: u8,
    /// What the broker answered, if it was that.
    broker_error: Option<i16>,
}

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;

impl Failure {
    /// The cluster refused, or something on this machine failed.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: REFUSED, broker_error: None }
    }

    /// Wrong usage or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: USAGE, broker_error: None }
    }

    /// No broker could be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: UNREACHABLE, broker_error: None }
    }

    /// Adds what to try.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The broker's error for `what`, with its own message if it gave one.
    pub fn refused(what: &str, code: i16, message: Option<&str>) -> Self {
        let name = ErrorCode::from_code(code).map_or_else(|| format!("error {code}"), |code| code.name().to_owned());
        let reason =
            message.filter(|message| !message.is_empty()).map_or(name.clone(), |message| format!("{name}: {message}"));
        let failure = Self { broker_error: Some(code), ..Self::new(format!("{what}: {reason}")) };
        match ErrorCode::from_code(code).and_then(hint_of) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Says when it happened.
    pub fn context(mut self, when: &str) -> Self {
        self.message = format!("{} ({when})", self.message);
        self
    }

    /// Several failures as one: all messages, and the first hint. The exit code is that of the first.
    pub fn all(failures: Vec<Self>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let mut all = failures.next()?;
        for further in failures {
            all.message = format!("{}\n       {}", all.message, further.message);
            all.hint = all.hint.or(further.hint);
        }
        Some(all)
    }

    /// What went wrong, without what to try.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether a broker answered with this error.
    pub fn is(&self, error: ErrorCode) -> bool {
        self.broker_error == Some(error.code())
    }

    /// Whether the reason is that no broker could be reached.
    pub fn is_unreachable(&self) -> bool {
        self.code == UNREACHABLE
    }

    /// Writes it to standard error: for people, or as one JSON object.
    pub fn report(&self, json: bool) {
        if json {
            let name = self.broker_error.and_then(ErrorCode::from_code).map(ErrorCode::name);
            let error =
                json!({"message": self.message, "hint": self.hint, "broker_error": name, "exit_code": self.code});
            eprintln!("{}", json!({ "error": error }));
            return;
        }
        let (red, yellow) = (AnsiColor::Red.on_default().bold(), AnsiColor::Yellow.on_default());
        anstream::eprintln!("{red}error:{red:#} {}", self.message);
        if let Some(hint) = &self.hint {
            anstream::eprintln!("  {yellow}try:{yellow:#} {hint}");
        }
    }

    /// The code the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

/// What to try, for the errors people meet.
fn hint_of(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::UnknownTopicOrPartition => Some("`highwater topic list` shows the topics there are"),
        ErrorCode::TopicAlreadyExists => Some("`highwater topic describe` shows it"),
        ErrorCode::InvalidReplicationFactor => Some(
            "there are fewer brokers than replicas: `highwater cluster describe` lists them, `--replication-factor` asks for fewer",
        ),
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => Some(
            "fewer replicas are in sync than min.insync.replicas: are all brokers up? `highwater topic describe` shows the ISR",
        ),
        ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator => {
            Some("the group coordinator is being elected or loaded: try again in a moment")
        }
        ErrorCode::LeaderNotAvailable | ErrorCode::NotLeaderOrFollower => {
            Some("the partition has no leader right now: `highwater topic describe` shows its replicas")
        }
        ErrorCode::NonEmptyGroup => {
            Some("the group has members: stop its consumers first (`highwater group members` lists them)")
        }
        ErrorCode::GroupSubscribedToTopic => Some("a member of the group reads this topic: stop it first"),
        ErrorCode::InvalidConfig => {
            Some("`highwater config get --all --documentation` shows keys, types and what they mean")
        }
        ErrorCode::NoReassignmentInProgress => Some("`highwater partition reassignments` shows those under way"),
        ErrorCode::PreferredLeaderNotAvailable => Some(
            "the first replica is not in sync: `highwater partition list --under-replicated` shows which brokers are missing",
        ),
        ErrorCode::EligibleLeadersNotAvailable => Some("no replica that holds all records is up: start one of them"),
        ErrorCode::BrokerIdNotRegistered => Some("`highwater broker list` shows those that are registered"),
        ErrorCode::GroupIdNotFound => Some("`highwater group list` shows the groups there are"),
        ErrorCode::OffsetOutOfRange => Some("`--from beginning` starts at the first offset that is still there"),
        ErrorCode::MessageTooLarge => Some("raise the topic's max.message.bytes, or send smaller records"),
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  try: {hint}"))
    }
}

impl std::error::Error for Failure {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}
