//! Why a command was refused.

use std::fmt;

use highwater_types::ErrorCode;

/// A refusal: Kafka's code and a message for a person. The refused part changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError {
    /// Kafka's error code; never [`ErrorCode::None`].
    pub code: ErrorCode,
    /// What was wrong, with the offending value.
    pub message: String,
}

impl CommandError {
    /// An error with that code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        debug_assert!(code != ErrorCode::None, "an error needs a code");
        Self { code, message: message.into() }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for CommandError {}
