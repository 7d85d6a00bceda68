//! What is measured: Highwater at either durability, or Apache Kafka.

use serde::{Deserialize, Serialize};

/// One side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Highwater as it comes: a record counts as replicated once it is flushed.
    Strict,
    /// Highwater with `highwater.durability=relaxed`: once it is in the page cache, as in Kafka.
    Relaxed,
    /// Apache Kafka.
    Kafka,
}

impl System {
    /// All of them, ours first.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Relaxed, Self::Kafka];

    /// Its name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Relaxed => "relaxed",
            Self::Kafka => "kafka",
        }
    }

    /// The system with that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.name() == name)
    }
}
