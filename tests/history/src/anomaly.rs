//! What a Kafka cluster must never show.

use std::fmt;

use crate::event::{Key, Process, TransactionId};

/// The kinds, one for each way in which a history can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnomalyKind {
    Inconsistent,
    Duplicate,
    Phantom,
    Lost,
    Unseen,
    AbortedRead,
    PrecommittedRead,
    SkippedPoll,
    NonMonotonePoll,
    SkippedSend,
    NonMonotoneSend,
    BackInTime,
    Torn,
    Cycle,
}

/// One of them, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anomaly {
    /// Two values at one offset.
    Inconsistent { key: Key, offset: i64, values: Vec<u64> },
    /// One value at two offsets.
    Duplicate { key: Key, value: u64, offsets: Vec<i64> },
    /// A value that was never sent there, or only after it was read.
    Phantom { key: Key, offset: i64, value: u64 },
    /// A send that happened is not there, and what came after it is.
    Lost { key: Key, offset: Option<i64>, value: u64 },
    /// A send that happened lies behind everything that the final read found.
    Unseen { key: Key, offset: Option<i64>, value: u64 },
    /// A send that failed, or was in a transaction that was aborted, was read.
    AbortedRead { key: Key, offset: i64, value: u64 },
    /// A `read_committed` consumer read what nobody had asked to commit.
    PrecommittedRead { key: Key, offset: i64, value: u64, transaction: TransactionId },
    /// A consumer passed over a record that others saw.
    SkippedPoll { key: Key, process: Process, from: i64, to: i64, skipped: i64 },
    /// A consumer was given an offset that it had passed.
    NonMonotonePoll { key: Key, process: Process, from: i64, to: i64 },
    /// A producer's later record is there, and an earlier one of the same session is not.
    SkippedSend { key: Key, process: Process, value: u64, later: u64 },
    /// A producer's later record stands before an earlier one of the same session.
    NonMonotoneSend { key: Key, process: Process, value: u64, offset: i64, before: i64 },
    /// An operation began when `known` was the end of the partition for somebody, and was given an offset below.
    BackInTime { key: Key, what: &'static str, offset: i64, known: i64 },
    /// A transaction of which a part is there.
    Torn { transaction: TransactionId, key: Key, missing: u64, present: u64 },
    /// Transactions each of which read what another of them wrote.
    Cycle { transactions: Vec<TransactionId> },
}

impl Anomaly {
    /// Which kind it is.
    pub fn kind(&self) -> AnomalyKind {
        match self {
            Self::Inconsistent { .. } => AnomalyKind::Inconsistent,
            Self::Duplicate { .. } => AnomalyKind::Duplicate,
            Self::Phantom { .. } => AnomalyKind::Phantom,
            Self::Lost { .. } => AnomalyKind::Lost,
            Self::Unseen { .. } => AnomalyKind::Unseen,
            Self::AbortedRead { .. } => AnomalyKind::AbortedRead,
            Self::PrecommittedRead { .. } => AnomalyKind::PrecommittedRead,
            Self::SkippedPoll { .. } => AnomalyKind::SkippedPoll,
            Self::NonMonotonePoll { .. } => AnomalyKind::NonMonotonePoll,
            Self::SkippedSend { .. } => AnomalyKind::SkippedSend,
            Self::NonMonotoneSend { .. } => AnomalyKind::NonMonotoneSend,
            Self::BackInTime { .. } => AnomalyKind::BackInTime,
            Self::Torn { .. } => AnomalyKind::Torn,
            Self::Cycle { .. } => AnomalyKind::Cycle,
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inconsistent { key, offset, values } => {
                write!(f, "inconsistent: {key} offset {offset} holds {values:?}")
            }
            Self::Duplicate { key, value, offsets } => write!(f, "duplicate: {key} has {value} at {offsets:?}"),
            Self::Phantom { key, offset, value } => {
                write!(f, "phantom: {key} offset {offset} holds {value}, not sent there by then")
            }
            Self::Lost { key, offset, value } => write!(f, "lost: {key} {value}, which was at {offset:?}"),
            Self::Unseen { key, offset, value } => {
                write!(f, "unseen: {key} {value} at {offset:?} is behind the end of the final read")
            }
            Self::AbortedRead { key, offset, value } => {
                write!(f, "aborted read: {key} offset {offset} holds {value}, which failed or was aborted")
            }
            Self::PrecommittedRead { key, offset, value, transaction } => {
                write!(f, "precommitted read: {key} offset {offset} holds {value} of transaction {transaction:?}")
            }
            Self::SkippedPoll { key, process, from, to, skipped } => {
                write!(f, "skipped poll: {key} {process:?} read {from}, then {to}, and not {skipped}")
            }
            Self::NonMonotonePoll { key, process, from, to } => {
                write!(f, "non-monotone poll: {key} {process:?} read {from}, then {to}")
            }
            Self::SkippedSend { key, process, value, later } => {
                write!(f, "skipped send: {key} {process:?} sent {value}, then {later}; only the latter is there")
            }
            Self::NonMonotoneSend { key, process, value, offset, before } => {
                write!(f, "non-monotone send: {key} {process:?}: {value} is at {offset}, an earlier one at {before}")
            }
            Self::BackInTime { key, what, offset, known } => {
                write!(f, "back in time: {key}: {what} gave {offset} when {known} was known before it began")
            }
            Self::Torn { transaction, key, missing, present } => {
                write!(f, "torn: {transaction:?}: {present} is there, {missing} of {key} is not")
            }
            Self::Cycle { transactions } => write!(f, "cycle: {transactions:?} each read what the next wrote"),
        }
    }
}
