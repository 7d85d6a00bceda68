//! Per-topic settings of a log.

/// What of a topic's configuration the log obeys. Defaults are Kafka's.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is rolled before it would grow beyond this.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment is rolled once the timestamps in it span more than this.
    pub segment_ms: i64,
    /// What `segment.jitter.ms` came to for this partition: subtracted from `segment_ms`, so that partitions made together
    /// do not roll together. The caller draws it, because the log has no randomness.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: a segment is rolled once one of its indexes has grown to this.
    pub segment_index_bytes: u64,
    /// `index.interval.bytes`: bytes of log between two index entries.
    pub index_interval_bytes: u64,
    /// `retention.ms`; negative keeps for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; negative is without bound.
    pub retention_bytes: i64,
    /// Whether `cleanup.policy` holds `delete`. Without it only the log start offset frees segments.
    pub delete_policy: bool,
    /// Whether `cleanup.policy` holds `compact`.
    pub compact_policy: bool,
    /// `delete.retention.ms`: how long compaction keeps tombstones and markers.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: younger records are not compacted.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: older records make a compaction due, and complete the active segment.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: share of the log that must wait for compaction before one is due.
    pub min_cleanable_dirty_ratio: f64,
    /// `file.delete.delay.ms`: how long the files of deleted segments, and of the deleted partition, stay on disk.
    pub file_delete_delay_ms: i64,
    /// Whether `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// `producer.id.expiration.ms`: an idle producer's state is forgotten after this.
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 60 * 60 * 1000,
            retention_bytes: -1,
            delete_policy: true,
            compact_policy: false,
            delete_retention_ms: 24 * 60 * 60 * 1000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            file_delete_delay_ms: 60_000,
            log_append_time: false,
            producer_id_expiration_ms: 24 * 60 * 60 * 1000,
        }
    }
}
