//! What one replica shows of itself.

use highwater_log::Log;
use highwater_rpc::replication::Lane;
use highwater_types::{BrokerId, Offset};

use super::Partition;
use crate::{PartitionFigures, PartitionStatus};

impl Partition {
    /// All figures.
    pub fn status(&self) -> PartitionStatus {
        let state = self.state.lock();
        let (replica, cursors) = (&state.replica, state.replica.cursors());
        let isr = replica.isr().map_or_else(|| state.isr(), |isr| isr.committed()).to_vec();
        let maximal_isr = replica.maximal_isr().unwrap_or_default();
        PartitionStatus {
            id: self.id,
            topic: self.name.topic.clone(),
            partition: self.name.partition,
            role: state.role(),
            leader: replica.leader(),
            leader_epoch: replica.leader_epoch(),
            partition_epoch: replica.partition_epoch(),
            replicas: state.replicas().to_vec(),
            isr,
            maximal_isr,
            min_isr: state.min_isr(),
            log_start: cursors.log_start,
            high_watermark: replica.high_watermark(),
            exposed_high_watermark: replica.exposed_high_watermark(),
            flushed: cursors.flushed,
            log_end: cursors.log_end,
            size_bytes: state.log.size_bytes(),
        }
    }

    /// The figures that metrics show.
    pub fn figures(&self) -> PartitionFigures {
        let state = self.state.lock();
        let (replica, snapshot) = (&state.replica, *self.published.read());
        let lag = |(id, end): (BrokerId, Offset)| (id, snapshot.log_end.get() - end.max(snapshot.log_start).get());
        let log = state.log.as_open();
        PartitionFigures {
            topic: self.name.topic.clone(),
            partition: self.name.partition,
            role: state.role(),
            has_leader: replica.leader() != BrokerId::NONE,
            replicas: state.replicas().len(),
            isr: replica.isr().map_or(state.isr().len(), |isr| isr.committed().len()),
            min_isr: state.min_isr(),
            log_start: snapshot.log_start,
            high_watermark: snapshot.high_watermark,
            last_stable_offset: snapshot.last_stable_offset,
            log_end: snapshot.log_end,
            size_bytes: state.log.size_bytes(),
            segments: state.log.segment_count(),
            producers: log.map_or(0, Log::producer_count),
            follower_lags: replica.follower_ends().map(lag).collect(),
        }
    }

    /// Whom it follows, and on which lane; `None` if nobody.
    pub fn source(&self) -> Option<(BrokerId, Lane)> {
        self.state.lock().source()
    }
}
