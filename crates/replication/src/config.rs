//! Settings of the replication layer, in Kafka's terms.

use std::time::Duration;

use highwater_metadata::StaticBrokerConfig;
use highwater_types::BrokerId;

/// Everything the layer is told once, at start.
#[derive(Debug, Clone)]
pub struct ReplicationConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// The broker's own properties: defaults under the topic configuration of the metadata.
    pub static_config: StaticBrokerConfig,
    /// `replica.lag.time.max.ms`: a follower that was not caught up for so long leaves the ISR.
    pub replica_lag_time_max: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval: Duration,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `num.recovery.threads.per.data.dir`: logs of one directory that are recovered (or deleted) at the same time.
    pub recovery_threads_per_data_dir: usize,
}

impl ReplicationConfig {
    /// Kafka's defaults.
    pub fn new(node_id: BrokerId, static_config: StaticBrokerConfig) -> Self {
        Self {
            node_id,
            static_config,
            replica_lag_time_max: Duration::from_secs(30),
            high_watermark_checkpoint_interval: Duration::from_secs(5),
            retention_check_interval: Duration::from_secs(300),
            recovery_threads_per_data_dir: 2,
        }
    }
}
