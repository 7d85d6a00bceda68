//! `proto/command.proto`: commands to the active controller, and what they came to.

mod request;
mod response;

use bytes::Bytes;
use highwater_controller::{Command, CommandError, CommandResponse};
use prost::Message;

use crate::ConversionError;
use crate::field::At;
use crate::pb::command as pb;

/// The bytes of a command.
pub fn encode_command(command: &Command) -> Bytes {
    request::command_to_pb(command).encode_to_vec().into()
}

/// The command in `bytes`.
pub fn decode_command(bytes: &[u8]) -> Result<Command, ConversionError> {
    let message = pb::Command::decode(bytes).map_err(|error| At("Command", "kind").invalid(error))?;
    request::command_from_pb(message)
}

/// The bytes of what a command came to.
pub fn encode_outcome(outcome: &Result<CommandResponse, CommandError>) -> Bytes {
    response::outcome_to_pb(outcome).encode_to_vec().into()
}

/// What a command came to, in `bytes`.
pub fn decode_outcome(bytes: &[u8]) -> Result<Result<CommandResponse, CommandError>, ConversionError> {
    let message = pb::Outcome::decode(bytes).map_err(|error| At("Outcome", "kind").invalid(error))?;
    response::outcome_from_pb(message)
}
