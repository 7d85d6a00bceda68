//! Configuration of one node: Kafka's property names from a file, the environment and the command line, checked and typed.
//!
//! Everything that is wrong is reported at once. A property nobody knows is a warning; a property that is known but not
//! honoured is a warning; one whose absence would make the cluster less safe than its operator believes is an error.

mod broker_config;
mod error;
mod listeners;
mod properties;
mod safety;
mod voters;

pub use broker_config::{BrokerConfig, ProcessRoles};
pub use error::ConfigError;
pub use listeners::ListenerAddress;
pub use properties::Properties;
pub use voters::Voter;

#[cfg(test)]
mod tests;
