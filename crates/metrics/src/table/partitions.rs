//! Single partitions.

use crate::metric::Metric;
use crate::section::section;

section! {
    "Partitions", Broker,
    "One series per replica on the broker; those named kafka_cluster_partition_ but the high watermark, and the lag of \
     followers, where the partition is led. Switched off by `highwater.metrics.partition.series=false`.";

    LOG_SIZE = Metric::gauge("kafka_log_log_size", "bytes", "Size of the log's segments.")
        .by(&["topic", "partition"]).per_partition()
        .kafka("kafka.log:type=Log,name=Size,topic=*,partition=*");
    NUM_LOG_SEGMENTS = Metric::gauge("kafka_log_log_numlogsegments", "segments", "Segments of the log.")
        .by(&["topic", "partition"]).per_partition()
        .kafka("kafka.log:type=Log,name=NumLogSegments,topic=*,partition=*");
    LOG_START_OFFSET = Metric::gauge("kafka_log_log_logstartoffset", "offset", "First offset of the log.")
        .by(&["topic", "partition"]).per_partition()
        .kafka("kafka.log:type=Log,name=LogStartOffset,topic=*,partition=*");
    LOG_END_OFFSET = Metric::gauge("kafka_log_log_logendoffset", "offset", "Offset of the next record.")
        .by(&["topic", "partition"]).per_partition()
        .kafka("kafka.log:type=Log,name=LogEndOffset,topic=*,partition=*");
    HIGH_WATERMARK = Metric::gauge(
        "kafka_cluster_partition_highwatermark", "offset", "Everything below is committed, as this replica knows it.",
    )
    .by(&["topic", "partition"]).per_partition();
    LAST_STABLE_OFFSET_LAG = Metric::gauge(
        "kafka_cluster_partition_laststableoffsetlag", "records",
        "Records between the last stable offset and the high watermark: what readers of committed transactions wait for.",
    )
    .by(&["topic", "partition"]).per_partition()
    .kafka("kafka.cluster:type=Partition,name=LastStableOffsetLag,topic=*,partition=*")
    .when_bad("Grows: a transaction is open for too long.");
    REPLICAS_COUNT = Metric::gauge("kafka_cluster_partition_replicascount", "replicas", "Assigned replicas.")
        .by(&["topic", "partition"]).per_partition()
        .kafka("kafka.cluster:type=Partition,name=ReplicasCount,topic=*,partition=*");
    IN_SYNC_REPLICAS_COUNT = Metric::gauge(
        "kafka_cluster_partition_insyncreplicascount", "replicas", "In-sync replicas.",
    )
    .by(&["topic", "partition"]).per_partition()
    .kafka("kafka.cluster:type=Partition,name=InSyncReplicasCount,topic=*,partition=*")
    .when_bad("Lower than the assigned replicas.");
    UNDER_REPLICATED = Metric::gauge(
        "kafka_cluster_partition_underreplicated", "boolean", "1 if a replica is out of sync.",
    )
    .by(&["topic", "partition"]).per_partition()
    .kafka("kafka.cluster:type=Partition,name=UnderReplicated,topic=*,partition=*")
    .when_bad("1: see UnderReplicatedPartitions.");
    UNDER_MIN_ISR = Metric::gauge(
        "kafka_cluster_partition_underminisr", "boolean", "1 if fewer replicas are in sync than min.insync.replicas.",
    )
    .by(&["topic", "partition"]).per_partition()
    .kafka("kafka.cluster:type=Partition,name=UnderMinIsr,topic=*,partition=*")
    .when_bad("1: see UnderMinIsrPartitionCount.");
    AT_MIN_ISR = Metric::gauge(
        "kafka_cluster_partition_atminisr", "boolean", "1 if exactly min.insync.replicas are in sync.",
    )
    .by(&["topic", "partition"]).per_partition()
    .kafka("kafka.cluster:type=Partition,name=AtMinIsr,topic=*,partition=*");
    FOLLOWER_LAG = Metric::gauge(
        "highwater_replication_follower_lag", "records", "Records of the leader's log that a follower has not acknowledged.",
    )
    .by(&["topic", "partition", "follower"]).per_partition()
    .kafka("kafka.server:type=FetcherLagMetrics,name=ConsumerLag,clientId=*,topic=*,partition=*")
    .when_bad("Grows: that follower does not keep up.");
}
