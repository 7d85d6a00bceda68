//! What of a topic's configuration the replicas obey, in the terms of the layers below.

use std::sync::Arc;
use std::time::Duration;

use highwater_env::rng;
use highwater_log::LogConfig;
use highwater_metadata::TopicConfig;
use highwater_metadata::config::{Durability as ConfiguredDurability, ThrottledReplicas, TimestampType};
use highwater_partition::{Durability, Settings};
use rand::Rng;

/// The settings of one topic.
#[derive(Debug, Clone)]
pub(crate) struct TopicSettings {
    pub settings: Settings,
    /// Shared by the partitions that took them over together.
    pub log: Arc<LogSettings>,
    pub unclean_leader_election: bool,
    /// Whose catching up is throttled: as leaders, as followers.
    pub throttled: (ThrottledReplicas, ThrottledReplicas),
}

/// What the logs obey.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogSettings {
    /// Without jitter.
    pub config: LogConfig,
    /// `segment.jitter.ms`, from which each partition draws its own.
    segment_jitter_ms: i64,
}

impl TopicSettings {
    /// `producer_id_expiration_ms` is the broker's `producer.id.expiration.ms`, as text.
    pub fn new(config: &TopicConfig, producer_id_expiration_ms: Option<&str>, lag_max: Duration) -> Self {
        let defaults = LogConfig::default();
        let expiration_ms = producer_id_expiration_ms.and_then(|text| text.trim().parse().ok());
        let positive = |value: i32| u64::try_from(value).unwrap_or(0);
        Self {
            settings: Settings {
                durability: match config.durability {
                    ConfiguredDurability::Strict => Durability::Strict,
                    ConfiguredDurability::Relaxed => Durability::Relaxed,
                },
                min_isr: usize::try_from(config.min_insync_replicas).unwrap_or(1),
                lag_max,
            },
            log: Arc::new(LogSettings {
                config: LogConfig {
                    segment_bytes: positive(config.segment_bytes),
                    segment_ms: config.segment_ms,
                    segment_jitter_ms: 0,
                    segment_index_bytes: positive(config.segment_index_bytes),
                    index_interval_bytes: positive(config.index_interval_bytes),
                    retention_ms: config.retention_ms,
                    retention_bytes: config.retention_bytes,
                    delete_policy: config.cleanup_policy.delete,
                    compact_policy: config.cleanup_policy.compact,
                    delete_retention_ms: config.delete_retention_ms,
                    min_compaction_lag_ms: config.min_compaction_lag_ms,
                    max_compaction_lag_ms: config.max_compaction_lag_ms,
                    min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
                    log_append_time: config.message_timestamp_type == TimestampType::LogAppendTime,
                    file_delete_delay_ms: config.file_delete_delay_ms,
                    producer_id_expiration_ms: expiration_ms.unwrap_or(defaults.producer_id_expiration_ms),
                },
                segment_jitter_ms: config.segment_jitter_ms,
            }),
            unclean_leader_election: config.unclean_leader_election_enable,
            throttled: (config.leader_throttled_replicas.clone(), config.follower_throttled_replicas.clone()),
        }
    }
}

impl LogSettings {
    /// The configuration for one partition, with its own jitter.
    pub fn draw_config(&self) -> LogConfig {
        let bound = self.segment_jitter_ms.min(self.config.segment_ms);
        self.config_with_jitter(if bound > 0 { rng::get().random_range(0..bound) } else { 0 })
    }

    /// The configuration for a partition that has drawn already.
    pub fn config_with_jitter(&self, segment_jitter_ms: i64) -> LogConfig {
        LogConfig { segment_jitter_ms, ..self.config.clone() }
    }
}
