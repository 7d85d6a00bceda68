//! The configuration of a topic, typed.

use std::borrow::Cow;
use std::fmt::Debug;
use std::str::FromStr;

use super::definition::ConfigDef;
use super::throttled_replicas::ThrottledReplicas;
use super::topic_keys::topic_key;
use super::value::split_list;

/// `cleanup.policy`. Neither of both: records are kept for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CleanupPolicy {
    /// Old segments are deleted by time and size.
    pub delete: bool,
    /// The last record of each key is kept.
    pub compact: bool,
}

/// `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompressionType {
    /// As the producer sent it.
    Producer,
    /// None.
    Uncompressed,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// `message.timestamp.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, at append.
    LogAppendTime,
}

/// `highwater.durability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Durability {
    /// An offset counts toward the high watermark once the replica has flushed it.
    Strict,
    /// An offset counts once the replica has written it to the page cache, as in Kafka.
    Relaxed,
}

/// Every setting of a topic that this broker honours, with Kafka's meaning and units.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type`.
    pub compression_type: CompressionType,
    /// `compression.gzip.level`; -1 is the codec's default.
    pub compression_gzip_level: i32,
    /// `compression.lz4.level`.
    pub compression_lz4_level: i32,
    /// `compression.zstd.level`.
    pub compression_zstd_level: i32,
    /// `delete.retention.ms`: how long tombstones stay.
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`: how long deleted files stay.
    pub file_delete_delay_ms: i64,
    /// `flush.messages`.
    pub flush_messages: i64,
    /// `flush.ms`.
    pub flush_ms: i64,
    /// `follower.replication.throttled.replicas`.
    pub follower_throttled_replicas: ThrottledReplicas,
    /// `index.interval.bytes`.
    pub index_interval_bytes: i32,
    /// `leader.replication.throttled.replicas`.
    pub leader_throttled_replicas: ThrottledReplicas,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `max.message.bytes`: largest batch.
    pub max_message_bytes: i32,
    /// `message.timestamp.after.max.ms`.
    pub message_timestamp_after_max_ms: i64,
    /// `message.timestamp.before.max.ms`.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `preallocate`.
    pub preallocate: bool,
    /// `retention.bytes`; -1 is no limit.
    pub retention_bytes: i64,
    /// `retention.ms`; -1 is no limit.
    pub retention_ms: i64,
    /// `segment.bytes`.
    pub segment_bytes: i32,
    /// `segment.index.bytes`.
    pub segment_index_bytes: i32,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election_enable: bool,
    /// `highwater.durability`.
    pub durability: Durability,
}

impl TopicConfig {
    /// Types the values that `value` gives for topic keys.
    ///
    /// # Panics
    /// If a value is illegal: values are checked where they enter (static configuration, commands).
    pub(crate) fn from_values<'a>(value: impl Fn(&'static ConfigDef) -> Option<Cow<'a, str>>) -> Self {
        let text = |name: &str| {
            let key = topic_key(name).unwrap_or_else(|| panic!("{name} is a topic key"));
            value(key).unwrap_or_else(|| panic!("{name} is never null"))
        };
        Self {
            cleanup_policy: CleanupPolicy::parse(&text("cleanup.policy")),
            compression_type: CompressionType::parse(&text("compression.type")),
            compression_gzip_level: number("compression.gzip.level", text),
            compression_lz4_level: number("compression.lz4.level", text),
            compression_zstd_level: number("compression.zstd.level", text),
            delete_retention_ms: number("delete.retention.ms", text),
            file_delete_delay_ms: number("file.delete.delay.ms", text),
            flush_messages: number("flush.messages", text),
            flush_ms: number("flush.ms", text),
            follower_throttled_replicas: ThrottledReplicas::parse(&text("follower.replication.throttled.replicas")),
            index_interval_bytes: number("index.interval.bytes", text),
            leader_throttled_replicas: ThrottledReplicas::parse(&text("leader.replication.throttled.replicas")),
            max_compaction_lag_ms: number("max.compaction.lag.ms", text),
            max_message_bytes: number("max.message.bytes", text),
            message_timestamp_after_max_ms: number("message.timestamp.after.max.ms", text),
            message_timestamp_before_max_ms: number("message.timestamp.before.max.ms", text),
            message_timestamp_type: TimestampType::parse(&text("message.timestamp.type")),
            min_cleanable_dirty_ratio: number("min.cleanable.dirty.ratio", text),
            min_compaction_lag_ms: number("min.compaction.lag.ms", text),
            min_insync_replicas: number("min.insync.replicas", text),
            preallocate: boolean(&text("preallocate")),
            retention_bytes: number("retention.bytes", text),
            retention_ms: number("retention.ms", text),
            segment_bytes: number("segment.bytes", text),
            segment_index_bytes: number("segment.index.bytes", text),
            segment_jitter_ms: number("segment.jitter.ms", text),
            segment_ms: number("segment.ms", text),
            unclean_leader_election_enable: boolean(&text("unclean.leader.election.enable")),
            durability: Durability::parse(&text("highwater.durability")),
        }
    }
}

impl Default for TopicConfig {
    /// What applies when nothing is set anywhere.
    fn default() -> Self {
        Self::from_values(|key| key.default.map(Cow::Borrowed))
    }
}

fn number<'a, T: FromStr<Err: Debug>>(name: &str, text: impl Fn(&str) -> Cow<'a, str>) -> T {
    let text = text(name);
    text.trim().parse().unwrap_or_else(|error| panic!("{name}={text} was not checked: {error:?}"))
}

fn boolean(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}

impl CleanupPolicy {
    fn parse(text: &str) -> Self {
        let elements = split_list(text);
        Self { delete: elements.contains(&"delete"), compact: elements.contains(&"compact") }
    }
}

impl CompressionType {
    fn parse(text: &str) -> Self {
        match text.trim() {
            "producer" => Self::Producer,
            "uncompressed" => Self::Uncompressed,
            "gzip" => Self::Gzip,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            other => panic!("compression.type={other} was not checked"),
        }
    }
}

impl TimestampType {
    fn parse(text: &str) -> Self {
        match text.trim() {
            "CreateTime" => Self::CreateTime,
            "LogAppendTime" => Self::LogAppendTime,
            other => panic!("message.timestamp.type={other} was not checked"),
        }
    }
}

impl Durability {
    fn parse(text: &str) -> Self {
        match text.trim() {
            "strict" => Self::Strict,
            "relaxed" => Self::Relaxed,
            other => panic!("highwater.durability={other} was not checked"),
        }
    }
}
