//! One thing that a client did or was told.

use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// A client, as far as its order counts: one producer session (a producer id and epoch) or one consumer that reads on from where
/// it was. A producer that starts a new session, and a consumer that starts anew, is another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Process(pub u32);

/// A transaction of the run; unique in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub u64);

/// A partition of one incarnation of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The topic's id, or its name where no topic of that name is ever deleted.
    pub topic: Arc<str>,
    pub partition: i32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What an event says of its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It begins.
    Invoke,
    /// It has happened.
    Ok,
    /// It has provably not happened and never will.
    Fail,
    /// Nobody knows: a time-out, a lost connection.
    Info,
}

/// `isolation.level` of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

/// One record on its way to a partition. `offset` is what the acknowledgement says; an invocation has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    #[serde(flatten)]
    pub key: Key,
    /// Unique for each key in the history.
    pub value: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    #[serde(flatten)]
    pub key: Key,
    pub offset: i64,
    pub value: u64,
}

/// Records that one answer, or one call of a client, gave, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    pub records: Vec<Record>,
    pub isolation: Isolation,
    /// The transaction whose commit says that these were processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    /// Part of the full read once all is over: from the beginning of each partition to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
}

/// What is done. An operation's events carry the same operation, as far as it is known by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "f", content = "value", rename_all = "snake_case")]
pub enum Operation {
    Send(Send),
    /// Recorded when it is `ok`; what failed to read anything says nothing.
    Poll(Poll),
    /// The consumer continues elsewhere in this partition (a rebalance, a reset): what it reads next follows on nothing.
    Seek(Key),
    /// The end of the partition as ListOffsets gives it to `read_uncommitted`: the exposed high watermark.
    End {
        #[serde(flatten)]
        key: Key,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<i64>,
    },
    Commit(TransactionId),
    Abort(TransactionId),
    /// A planned fault: `invoke` when it is begun, `ok` when it was seen to be there.
    Fault(String),
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the history, from 0.
    pub index: u64,
    /// Time since the history began, in nanoseconds.
    pub time_ns: u64,
    pub process: Process,
    #[serde(rename = "type")]
    pub outcome: Outcome,
    #[serde(flatten)]
    pub operation: Operation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Reads a history as [`crate::Recorder::write_json_lines`] writes it.
///
/// # Errors
/// The number of the first line that is none.
pub fn read_json_lines(input: impl BufRead) -> Result<Vec<Event>> {
    let numbered = input.lines().enumerate();
    numbered
        .map(|(number, line)| serde_json::from_str(&line?).with_context(|| format!("line {}", number + 1)))
        .collect()
}
