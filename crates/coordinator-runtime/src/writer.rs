//! The way to the partitions of `__consumer_offsets`: implemented by the broker over the replica manager.

use bytes::Bytes;
use futures::future::BoxFuture;
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};

/// Resolves when the high watermark passes an appended batch, or when it is known that this leader will not see that.
/// May be dropped or polled from several tasks in turn; must not need to be polled to make progress.
pub type Committed = BoxFuture<'static, Result<(), ErrorCode>>;

/// Appends to and reads from the partitions of one internal topic of which this broker is the leader.
pub trait PartitionWriter: Send + Sync + 'static {
    /// Appends one batch as leader of exactly `epoch`, with acks=all semantics. Called under a short lock: must not
    /// block on anything but the append itself.
    ///
    /// Errors leave the log as it was: `NOT_LEADER_OR_FOLLOWER` or `FENCED_LEADER_EPOCH` when this broker is not the
    /// leader in `epoch`, `NOT_ENOUGH_REPLICAS`, `MESSAGE_TOO_LARGE`, `KAFKA_STORAGE_ERROR`, ...
    fn append(&self, partition: PartitionIndex, epoch: LeaderEpoch, batch: Bytes) -> Result<Committed, ErrorCode>;

    /// Whether this broker may serve at all (M9). Read for every request.
    fn has_lease(&self) -> bool;

    /// Whether all of the log is committed. Cheap, and called under a short lock.
    ///
    /// `NOT_LEADER_OR_FOLLOWER` when this broker is not the leader in `epoch`, or cannot know it because its lease has lapsed:
    /// then what it has in memory may be out of date.
    fn is_committed(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> Result<bool, ErrorCode>;

    /// Whole batches from the one that holds `from`, at most about `max_bytes` but at least one batch if there is any;
    /// up to the high watermark or up to the log end, as the implementation likes. Also the high watermark.
    fn read(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        from: Offset,
        max_bytes: usize,
    ) -> Result<(Vec<Bytes>, Offset), ErrorCode>;

    /// `(log start, log end)` while this broker leads the partition in `epoch`.
    fn log_range(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> Option<(Offset, Offset)>;
}
