//! The group coordinator's way to the partitions of `__consumer_offsets` on this broker.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::FutureExt;
use highwater_coordinator_runtime::{Committed, PartitionWriter};
use highwater_env::lock::Mutex;
use highwater_replication::{FetchRead, Isolation, PartitionRole, PartitionStatus, Replicas};
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicIdPartition};

/// [`PartitionWriter`] over the replicas.
pub(crate) struct OffsetsPartitions {
    replicas: Arc<Replicas>,
    /// The topic as it exists now; a recreated one has another id.
    topic: Mutex<Option<TopicId>>,
}

impl OffsetsPartitions {
    pub(crate) fn new(replicas: Arc<Replicas>) -> Self {
        Self { replicas, topic: Mutex::new(None) }
    }

    /// The topic exists under this id, or not at all.
    pub(crate) fn set_topic(&self, topic: Option<TopicId>) {
        *self.topic.lock() = topic;
    }

    /// The status of a partition, if this broker leads it in exactly `epoch`.
    pub(crate) fn led(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> Option<PartitionStatus> {
        let status = self.replicas.partition_status(self.key(partition).ok()?)?;
        (status.role == PartitionRole::Leader && status.leader_epoch == epoch).then_some(status)
    }

    fn key(&self, partition: PartitionIndex) -> Result<TopicIdPartition, ErrorCode> {
        let topic_id = (*self.topic.lock()).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok(TopicIdPartition { topic_id, partition })
    }
}

impl PartitionWriter for OffsetsPartitions {
    fn append(&self, partition: PartitionIndex, epoch: LeaderEpoch, batch: Bytes) -> Result<Committed, ErrorCode> {
        let appended = self.replicas.append_internal(self.key(partition)?, epoch, batch).map_err(|error| error.code)?;
        Ok(match appended.wait {
            Some(wait) => wait.boxed(),
            None => futures::future::ready(Ok(())).boxed(),
        })
    }

    fn has_lease(&self) -> bool {
        self.replicas.has_lease()
    }

    fn is_committed(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> Result<bool, ErrorCode> {
        let led = self.led(partition, epoch).filter(|_| self.replicas.has_lease());
        led.map(|status| status.high_watermark >= status.log_end).ok_or(ErrorCode::NotLeaderOrFollower)
    }

    fn read(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        from: Offset,
        max_bytes: usize,
    ) -> Result<(Vec<Bytes>, Offset), ErrorCode> {
        let read = FetchRead {
            partition: self.key(partition)?,
            offset: from,
            current_leader_epoch: epoch,
            last_fetched_epoch: LeaderEpoch::NONE,
            max_bytes,
            min_one_batch: true,
            isolation: Isolation::ReadUncommitted,
            from_follower: false,
        };
        let result = self.replicas.read(&read).map_err(|error| error.code)?;
        Ok((result.records, result.high_watermark))
    }

    fn log_range(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> Option<(Offset, Offset)> {
        self.led(partition, epoch).map(|status| (status.log_start, status.log_end))
    }
}
