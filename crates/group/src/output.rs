//! What one step of a shard asks of its caller: writes, then answers with the condition for sending each.

use highwater_types::{ErrorCode, MonoMs, Timestamp};

use crate::schema::CoordinatorRecord;
use crate::{
    JoinGroupResponse, LeaveGroupResponse, OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse,
    SyncGroupResponse,
};

/// The two clocks at the time of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, for what is stored.
    pub wall: Timestamp,
    /// Monotonic clock, for deadlines.
    pub mono: MonoMs,
}

/// Names a request until it is answered. The caller chooses it, unique within the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Names a write until its append is known to have succeeded or failed. Grows with each write of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// Effects of one step, to be carried out in order: first the writes, then the replies.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Append each as one batch and report the outcome with `on_append_result` before anything else reaches the shard.
    pub writes: Vec<Write>,
    /// Answers.
    pub replies: Vec<Reply>,
    /// Generations that were begun.
    pub completed_rebalances: u64,
}

/// Records to be appended together.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    /// For `on_append_result`.
    pub id: WriteId,
    /// In this order; never empty.
    pub records: Vec<CoordinatorRecord>,
}

/// An answer and the condition for sending it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request.
    pub token: Token,
    /// Its answer.
    pub response: Response,
    /// When it may be sent.
    pub send: SendWhen,
}

/// Condition of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendWhen {
    /// At once: the answer promises nothing that is stored.
    Now,
    /// Once the high watermark has passed everything this shard has appended so far: the answer shows or promises
    /// stored state, which must survive a failover of the coordinator.
    Committed,
}

/// An answer of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// API 11
    JoinGroup(JoinGroupResponse),
    /// API 14
    SyncGroup(SyncGroupResponse),
    /// API 12
    Heartbeat(ErrorCode),
    /// API 13
    LeaveGroup(LeaveGroupResponse),
    /// API 8
    OffsetCommit(OffsetCommitResponse),
    /// API 9
    OffsetFetch(OffsetFetchResponse),
    /// API 47
    OffsetDelete(OffsetDeleteResponse),
    /// API 42
    DeleteGroup(ErrorCode),
}

impl Response {
    /// The answer to give instead when what this one promises cannot be stored. `error` is what the append or the wait
    /// for the high watermark reported; it is translated to what clients expect of a coordinator.
    pub fn into_write_failure(self, error: ErrorCode) -> Self {
        let code = coordinator_error(error);
        match self {
            Self::JoinGroup(response) => Self::JoinGroup(JoinGroupResponse::error(code, response.member_id)),
            Self::SyncGroup(_) => Self::SyncGroup(SyncGroupResponse::error(code)),
            Self::Heartbeat(_) => Self::Heartbeat(code),
            Self::LeaveGroup(_) => Self::LeaveGroup(LeaveGroupResponse::error(code)),
            Self::OffsetCommit(mut response) => {
                response.fail_successes(code);
                Self::OffsetCommit(response)
            }
            Self::OffsetFetch(_) => Self::OffsetFetch(OffsetFetchResponse::error(offset_fetch_error(error))),
            Self::OffsetDelete(_) => Self::OffsetDelete(OffsetDeleteResponse::error(code)),
            Self::DeleteGroup(_) => Self::DeleteGroup(code),
        }
    }
}

/// Translates an error of the partition behind a coordinator to the error clients of a coordinator understand.
pub const fn coordinator_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch | ErrorCode::KafkaStorageError => {
            ErrorCode::NotCoordinator
        }
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}

/// As [`coordinator_error`], but consumers before 3.9 do not retry OffsetFetch on `COORDINATOR_NOT_AVAILABLE`.
pub const fn offset_fetch_error(error: ErrorCode) -> ErrorCode {
    match coordinator_error(error) {
        ErrorCode::CoordinatorNotAvailable => ErrorCode::NotCoordinator,
        other => other,
    }
}
