//! Appending as leader: what a produce request may ask for and what it gets.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use highwater_types::{ErrorCode, Offset, Timestamp};

use crate::LeaderHint;

/// When a produce request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Not at all: the client does not wait.
    None,
    /// Once the leader has appended.
    Leader,
    /// Once all in-sync replicas have it (durably, in strict mode) and they are at least `min.insync.replicas`.
    All,
}

impl Acks {
    /// The wire's number: 0, 1 or -1.
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// A successful append.
#[derive(Debug)]
pub struct AppendOutcome {
    /// Offset of the batch's first record.
    pub base_offset: Offset,
    /// The broker's time of the append, if the topic stamps records with it; else [`Timestamp::NONE`].
    pub append_time: Timestamp,
    /// First offset of the log.
    pub log_start: Offset,
    /// The batch was there already (retry of an idempotent producer); the offsets are those of the first time.
    pub duplicate: bool,
    /// With [`Acks::All`]: resolves when the batch is committed. The caller sets the deadline (REQUEST_TIMED_OUT).
    pub wait: Option<HighWatermarkWait>,
}

/// Why nothing was appended, or the append is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub struct ProduceError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// What the client's log should say.
    pub message: String,
    /// Who leads, if this broker knows better than the client (KIP-951).
    pub leader: Option<LeaderHint>,
}

/// Resolves when the high watermark has passed an append: `Ok` if enough replicas are in sync at that moment, else
/// NOT_ENOUGH_REPLICAS_AFTER_APPEND. If another broker leads before that, the wait goes on here, as a follower: `Ok` once the new
/// leader says that the append is committed, NOT_LEADER_OR_FOLLOWER once it is cut off the log. NOT_LEADER_OR_FOLLOWER also when
/// the lease lapses or the replica leaves this broker first, in which case the append may be there or not.
#[derive(Debug)]
pub struct HighWatermarkWait {
    receiver: tokio::sync::oneshot::Receiver<Result<(), ErrorCode>>,
}

impl HighWatermarkWait {
    pub(crate) fn new(receiver: tokio::sync::oneshot::Receiver<Result<(), ErrorCode>>) -> Self {
        Self { receiver }
    }
}

impl Future for HighWatermarkWait {
    type Output = Result<(), ErrorCode>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // A dropped sender means that the partition is gone from this broker.
        Pin::new(&mut self.receiver).poll(context).map(|result| result.unwrap_or(Err(ErrorCode::NotLeaderOrFollower)))
    }
}
