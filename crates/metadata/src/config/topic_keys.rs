//! The topic keys of Apache Kafka 4.3 and our own, sorted by name.

use super::definition::{ConfigDef, config_table, find};

config_table! {
    /// Every topic key.
    TOPIC_KEYS:
    honoured dynamic public   "cleanup.policy": List = "delete", OneOf(&["compact", "delete"]), ["log.cleanup.policy" * 1], "What happens to old records: delete removes old segments, compact keeps the last record of each key, both do both, none keeps everything.";
    honoured dynamic public   "compression.gzip.level": Int = "-1", MinusOneOrBetween(1, 9), ["compression.gzip.level" * 1], "Level when compression.type is gzip; -1 lets the codec choose.";
    honoured dynamic public   "compression.lz4.level": Int = "9", Between(1, 17), ["compression.lz4.level" * 1], "Level when compression.type is lz4.";
    honoured dynamic public   "compression.type": String = "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ["compression.type" * 1], "Codec that stored batches have; producer keeps what was sent.";
    honoured dynamic public   "compression.zstd.level": Int = "3", Between(-131072, 22), ["compression.zstd.level" * 1], "Level when compression.type is zstd.";
    honoured dynamic public   "delete.retention.ms": Long = "86400000", AtLeast(0), ["log.cleaner.delete.retention.ms" * 1], "How long a compacted topic keeps tombstones, so that readers that started from the beginning see them.";
    honoured dynamic public   "file.delete.delay.ms": Long = "60000", AtLeast(0), ["log.segment.delete.delay.ms" * 1], "How long the files of a deleted segment stay on disk.";
    ignored  dynamic public   "flush.messages": Long = "9223372036854775807", AtLeast(1), ["log.flush.interval.messages" * 1], "Flush after this many records. With highwater.durability=strict every acknowledged record is flushed already.";
    ignored  dynamic public   "flush.ms": Long = "9223372036854775807", AtLeast(0), ["log.flush.interval.ms" * 1, "log.flush.scheduler.interval.ms" * 1], "Flush records at most this long after their append. With highwater.durability=strict every acknowledged record is flushed already.";
    honoured dynamic public   "follower.replication.throttled.replicas": List = "", ThrottledReplicas, [], "Followers that catch up at no more than their broker's follower.replication.throttled.rate: partition:broker pairs, or * for all. In-sync ones are never throttled.";
    honoured dynamic public   "highwater.durability": String = "strict", OneOf(&["strict", "relaxed"]), ["highwater.durability" * 1], "strict: a record is acknowledged once the in-sync replicas have it on disk. relaxed: once they have it in memory, as in Kafka.";
    honoured dynamic public   "index.interval.bytes": Int = "4096", AtLeast(0), ["log.index.interval.bytes" * 1], "About how many bytes of records lie between two entries of the offset index.";
    ignored  dynamic internal "internal.segment.bytes": Int = null, Any, [], "Segment size below the limit of segment.bytes, for tests.";
    honoured dynamic public   "leader.replication.throttled.replicas": List = "", ThrottledReplicas, [], "Leaders that feed replicas out of the ISR at no more than their broker's leader.replication.throttled.rate: partition:broker pairs, or * for all.";
    ignored  dynamic public   "local.retention.bytes": Long = "-2", AtLeast(-2), ["log.local.retention.bytes" * 1], "Size kept locally when tiered storage is on; -2 means retention.bytes.";
    ignored  dynamic public   "local.retention.ms": Long = "-2", AtLeast(-2), ["log.local.retention.ms" * 1], "Time kept locally when tiered storage is on; -2 means retention.ms.";
    honoured dynamic public   "max.compaction.lag.ms": Long = "9223372036854775807", AtLeast(1), ["log.cleaner.max.compaction.lag.ms" * 1], "A record becomes eligible for compaction at the latest after this time.";
    honoured dynamic public   "max.message.bytes": Int = "1048588", AtLeast(0), ["message.max.bytes" * 1], "Largest batch that is accepted, after compression.";
    honoured dynamic public   "message.timestamp.after.max.ms": Long = "3600000", AtLeast(0), ["log.message.timestamp.after.max.ms" * 1], "How far in the future the timestamp of a record may lie; not checked with LogAppendTime.";
    honoured dynamic public   "message.timestamp.before.max.ms": Long = "9223372036854775807", AtLeast(0), ["log.message.timestamp.before.max.ms" * 1], "How far in the past the timestamp of a record may lie; not checked with LogAppendTime.";
    honoured dynamic public   "message.timestamp.type": String = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), ["log.message.timestamp.type" * 1], "Whose clock timestamps come from: CreateTime is the producer, LogAppendTime the broker.";
    honoured dynamic public   "min.cleanable.dirty.ratio": Double = "0.5", FractionUpTo(1.0), ["log.cleaner.min.cleanable.ratio" * 1], "Share of a log that must be uncompacted before it is compacted.";
    honoured dynamic public   "min.compaction.lag.ms": Long = "0", AtLeast(0), ["log.cleaner.min.compaction.lag.ms" * 1], "A record stays uncompacted at least this long.";
    honoured dynamic public   "min.insync.replicas": Int = "1", AtLeast(1), ["min.insync.replicas" * 1], "A write with acks=all is refused when fewer replicas than this are in sync.";
    ignored  dynamic public   "preallocate": Boolean = "false", Any, ["log.preallocate" * 1], "Reserve the space of a segment when it is created.";
    ignored  dynamic public   "remote.log.copy.disable": Boolean = "false", Any, [], "Stop copying segments to tiered storage.";
    ignored  dynamic public   "remote.log.delete.on.disable": Boolean = "false", Any, [], "Delete the tiered data when tiered storage is turned off.";
    ignored  dynamic public   "remote.storage.enable": Boolean = "false", Any, [], "Keep old segments in tiered storage.";
    honoured dynamic public   "retention.bytes": Long = "-1", Any, ["log.retention.bytes" * 1], "Size of a partition above which its oldest segments are deleted; -1 is no limit.";
    honoured dynamic public   "retention.ms": Long = "604800000", AtLeast(-1), ["log.retention.ms" * 1, "log.retention.minutes" * 60000, "log.retention.hours" * 3600000], "Age after which segments are deleted; -1 is no limit.";
    honoured dynamic public   "segment.bytes": Int = "1073741824", AtLeast(1048576), ["log.segment.bytes" * 1], "Size at which a segment is closed and a new one begins.";
    honoured dynamic public   "segment.index.bytes": Int = "10485760", AtLeast(4), ["log.index.size.max.bytes" * 1], "Size of the index of a segment; a full index closes the segment.";
    honoured dynamic public   "segment.jitter.ms": Long = "0", AtLeast(0), ["log.roll.jitter.ms" * 1, "log.roll.jitter.hours" * 3600000], "Upper bound of a random time that is taken off segment.ms, so that segments do not all close at once.";
    honoured dynamic public   "segment.ms": Long = "604800000", AtLeast(1), ["log.roll.ms" * 1, "log.roll.hours" * 3600000], "Age at which a segment is closed even when it is not full.";
    honoured dynamic public   "unclean.leader.election.enable": Boolean = "false", Any, ["unclean.leader.election.enable" * 1], "Let a replica outside the in-sync replicas become leader when no other is left. Acknowledged records can be lost.";
}

/// The topic key of that name.
pub fn topic_key(name: &str) -> Option<&'static ConfigDef> {
    find(TOPIC_KEYS, name)
}
